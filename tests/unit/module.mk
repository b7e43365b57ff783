# SPDX-License-Identifier: Apache-2.0
unit_tests += tests/unit/test_error
unit_tests += tests/unit/test_tty
unit_tests += tests/unit/test_serial_frame tests/unit/test_serial_responder \
	tests/unit/test_serial_road
EXTRA_DIST += tests/unit/serial_line.h
unit_tests += tests/unit/test_cursor tests/unit/test_codec
unit_tests += tests/unit/test_tree tests/unit/test_manifest tests/unit/test_trust \
	tests/unit/test_envelope
EXTRA_DIST += tests/unit/seeded.h tests/unit/keys.h tests/unit/keys
unit_tests += tests/unit/test_crc32 tests/unit/test_platform tests/unit/test_flash_ramnor
unit_tests += tests/unit/test_banks_slots
unit_tests += tests/unit/test_command
tests_unit_test_command_SOURCES = tests/unit/test_command.c tests/unit/vectors.c \
	tests/unit/vectors.h
if DONOR
unit_tests += tests/unit/test_rmcp_handshake tests/unit/test_rmcp_initiator \
	tests/unit/test_rmcp_responder tests/unit/test_rmcp_session \
	tests/unit/test_rmcp_insider tests/unit/test_rmcp_road
endif
EXTRA_DIST += tests/unit/rmcp_pair.h
EXTRA_DIST += tests/unit/given_image.h
unit_tests += tests/unit/test_dispatch
unit_tests += tests/unit/test_image_vectors
tests_unit_test_image_vectors_SOURCES = tests/unit/test_image_vectors.c tests/unit/vectors.c \
	tests/unit/vectors.h
unit_tests += tests/unit/test_flash_file tests/unit/test_store_dir tests/unit/test_store_ram
unit_tests += tests/unit/test_source_file tests/unit/test_source_flash tests/unit/test_host
EXTRA_DIST += tests/unit/scratch.h
unit_tests += tests/unit/test_lan tests/unit/test_discover
unit_tests += tests/unit/test_store_cuts
tests_unit_test_store_cuts_LDFLAGS = $(AM_LDFLAGS) \
	-Wl,--wrap=fdatasync,--wrap=fsync,--wrap=renameat,--wrap=unlinkat
if DONOR
unit_tests += tests/unit/test_donor tests/unit/test_broadcast
endif
unit_tests += tests/unit/test_exchange
tests_unit_test_exchange_SOURCES = tests/unit/test_exchange.c tests/unit/vectors.c \
	tests/unit/vectors.h
if RECIPIENT
unit_tests += tests/unit/test_cookie tests/unit/test_journal tests/unit/test_policy
endif
if OPENIPMI
if RECIPIENT
unit_tests += tests/unit/test_openipmi
tests_unit_test_openipmi_SOURCES = tests/unit/test_openipmi.c oem-cmds/openipmi.c
tests_unit_test_openipmi_CFLAGS = $(AM_CFLAGS) $(OPENIPMI_CFLAGS)
tests_unit_test_openipmi_LDADD = $(LDADD) $(OPENIPMI_LIBS)
endif
endif
unit_tests += tests/unit/test_tool_input
tests_unit_test_tool_input_SOURCES = tests/unit/test_tool_input.c \
	tools/layout.c tools/number.c tools/say.c
if TOOLS
unit_tests += tests/unit/test_outbox tests/unit/test_peers
endif
tests_unit_test_outbox_SOURCES = tests/unit/test_outbox.c tools/outbox.c tools/outbox.h
tests_unit_test_peers_SOURCES = tests/unit/test_peers.c tools/peers.c tools/json.c tools/number.c
tests_unit_test_peers_CFLAGS = $(AM_CFLAGS) $(JSON_C_CFLAGS)
tests_unit_test_peers_LDADD = $(LDADD) $(JSON_C_LIBS)
unit_tests += tests/unit/test_floors
EXTRA_DIST += tests/unit/fake_floors.h

# Every function of libcrypto that crypto_faults.c can make fail, or whose objects it counts.
crypto_faults = tests/unit/crypto_faults.c tests/unit/crypto_faults.h
crypto_faults_ldflags = $(AM_LDFLAGS) $(addprefix -Wl$(comma)--wrap=, $(wrapped))
comma = ,
wrapped = BIO_ctrl BIO_free BIO_new BIO_new_mem_buf BN_free BUF_MEM_free BUF_MEM_grow BUF_MEM_new \
	CRYPTO_free EVP_CIPHER_CTX_free EVP_CIPHER_CTX_new EVP_CIPHER_CTX_set_padding \
	EVP_CIPHER_fetch EVP_CIPHER_free EVP_CipherInit_ex2 EVP_CipherUpdate EVP_Digest \
	EVP_DigestFinal_ex EVP_DigestInit_ex2 EVP_DigestSign EVP_DigestSignInit_ex \
	EVP_DigestUpdate EVP_DigestVerify EVP_DigestVerifyInit_ex EVP_MAC_CTX_free EVP_MAC_CTX_new \
	EVP_MAC_fetch EVP_MAC_final EVP_MAC_free EVP_MAC_init EVP_MAC_update EVP_MD_CTX_free \
	EVP_MD_CTX_new EVP_MD_fetch EVP_MD_free EVP_PKEY_Q_keygen EVP_PKEY_free EVP_PKEY_get_bits \
	EVP_PKEY_get_bn_param EVP_PKEY_get_group_name EVP_PKEY_get_octet_string_param \
	EVP_PKEY_get_raw_public_key EVP_PKEY_get_utf8_string_param EVP_PKEY_set_utf8_string_param \
	PEM_read_bio PEM_read_bio_PUBKEY PEM_read_bio_PrivateKey PEM_write_bio_PKCS8PrivateKey \
	PEM_write_bio_PUBKEY d2i_PUBKEY i2d_PUBKEY
unit_tests += tests/unit/test_image_crypto_faults
tests_unit_test_image_crypto_faults_SOURCES = tests/unit/test_image_crypto_faults.c $(crypto_faults)
tests_unit_test_image_crypto_faults_LDFLAGS = $(crypto_faults_ldflags)
if DONOR
unit_tests += tests/unit/test_rmcp_crypto_faults
endif
tests_unit_test_rmcp_crypto_faults_SOURCES = tests/unit/test_rmcp_crypto_faults.c \
	tests/unit/rmcp_pair.h $(crypto_faults)
tests_unit_test_rmcp_crypto_faults_LDFLAGS = $(crypto_faults_ldflags)
unit_tests += tests/unit/test_keyring
EXTRA_DIST += tests/unit/given_trust.h
unit_tests += tests/unit/test_wire
tests_unit_test_wire_SOURCES = tests/unit/test_wire.c ipmi-sim/wire.c ipmi-sim/wire.h
unit_tests += tests/unit/test_icmb_bridge
icmb_bus = tests/unit/icmb_bus.h ipmi-sim/wire.c ipmi-sim/wire.h
tests_unit_test_icmb_bridge_SOURCES = tests/unit/test_icmb_bridge.c $(icmb_bus)
unit_tests += tests/unit/test_icmb_frame tests/unit/test_icmb_discovery
tests_unit_test_icmb_discovery_SOURCES = tests/unit/test_icmb_discovery.c $(icmb_bus)
unit_tests += tests/unit/test_icmb_road
tests_unit_test_icmb_road_SOURCES = tests/unit/test_icmb_road.c $(icmb_bus)
unit_tests += tests/unit/test_icmb_line
tests_unit_test_icmb_line_SOURCES = tests/unit/test_icmb_line.c $(icmb_bus)
unit_tests += tests/unit/test_rfcomm
tests_unit_test_rfcomm_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=socket,--wrap=bind,--wrap=listen \
	-Wl,--wrap=accept,--wrap=connect,--wrap=getsockopt,--wrap=close
