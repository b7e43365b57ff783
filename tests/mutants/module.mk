# SPDX-License-Identifier: Apache-2.0
# `make mutants`: faults that the tests must notice; MUTANTS="04 21" chooses some of them.
# `make powercut-mutants`: six of them against the sweep of power cuts, in a table.
EXTRA_DIST += tests/mutants/list
dist_check_SCRIPTS += tests/mutants/run
if RECIPIENT
if DONOR
MUTANTS =
run_mutants = CC='$(CC)' FLAGS='$(CFLAGS) $(CRYPTO_CFLAGS)' LIBS='$(CRYPTO_LIBS) $(LZ4_LIBS) $(CMOCKA_LIBS)' \
	SOURCES='$(fwr_sources) $(fwr_file_sources) $(fwr_emulator_sources)' \
	srcdir='$(srcdir)' builddir='$(builddir)' $(srcdir)/tests/mutants/run
mutants:
	$(AM_V_at)$(run_mutants) $(MUTANTS)
powercut-mutants:
	$(AM_V_at)$(run_mutants) --sweep
endif
endif
.PHONY: mutants powercut-mutants
