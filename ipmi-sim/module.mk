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
	ipmi-sim/client-rmcp.c ipmi-sim/client-serial.c ipmi-sim/client-icmb.c \
	ipmi-sim/port.c ipmi-sim/port.h ipmi-sim/icmb.c ipmi-sim/icmb.h \
	ipmi-sim/serial.c ipmi-sim/serial.h ipmi-sim/host.c ipmi-sim/host.h \
	ipmi-sim/config.c ipmi-sim/config.h ipmi-sim/discover.c ipmi-sim/discover.h oem-cmds/lanserv.c oem-cmds/lanserv.h \
	tools/number.c tools/number.h
fwrecover_sim_la_CFLAGS = $(AM_CFLAGS) $(OPENIPMI_CFLAGS) $(CONFUSE_CFLAGS)
fwrecover_sim_la_LDFLAGS = $(AM_LDFLAGS) $(module_ldflags) \
	-export-symbols-regex '^ipmi_sim_module_'
fwrecover_sim_la_LIBADD = libfwrecover-all.la $(CRYPTO_LIBS) $(CONFUSE_LIBS)

# The bus of ICMB as wire between ptys; as a program it needs nothing of the library.
if EMULATORS
bin_PROGRAMS += fwrecover_icmb_bus
dist_man_MANS += doc/fwrecover_icmb_bus.1
endif
fwrecover_icmb_bus_SOURCES = ipmi-sim/icmb-bus.c ipmi-sim/icmb-bus.h ipmi-sim/bus-port.c \
	ipmi-sim/bus-order.c ipmi-sim/bus-report.c ipmi-sim/wire.c ipmi-sim/wire.h \
	tools/number.c tools/number.h
fwrecover_icmb_bus_LDADD =
