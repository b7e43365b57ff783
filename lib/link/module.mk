# SPDX-License-Identifier: Apache-2.0
fwr_file_sources += lib/link/rfcomm.c lib/link/tty.c
