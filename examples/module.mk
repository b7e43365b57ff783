# SPDX-License-Identifier: Apache-2.0
if RECIPIENT
if FILE_BACKENDS
noinst_PROGRAMS += examples/recover
examples_recover_SOURCES = examples/recover.c
examples_recover_LDADD = libfwrecover.la
endif
endif
