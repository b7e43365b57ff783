# SPDX-License-Identifier: Apache-2.0
# Fuzz targets: tests/fuzz/fuzz_NOUN from fuzz_NOUN.c. `make check` runs each on the corpus,
# tests/fuzz/corpus/NOUN, and on a fixed number of changed copies of it, in every build: with a
# main of our own (replay.c), or with libFuzzer after configure --enable-fuzzing CC=clang. Then
# also: `make fuzz-smoke` gives each target 30 seconds, `make fuzz FUZZ_SECONDS=n` n seconds, in
# `make fuzz FUZZ_TARGETS="fuzz_donor fuzz_rmcp"` only these; each prints a line of a table and
# keeps what it learned in fuzz-corpus/. `make fuzz-minimize` takes the best of that into the
# source tree's corpus. With CC=afl-clang-fast the same programs are AFL++'s.
fuzz_targets = tests/fuzz/fuzz_command tests/fuzz/fuzz_envelope tests/fuzz/fuzz_manifest \
	tests/fuzz/fuzz_discover tests/fuzz/fuzz_icmb_bridge tests/fuzz/fuzz_icmb_frame \
	tests/fuzz/fuzz_initiator tests/fuzz/fuzz_keyring tests/fuzz/fuzz_store_dir \
	tests/fuzz/fuzz_layout tests/fuzz/fuzz_serial tests/fuzz/fuzz_trust
if OPENIPMI
fuzz_targets += tests/fuzz/fuzz_config
endif
if DONOR
fuzz_targets += tests/fuzz/fuzz_donor tests/fuzz/fuzz_rmcp tests/fuzz/fuzz_responder
endif
if RECIPIENT
if DONOR
fuzz_targets += tests/fuzz/fuzz_recipient tests/fuzz/fuzz_journal
endif
endif
check_PROGRAMS += $(fuzz_targets)

fuzz_main = tests/fuzz/fuzz.h
if !FUZZING
fuzz_main += tests/fuzz/replay.c
endif
fuzz_ldflags = $(AM_LDFLAGS) $(FWR_FUZZ_LDFLAGS)
fuzz_ldadd = libfwrecover-all.la $(CRYPTO_LIBS)
tests_fuzz_fuzz_command_SOURCES = tests/fuzz/fuzz_command.c $(fuzz_main)
tests_fuzz_fuzz_command_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_command_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c ipmi-sim/config.c tools/number.c $(fuzz_main)
tests_fuzz_fuzz_config_CFLAGS = $(AM_CFLAGS) $(OPENIPMI_CFLAGS) $(CONFUSE_CFLAGS)
tests_fuzz_fuzz_config_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_config_LDADD = $(fuzz_ldadd) $(CONFUSE_LIBS)
tests_fuzz_fuzz_discover_SOURCES = tests/fuzz/fuzz_discover.c $(fuzz_main)
tests_fuzz_fuzz_discover_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_discover_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_donor_SOURCES = tests/fuzz/fuzz_donor.c $(fuzz_main)
tests_fuzz_fuzz_donor_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_donor_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_envelope_SOURCES = tests/fuzz/fuzz_envelope.c $(fuzz_main)
tests_fuzz_fuzz_envelope_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_envelope_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_icmb_bridge_SOURCES = tests/fuzz/fuzz_icmb_bridge.c $(fuzz_main)
tests_fuzz_fuzz_icmb_bridge_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_icmb_bridge_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_icmb_frame_SOURCES = tests/fuzz/fuzz_icmb_frame.c $(fuzz_main)
tests_fuzz_fuzz_icmb_frame_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_icmb_frame_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_initiator_SOURCES = tests/fuzz/fuzz_initiator.c tests/fuzz/rmcp_hostile.h $(fuzz_main)
tests_fuzz_fuzz_initiator_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_initiator_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_journal_SOURCES = tests/fuzz/fuzz_journal.c tests/fuzz/small_world.h $(fuzz_main)
tests_fuzz_fuzz_journal_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_journal_LDADD = tests/sim/libworld.la $(fuzz_ldadd)
tests_fuzz_fuzz_keyring_SOURCES = tests/fuzz/fuzz_keyring.c $(fuzz_main)
tests_fuzz_fuzz_keyring_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_keyring_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_layout_SOURCES = tests/fuzz/fuzz_layout.c tools/layout.c tools/number.c tools/say.c \
	$(fuzz_main)
tests_fuzz_fuzz_layout_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_layout_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_manifest_SOURCES = tests/fuzz/fuzz_manifest.c $(fuzz_main)
tests_fuzz_fuzz_manifest_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_manifest_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_recipient_SOURCES = tests/fuzz/fuzz_recipient.c tests/fuzz/small_world.h $(fuzz_main)
tests_fuzz_fuzz_recipient_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_recipient_LDADD = tests/sim/libworld.la $(fuzz_ldadd)
tests_fuzz_fuzz_responder_SOURCES = tests/fuzz/fuzz_responder.c tests/fuzz/rmcp_hostile.h $(fuzz_main)
tests_fuzz_fuzz_responder_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_responder_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_rmcp_SOURCES = tests/fuzz/fuzz_rmcp.c $(fuzz_main)
tests_fuzz_fuzz_rmcp_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_rmcp_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_serial_SOURCES = tests/fuzz/fuzz_serial.c $(fuzz_main)
tests_fuzz_fuzz_serial_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_serial_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_store_dir_SOURCES = tests/fuzz/fuzz_store_dir.c $(fuzz_main)
tests_fuzz_fuzz_store_dir_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_store_dir_LDADD = $(fuzz_ldadd)
tests_fuzz_fuzz_trust_SOURCES = tests/fuzz/fuzz_trust.c $(fuzz_main)
tests_fuzz_fuzz_trust_LDFLAGS = $(fuzz_ldflags)
tests_fuzz_fuzz_trust_LDADD = $(fuzz_ldadd)

check_scripts += tests/fuzz/check
EXTRA_DIST += tests/fuzz/run tests/fuzz/minimize tests/fuzz/corpus

FUZZ_SECONDS = 60
FUZZ_TARGETS = $(notdir $(fuzz_targets))
fuzz: $(fuzz_targets)
	$(AM_V_at)$(srcdir)/tests/fuzz/run '$(srcdir)' '$(FUZZ_SECONDS)' $(FUZZ_TARGETS)
fuzz-smoke: $(fuzz_targets)
	$(AM_V_at)$(MAKE) fuzz FUZZ_SECONDS=30
fuzz-minimize: $(fuzz_targets)
	$(AM_V_at)$(srcdir)/tests/fuzz/minimize '$(srcdir)' $(FUZZ_TARGETS)
.PHONY: fuzz fuzz-smoke fuzz-minimize
