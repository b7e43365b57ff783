# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/link/serial/basic.c lib/link/serial/terminal.c \
	lib/link/serial/frame.c lib/link/serial/frame.h \
	lib/link/serial/responder.c lib/link/serial/road.c
