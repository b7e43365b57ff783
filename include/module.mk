# SPDX-License-Identifier: Apache-2.0
pkginclude_HEADERS += \
	include/fwrecover/banks.h include/fwrecover/banks-slots.h \
	include/fwrecover/command.h \
	include/fwrecover/discover.h \
	include/fwrecover/donor.h \
	include/fwrecover/envelope.h \
	include/fwrecover/error.h \
	include/fwrecover/fault.h \
	include/fwrecover/flash-file.h \
	include/fwrecover/floors.h \
	include/fwrecover/flash-ramnor.h \
	include/fwrecover/flash.h \
	include/fwrecover/host-null.h \
	include/fwrecover/host-recorder.h \
	include/fwrecover/host.h \
	include/fwrecover/icmb.h include/fwrecover/icmb-road.h \
	include/fwrecover/keyring.h \
	include/fwrecover/lan.h include/fwrecover/lan-pinger.h \
	include/fwrecover/link.h \
	include/fwrecover/manifest.h \
	include/fwrecover/oem.h \
	include/fwrecover/openipmi.h \
	include/fwrecover/platform.h \
	include/fwrecover/policy.h \
	include/fwrecover/recipient.h \
	include/fwrecover/rfcomm.h \
	include/fwrecover/rmcp.h \
	include/fwrecover/rmcp-road.h \
	include/fwrecover/source-file.h \
	include/fwrecover/source-flash.h \
	include/fwrecover/serial.h \
	include/fwrecover/sign.h \
	include/fwrecover/source.h \
	include/fwrecover/store-dir.h \
	include/fwrecover/store-ram.h \
	include/fwrecover/store.h \
	include/fwrecover/tree.h \
	include/fwrecover/trust.h \
	include/fwrecover/tty.h
nodist_pkginclude_HEADERS += include/fwrecover/version.h
