# SPDX-License-Identifier: Apache-2.0
# The module needs both roles: whether a BMC plays them is its configuration's affair.
if OPENIPMI
if RECIPIENT
if DONOR
module_LTLIBRARIES += fwrecover_sim.la
dist_man_MANS += doc/fwrecover_sim.conf.5
endif
endif
endif
fwrecover_sim_la_SOURCES = ipmi-sim/module.c ipmi-sim/module.h ipmi-sim/bmc.c ipmi-sim/bmc.h \
	ipmi-sim/work.c ipmi-sim/client.c ipmi-sim/client.h \
	ipmi-sim/client-rmcp.c ipmi-sim/client-serial.c ipmi-sim/port.c ipmi-sim/port.h \
	ipmi-sim/serial.c ipmi-sim/serial.h ipmi-sim/host.c ipmi-sim/host.h \
	ipmi-sim/config.c ipmi-sim/config.h oem-cmds/lanserv.c oem-cmds/lanserv.h \
	tools/number.c tools/number.h
fwrecover_sim_la_CFLAGS = $(AM_CFLAGS) $(OPENIPMI_CFLAGS) $(CONFUSE_CFLAGS)
fwrecover_sim_la_LDFLAGS = $(AM_LDFLAGS) $(module_ldflags) \
	-export-symbols-regex '^ipmi_sim_module_'
fwrecover_sim_la_LIBADD = libfwrecover-all.la $(CRYPTO_LIBS) $(CONFUSE_LIBS)
