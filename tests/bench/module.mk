# SPDX-License-Identifier: Apache-2.0
check_PROGRAMS += tests/bench/floor_rmcp
tests_bench_floor_rmcp_LDADD = $(CRYPTO_LIBS)
