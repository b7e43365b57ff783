# SPDX-License-Identifier: Apache-2.0
# Fuzz targets: tests/fuzz/fuzz_NOUN from fuzz_NOUN.c, built by configure --enable-fuzzing with
# CC=clang. `make check` gives each a fixed number of runs from a fixed seed; `make fuzz
# FUZZ_SECONDS=n` gives each n seconds, and keeps what it learned in fuzz-corpus/.
fuzz_targets = tests/fuzz/fuzz_command tests/fuzz/fuzz_envelope tests/fuzz/fuzz_manifest \
	tests/fuzz/fuzz_trust
if DONOR
fuzz_targets += tests/fuzz/fuzz_donor tests/fuzz/fuzz_rmcp
endif
fuzz_ldflags = $(AM_LDFLAGS) $(FWR_FUZZ_LDFLAGS)
tests_fuzz_fuzz_command_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_donor_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_envelope_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_manifest_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_rmcp_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_trust_LDFLAGS = $(fuzz_ldflags)

if FUZZING
check_PROGRAMS += $(fuzz_targets)
endif
check_scripts += tests/fuzz/check

FUZZ_SECONDS = 60
fuzz: $(fuzz_targets)
	$(AM_V_at)for target in $(fuzz_targets); do \
		FUZZ_LIMIT=-max_total_time=$(FUZZ_SECONDS) PYTHON3='$(PYTHON3)' \
			$(srcdir)/tests/fuzz/run '$(srcdir)' $$target || exit 1; \
	done
EXTRA_DIST += tests/fuzz/run
.PHONY: fuzz
