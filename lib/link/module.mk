# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/link/discover.c
fwr_sources += lib/link/pending.c lib/link/pending.h
fwr_file_sources += lib/link/lan.c lib/link/pinger.c
fwr_file_sources += lib/link/tty.c lib/link/port.c
