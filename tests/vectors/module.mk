# SPDX-License-Identifier: Apache-2.0
vector_files = tests/vectors/donor.txt tests/vectors/recipient.txt tests/vectors/pages.txt \
	tests/vectors/refused.txt tests/vectors/exchange.txt tests/vectors/image.txt \
	tests/vectors/tree.txt
EXTRA_DIST += $(vector_files) tests/vectors/make_vectors.py tests/vectors/fwr_wire.py \
	tests/vectors/ed25519.py tests/vectors/given.py
check_scripts += tests/vectors/check

# After a change of doc/WIRE.md and fwr_wire.py.
vectors:
	$(PYTHON3) -B $(srcdir)/tests/vectors/make_vectors.py write $(srcdir)/tests/vectors
.PHONY: vectors
