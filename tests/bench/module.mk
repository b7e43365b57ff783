# SPDX-License-Identifier: Apache-2.0
# `make bench` prints one table and writes bench.json. Its programs are built with the tests, so
# that they do not rot.
bench_programs = tests/bench/floor_rmcp tests/bench/hash_file tests/bench/packets
check_PROGRAMS += tests/bench/floor_rmcp tests/bench/hash_file tests/bench/packets
tests_bench_floor_rmcp_LDADD = $(CRYPTO_LIBS)
tests_bench_hash_file_LDADD = $(CRYPTO_LIBS)
if RECIPIENT
bench_programs += tests/bench/stack
check_PROGRAMS += tests/bench/stack
endif
if OPENIPMI
bench_programs += acknowledge.la
check_LTLIBRARIES += acknowledge.la
endif
acknowledge_la_SOURCES = tests/bench/acknowledge.c
acknowledge_la_CFLAGS = $(AM_CFLAGS) $(OPENIPMI_CFLAGS)
# A module that is not installed: libtool builds what dlopen takes only where it has a -rpath.
acknowledge_la_LDFLAGS = $(AM_LDFLAGS) $(module_ldflags) -rpath /nowhere
dist_check_SCRIPTS += tests/bench/bench

bench: all $(bench_programs)
	$(AM_V_at)$(AM_TESTS_ENVIRONMENT) srcdir='$(srcdir)' $(PYTHON3) -B $(srcdir)/tests/bench/bench
.PHONY: bench
CLEANFILES += bench.json
clean-local:
	-rm -rf recipient-only
