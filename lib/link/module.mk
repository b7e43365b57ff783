# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/link/discover.c
fwr_sources += lib/link/outstanding.c lib/link/outstanding.h
fwr_file_sources += lib/link/lan.c lib/link/pinger.c lib/link/port.c lib/link/rfcomm.c lib/link/tty.c
