# SPDX-License-Identifier: Apache-2.0
# Tests of the build itself: public headers, exported names, an installed copy; and, on demand,
# the unit tests on other machines and the builds with parts left out.
check_scripts += tests/build/headers tests/build/exports tests/build/installed
EXTRA_DIST += tests/build/cross tests/build/variants tests/build/analyze \
	tests/build/coverage tests/build/program.c .clang-tidy

# A 32-bit and a big-endian machine under qemu-user; needs Debian and the network.
check-cross:
	$(srcdir)/tests/build/cross $(srcdir) cross

check-variants:
	$(srcdir)/tests/build/variants $(srcdir) variants

# gcc -fanalyzer, clang-tidy, cppcheck and clang-format.
analyze: all
	$(srcdir)/tests/build/analyze $(srcdir) -I$(abs_top_builddir)/include \
		-I$(abs_top_srcdir)/include -I$(abs_top_srcdir)/lib -I$(abs_top_srcdir) \
		-I$(abs_top_builddir) -DHAVE_CONFIG_H -D_POSIX_C_SOURCE=200809L -D_DEFAULT_SOURCE \
		-D_FILE_OFFSET_BITS=64 $(CRYPTO_CFLAGS) $(JSON_C_CFLAGS) $(CONFUSE_CFLAGS) \
		$(OPENIPMI_CFLAGS)

# What the tests run through, in a copy with gcov's counters; COVERAGE takes options.
COVERAGE =
coverage:
	$(PYTHON3) -B $(srcdir)/tests/build/coverage $(srcdir) coverage --json coverage.json $(COVERAGE)
CLEANFILES += coverage.json

.PHONY: check-cross check-variants analyze coverage
