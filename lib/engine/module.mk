# SPDX-License-Identifier: Apache-2.0
if DONOR
fwr_sources += \
	lib/engine/bucket.c lib/engine/bucket.h \
	lib/engine/catalogue.c lib/engine/catalogue.h lib/engine/holding.c \
	lib/engine/donor.c \
	lib/engine/lease.c lib/engine/lease.h
endif
