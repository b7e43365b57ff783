# SPDX-License-Identifier: Apache-2.0
if DONOR
check_PROGRAMS += tests/e2e/rmcp_ask tests/e2e/rmcp_respond
check_scripts += tests/e2e/rmcp_interop
check_PROGRAMS += tests/e2e/hostile_donor tests/e2e/rmcp_pipe
tests_e2e_rmcp_pipe_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fwr_rmcp_keys_derive
endif
noinst_HEADERS += tests/e2e/udp.h
EXTRA_DIST += tests/e2e/tool.bash
if TOOLS
check_scripts += tests/e2e/tool_help tests/e2e/tool_image tests/e2e/tool_bmc tests/e2e/tool_recover \
	tests/e2e/tool_serve tests/e2e/tool_store tests/e2e/tool_trust tests/e2e/tool_bluetooth \
	tests/e2e/example
endif
check_PROGRAMS += tests/e2e/media_client
check_scripts += tests/e2e/media
EXTRA_DIST += tests/e2e/lab.py tests/e2e/wire.py tests/e2e/netns.py tests/e2e/kills.py \
	tests/e2e/bus.py tests/e2e/chassis.py \
	tests/e2e/lanserv.supp
if OPENIPMI
if TOOLS
check_scripts += tests/e2e/demo tests/e2e/readme
check_scripts += tests/e2e/sim_recover tests/e2e/sim_deaths tests/e2e/sim_config \
	tests/e2e/sim_latency tests/e2e/sim_memory tests/e2e/sim_rules tests/e2e/sim_console \
	tests/e2e/sim_faults tests/e2e/sim_kills tests/e2e/threats_donor tests/e2e/threats_client
check_scripts += tests/e2e/sim_trust tests/e2e/sim_icmb tests/e2e/icmb_recover tests/e2e/serial \
	tests/e2e/lan_roads tests/e2e/road_change

# `make kills`: processes killed at 100 points of a recovery; KILLS takes options.
check_LTLIBRARIES += witness.la
KILLS = --points 100 --others 10 --jobs 2 --json kills.json
kills: all witness.la
	$(AM_V_at)$(AM_TESTS_ENVIRONMENT) srcdir='$(srcdir)' $(PYTHON3) -B \
		$(srcdir)/tests/e2e/sim_kills $(KILLS)

# `make threats`: hostile peers, with every byte of what they may change.
threats: all witness.la $(check_PROGRAMS)
	$(AM_V_at)$(AM_TESTS_ENVIRONMENT) srcdir='$(srcdir)' $(PYTHON3) -B \
		$(srcdir)/tests/e2e/threats_donor --all
	$(AM_V_at)$(AM_TESTS_ENVIRONMENT) srcdir='$(srcdir)' $(PYTHON3) -B \
		$(srcdir)/tests/e2e/threats_client --all
CLEANFILES += kills.json
endif
endif
# Preloaded into other programs by tests; libtool builds such a thing only where it has a -rpath.
witness_la_SOURCES = tests/e2e/witness.c
witness_la_LDFLAGS = $(AM_LDFLAGS) $(module_ldflags) -rpath /nowhere
witness_la_LIBADD =
if OPENIPMI
if RECIPIENT
check_PROGRAMS += tests/e2e/openipmi_recover
tests_e2e_openipmi_recover_CFLAGS = $(AM_CFLAGS) $(OPENIPMI_CFLAGS)
tests_e2e_openipmi_recover_LDADD = libfwrecover-openipmi.la libfwrecover.la $(OPENIPMI_LIBS)
check_scripts += tests/e2e/openipmi_adapter
EXTRA_DIST += tests/e2e/openipmi.supp
endif
endif
if EMULATORS
check_scripts += tests/e2e/icmb_bus
endif
# A virtual machine with a kernel that has Bluetooth; `make check-bluetooth` shows what it says.
check_PROGRAMS += tests/e2e/bluetooth_node
EXTRA_DIST += tests/e2e/bluetooth_guest
if TOOLS
if RECIPIENT
if DONOR
check_scripts += tests/e2e/bluetooth tests/e2e/tool_icmb
endif
endif
endif
check-bluetooth: all tests/e2e/bluetooth_node
	$(AM_V_at)$(srcdir)/quickstart install bluetooth
	$(AM_V_at)$(AM_TESTS_ENVIRONMENT) srcdir='$(srcdir)' $(PYTHON3) -B \
		$(srcdir)/tests/e2e/bluetooth
distclean-local:
	-rm -rf bluetooth-kernel
.PHONY: kills threats check-bluetooth
