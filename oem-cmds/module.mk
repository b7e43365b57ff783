# SPDX-License-Identifier: Apache-2.0
fwr_sources += oem-cmds/table.c oem-cmds/table.h oem-cmds/dispatch.c oem-cmds/calls.c

# The adapter to OpenIPMI is a library of its own, so that nobody else depends on OpenIPMI.
if OPENIPMI
if RECIPIENT
lib_LTLIBRARIES += libfwrecover-openipmi.la
pkgconfig_DATA += fwrecover-openipmi.pc
libfwrecover_openipmi_la_SOURCES = oem-cmds/openipmi.c
libfwrecover_openipmi_la_CFLAGS = $(AM_CFLAGS) $(OPENIPMI_CFLAGS)
libfwrecover_openipmi_la_LIBADD = libfwrecover.la $(OPENIPMI_LIBS)
libfwrecover_openipmi_la_LDFLAGS = $(AM_LDFLAGS) -version-info $(FWR_ABI) -no-undefined \
	-export-symbols-regex '^fwr_openipmi_'
endif
endif
