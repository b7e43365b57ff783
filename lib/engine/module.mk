# SPDX-License-Identifier: Apache-2.0
fwr_sources += \
	lib/engine/codec.c lib/engine/codec.h \
	lib/engine/floors.c \
	lib/engine/keyring.c lib/engine/keyring.h lib/engine/keyring-push.c
if DONOR
fwr_sources += \
	lib/engine/broadcast.c lib/engine/broadcast.h \
	lib/engine/bucket.c lib/engine/bucket.h \
	lib/engine/catalogue.c lib/engine/catalogue.h lib/engine/holding.c \
	lib/engine/donor.c \
	lib/engine/lease.c lib/engine/lease.h
endif
if RECIPIENT
fwr_sources += \
	lib/engine/bank.c lib/engine/bank.h lib/engine/phase-bank.c \
	lib/engine/call.c lib/engine/call.h \
	lib/engine/control.c \
	lib/engine/cookie.c lib/engine/cookie.h \
	lib/engine/descent.c lib/engine/descent.h \
	lib/engine/device.c lib/engine/device.h \
	lib/engine/engine.h \
	lib/engine/fetch.c lib/engine/fetch.h \
	lib/engine/listen.c lib/engine/listen.h \
	lib/engine/journal.c lib/engine/journal.h \
	lib/engine/negotiate.c lib/engine/negotiate.h \
	lib/engine/phase.c lib/engine/phase.h \
	lib/engine/phase-find.c lib/engine/phase-write.c lib/engine/phase-finish.c \
	lib/engine/policy.c \
	lib/engine/recipient.c \
	lib/engine/repair.c lib/engine/repair.h \
	lib/engine/request.c lib/engine/request.h \
	lib/engine/report.c \
	lib/engine/roads.c lib/engine/roads.h \
	lib/engine/scan.c lib/engine/scan.h \
	lib/engine/storage.c lib/engine/storage.h \
	lib/engine/transfer.c lib/engine/transfer.h \
	lib/engine/waive.c lib/engine/waive.h
endif
