# SPDX-License-Identifier: Apache-2.0
fwr_sources += \
	lib/link/icmb/assumed.h \
	lib/link/icmb/address.c lib/link/icmb/address.h \
	lib/link/icmb/bridge.c lib/link/icmb/bridge.h \
	lib/link/icmb/discovery.c \
	lib/link/icmb/frame.c lib/link/icmb/frame.h \
	lib/link/icmb/line.c lib/link/icmb/line.h \
	lib/link/icmb/road.c \
	lib/link/icmb/table.c
