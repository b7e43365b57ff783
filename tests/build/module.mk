# SPDX-License-Identifier: Apache-2.0
# Tests of the build itself: public headers, exported names, an installed copy; and, on demand,
# the unit tests on other machines and the builds with parts left out.
check_scripts += tests/build/headers tests/build/exports tests/build/installed
EXTRA_DIST += tests/build/cross tests/build/variants tests/build/program.c

# A 32-bit and a big-endian machine under qemu-user; needs Debian and the network.
check-cross:
	$(srcdir)/tests/build/cross $(srcdir) cross

check-variants:
	$(srcdir)/tests/build/variants $(srcdir) variants

.PHONY: check-cross check-variants
