# SPDX-License-Identifier: Apache-2.0
if RECIPIENT
if DONOR
check_LTLIBRARIES += tests/sim/libworld.la
tests_sim_libworld_la_SOURCES = tests/sim/world.c tests/sim/world.h
sim_tests = tests/sim/test_recovery tests/sim/test_refusals tests/sim/test_powercut \
	tests/sim/test_figures tests/sim/test_push tests/sim/test_geometry \
	tests/sim/test_replies tests/sim/test_donors
check_PROGRAMS += $(sim_tests)
TESTS += $(sim_tests)
tests_sim_test_recovery_LDADD = tests/sim/libworld.la $(LDADD)
tests_sim_test_push_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_figures_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=malloc -Wl,--wrap=calloc -Wl,--wrap=realloc
tests_sim_test_figures_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_powercut_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_refusals_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_geometry_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_donors_LDADD = $(tests_sim_test_recovery_LDADD)
tests_sim_test_replies_LDADD = $(tests_sim_test_recovery_LDADD)
endif
endif
