# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/link/pending.c lib/link/pending.h
fwr_file_sources += lib/link/port.c lib/link/rfcomm.c lib/link/tty.c
