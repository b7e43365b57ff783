# SPDX-License-Identifier: Apache-2.0
# `make mutants`: faults that the tests must notice; MUTANTS="04 21" chooses some of them.
EXTRA_DIST += tests/mutants/list
dist_check_SCRIPTS += tests/mutants/run
if RECIPIENT
if DONOR
MUTANTS =
mutants:
	CC='$(CC)' FLAGS='$(CFLAGS) $(CRYPTO_CFLAGS)' LIBS='$(CRYPTO_LIBS) $(CMOCKA_LIBS)' \
	SOURCES='$(fwr_sources) $(fwr_file_sources) $(fwr_emulator_sources)' \
	srcdir='$(srcdir)' builddir='$(builddir)' $(srcdir)/tests/mutants/run $(MUTANTS)
endif
endif
.PHONY: mutants
