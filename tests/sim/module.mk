# SPDX-License-Identifier: Apache-2.0
if RECIPIENT
if DONOR
check_LTLIBRARIES += tests/sim/libworld.la
tests_sim_libworld_la_SOURCES = tests/sim/world.c tests/sim/world.h
sim_tests = tests/sim/test_recovery tests/sim/test_refusals tests/sim/test_powercut \
	tests/sim/test_figures tests/sim/test_push tests/sim/test_geometry \
	tests/sim/test_replies tests/sim/test_donors tests/sim/test_calls \
	tests/sim/test_waived tests/sim/test_control tests/sim/test_restarts \
	tests/sim/test_crypto_faults tests/sim/test_report
sim_tests += tests/sim/test_floors tests/sim/test_rotation
sim_tests += tests/sim/test_requests
sim_tests += tests/sim/test_liars tests/sim/test_skew tests/sim/test_roads \
	tests/sim/test_slow_roads
sim_tests += tests/sim/test_spare
check_PROGRAMS += $(sim_tests)
TESTS += $(sim_tests)
tests_sim_test_recovery_LDADD = tests/sim/libworld.la $(LDADD)
tests_sim_test_floors_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_rotation_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_push_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_figures_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
tests_sim_test_figures_LDADD = $(tests_sim_test_recovery_LDADD)

# `make powercut`: every power cut of every scenario, some ten minutes. POWERCUT takes options,
# for example POWERCUT="--quick" or POWERCUT="--scenario small".
check_LTLIBRARIES += tests/sim/libpowercut.la
tests_sim_libpowercut_la_SOURCES = tests/sim/powercut.h tests/sim/powercut-sweep.c \
	tests/sim/powercut-scenarios.c tests/sim/disk.c tests/sim/disk.h
tests_sim_libpowercut_la_LIBADD = tests/sim/libicmb.la
# The directory store's calls go to a disk in memory (disk.h). Some systems have names of their
# own for those with large offsets.
disk_ldflags = $(AM_LDFLAGS) -Wl,--wrap=openat,--wrap=openat64,--wrap=close,--wrap=pread \
	-Wl,--wrap=pread64,--wrap=pwrite,--wrap=pwrite64,--wrap=fdatasync,--wrap=fsync \
	-Wl,--wrap=renameat,--wrap=unlinkat
check_PROGRAMS += tests/sim/powercut
tests_sim_powercut_LDFLAGS = $(disk_ldflags)
tests_sim_powercut_LDADD = tests/sim/libpowercut.la $(LDADD)
tests_sim_test_powercut_LDFLAGS = $(disk_ldflags)
tests_sim_test_powercut_LDADD = tests/sim/libpowercut.la $(LDADD)
POWERCUT = --json powercut.json
powercut: tests/sim/powercut
	tests/sim/powercut $(POWERCUT)
MOSTLYCLEANFILES += powercut.json
tests_sim_test_refusals_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_geometry_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_spare_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_waived_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_crypto_faults_SOURCES = tests/sim/test_crypto_faults.c $(crypto_faults)
tests_sim_test_crypto_faults_LDFLAGS = $(crypto_faults_ldflags)
tests_sim_test_crypto_faults_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_report_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_requests_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_control_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_donors_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_calls_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_replies_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_restarts_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_skew_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_liars_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_roads_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_slow_roads_LDADD = $(tests_sim_test_recovery_LDADD)

# `make fleet`: 10,000 recipients that fail in the same second. FLEET takes options, for
# example FLEET="--nodes 1000 --seeds 1 --loss 10 --load 64k".
check_LTLIBRARIES += tests/sim/libfleet.la
tests_sim_libfleet_la_SOURCES = tests/sim/fleet.h tests/sim/fleet-image.c tests/sim/fleet-net.c \
	tests/sim/fleet-node.c tests/sim/fleet-world.c tests/sim/fleet-bound.c tests/sim/fleet-plot.c \
	tests/sim/queue.c tests/sim/queue.h
fleet_ldflags = $(AM_LDFLAGS) -Wl,--wrap=fwr_hash_leaf,--wrap=fwr_tree_part_build
check_PROGRAMS += tests/sim/fleet tests/sim/fleet_bound tests/sim/test_fleet
TESTS += tests/sim/test_fleet
tests_sim_fleet_LDFLAGS = $(fleet_ldflags)
tests_sim_fleet_LDADD = tests/sim/libfleet.la $(LDADD)
tests_sim_fleet_bound_LDFLAGS = $(fleet_ldflags)
tests_sim_fleet_bound_LDADD = tests/sim/libfleet.la $(LDADD)
tests_sim_test_fleet_LDFLAGS = $(fleet_ldflags)
tests_sim_test_fleet_LDADD = tests/sim/libfleet.la $(LDADD)
FLEET =
fleet: tests/sim/fleet tests/sim/fleet_bound
	tests/sim/fleet_bound
	tests/sim/fleet $(FLEET)
MOSTLYCLEANFILES += fleet.json fleet.svg

# `make sim`: whole worlds, each from one seed; SEEDS=10000 for many, SEED=7 to see one.
box_sources = tests/sim/queue.c tests/sim/queue.h tests/sim/box.h tests/sim/box.c \
	tests/sim/box-plan.c tests/sim/box-node.c tests/sim/box-bmc.c tests/sim/box-watch.c \
	tests/sim/box-console.c tests/sim/box-liar.c tests/sim/box-hand.c tests/sim/box-net.c \
	tests/sim/box-icmb.c tests/sim/box-mischief.c tests/sim/box-trace.c
check_LTLIBRARIES += tests/sim/libbox.la
tests_sim_libbox_la_SOURCES = $(box_sources)
tests_sim_libbox_la_LIBADD = tests/sim/libicmb.la
check_PROGRAMS += tests/sim/sim
tests_sim_sim_LDADD = tests/sim/libbox.la $(LDADD)
check_PROGRAMS += tests/sim/test_box
TESTS += tests/sim/test_box
tests_sim_test_box_LDADD = tests/sim/libbox.la $(LDADD)
check_scripts += tests/sim/sim_first_half tests/sim/sim_second_half
SEEDS = 1000
SEED =
sim: tests/sim/sim
	tests/sim/sim $(if $(SEED),--seed $(SEED) --trace,--seeds $(SEEDS))

# `make icmb`: recoveries and discovery on an ICMB at 19,200 bit/s, on virtual time.
check_LTLIBRARIES += tests/sim/libicmb.la
tests_sim_libicmb_la_SOURCES = tests/sim/icmb-net.c tests/sim/icmb-net.h tests/sim/icmb-world.c \
	tests/sim/icmb-world.h tests/sim/icmb-row.c tests/sim/icmb-row.h ipmi-sim/wire.c \
	ipmi-sim/wire.h
tests_sim_libicmb_la_CFLAGS = $(AM_CFLAGS) # objects of its own: programs have wire.c too
tests_sim_libicmb_la_LIBADD = tests/sim/libworld.la
check_PROGRAMS += tests/sim/icmb tests/sim/test_icmb
TESTS += tests/sim/test_icmb
tests_sim_icmb_LDADD = tests/sim/libicmb.la $(LDADD)
tests_sim_test_icmb_LDADD = tests/sim/libicmb.la $(LDADD)
ICMB = --json icmb.json
icmb: tests/sim/icmb
	tests/sim/icmb $(ICMB)
MOSTLYCLEANFILES += icmb.json

# One test of every row of the table in doc/SECURITY.md.
check_LTLIBRARIES += tests/sim/libthreat.la
tests_sim_libthreat_la_SOURCES = tests/sim/threat.c tests/sim/threat.h
tests_sim_libthreat_la_LIBADD = tests/sim/libworld.la
threat_tests = tests/sim/test_threats_image \
	tests/sim/test_threats_version \
	tests/sim/test_threats_donor \
	tests/sim/test_threats_peer \
	tests/sim/test_threats_flash
check_PROGRAMS += $(threat_tests)
TESTS += $(threat_tests)
tests_sim_test_threats_image_LDADD = tests/sim/libthreat.la $(LDADD)
tests_sim_test_threats_version_LDADD = tests/sim/libthreat.la $(LDADD)
tests_sim_test_threats_donor_LDADD = tests/sim/libthreat.la $(LDADD)
tests_sim_test_threats_peer_LDADD = tests/sim/libthreat.la $(LDADD)
tests_sim_test_threats_flash_LDADD = tests/sim/libthreat.la $(LDADD)
endif
endif
.PHONY: fleet icmb powercut sim
