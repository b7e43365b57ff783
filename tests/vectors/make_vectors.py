#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the vectors beside this file from fwr_wire.py, or checks that they are what it makes.

    make_vectors.py write DIR    writes DIR/*.txt
    make_vectors.py check DIR    compares; prints the first difference, ends with 1
    make_vectors.py seeds DIR    writes DIR/FORMAT/NAME, the bytes alone, for the fuzz targets
"""
import pathlib
import sys

import ed25519
import fwr_wire as wire
import given

HEADER = """\
# SPDX-License-Identifier: Apache-2.0
# {title}
#
# Made by make_vectors.py from fwr_wire.py, which was written from doc/WIRE.md: do not edit.
# Vectors are separated by an empty line and consist of lines
#   name: ...       unique in this folder
#   direction: ...  request, reply, page, entry (of a list), or format (an image format)
#   command: ...    who uses it
#   message: ...    the form of the bytes; several commands may share one
#   FIELD = VALUE   in the order of the bytes; numbers are decimal, byte strings hex, text is in
#                   quotes; a repeated FIELD is a list; reserved fields are not named
#   refused: ...    instead of fields: how a reader refuses the bytes (in image formats the
#                   kind of fault is advice; that it is refused is not)
#   bytes: ...      hex, continued on lines that begin with two spaces
#   lengths: ...    which prefixes of (the bytes and one byte 00h) a reader takes as a message
#   mutants: N      how many of the strings that differ from the bytes in exactly one byte a
#                   reader takes
"""


class Vectors:
    """One file."""

    def __init__(self, title):
        self.parts = [HEADER.format(title=title)]

    def add(self, name, direction, command, message, fields=(), refused=None, raw=None,
            reader=None, mutate=True):
        lines = [f"name: {name}", f"direction: {direction}", f"command: {command}",
                 f"message: {message}"]
        lines += [f"{key} = {text(value)}" for key, value in fields]
        if refused:
            lines.append(f"refused: {refused}")
        if raw is not None:
            wrapped = [raw[at:at + 32].hex(" ") for at in range(0, len(raw), 32)] or [""]
            lines.append(("bytes: " + "\n  ".join(wrapped)).rstrip())
        if reader:
            taken = [n for n in range(len(raw) + 2) if takes(reader, (raw + b"\0")[:n])]
            lines.append("lengths: " + " ".join(map(str, taken)))
            if mutate:
                lines.append(f"mutants: {count_mutants(reader, raw)}")
        self.parts.append("\n".join(lines) + "\n")

    def message(self, name, direction, command, message, **fields):
        """A well-formed message; its decoder must give the fields back."""
        raw = wire.encode_message(message, fields)
        assert wire.decode_message(message, raw) == fields, name
        self.add(name, direction, command, message, fields.items(), raw=raw,
                 reader=lambda some: wire.decode_message(message, some))

    def refusal(self, name, direction, command, message, raw):
        try:
            wire.decode_message(message, raw)
        except wire.Refused as why:
            self.add(name, direction, command, message, refused=str(why), raw=raw)
        else:
            raise AssertionError(f"{name} is not refused")

    def text(self):
        return "\n".join(self.parts)


def text(value):
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, tuple):
        return " ".join(map(text, value))
    return str(value)


def takes(reader, raw):
    try:
        reader(raw)
    except wire.Refused:
        return False
    return True


def count_mutants(reader, raw):
    count = 0
    for at in range(len(raw)):
        mutant = bytearray(raw)
        for value in range(256):
            mutant[at] = value
            count += value != raw[at] and takes(reader, bytes(mutant))
    return count


TAG = bytes.fromhex("8c2f6f0d1a77b3e5")
KEY = bytes.fromhex("00112233445566ff")
TRANSFER = 0xC0FFEE01
ALL = 0xFFFFFFFF


def donor_commands():
    v = Vectors("The commands of a donor, and Get Capabilities.")
    v.message("capabilities-request", "request", "00h Get Capabilities",
              "get_capabilities_request", cookie=0x11)
    v.message("capabilities-of-both-roles", "reply", "00h Get Capabilities",
              "get_capabilities_reply", cookie=0x11, wire_version=1, roles=3, max_request=197,
              max_reply=964, codecs=1, slots=2, window=15)
    v.message("capabilities-smallest", "reply", "00h Get Capabilities", "get_capabilities_reply",
              cookie=0, wire_version=1, roles=1, max_request=16, max_reply=19, codecs=1, slots=0,
              window=1)
    v.message("capabilities-largest", "reply", "00h Get Capabilities", "get_capabilities_reply",
              cookie=255, wire_version=255, roles=65535, max_request=65535, max_reply=65535,
              codecs=255, slots=255, window=255)
    v.message("request-image-by-key", "request", "01h Request Image", "request_image_request",
              cookie=0x12, kind=0, key=KEY, hardware_revision=0x0102, index=0)
    v.message("request-image-by-tag", "request", "01h Request Image", "request_image_request",
              cookie=0x13, kind=1, key=TAG, hardware_revision=65535, index=255)
    v.message("request-image-offer", "reply", "01h Request Image", "request_image_reply",
              cookie=0x12, result=2, count=3, load=25, retry=0, tag=TAG, sequence=0x01020304)
    v.message("request-image-busy", "reply", "01h Request Image", "request_image_reply",
              cookie=0x12, result=1, count=1, load=100, retry=600, tag=TAG, sequence=ALL)
    v.message("request-image-none", "reply", "01h Request Image", "request_image_reply",
              cookie=0x12, result=0, count=0, load=0, retry=0, tag=bytes(8), sequence=0)
    v.message("read-manifest", "request", "02h Read Manifest", "read_manifest_request",
              cookie=0x14, tag=TAG, offset=0x00010203, length=18)
    v.message("read-manifest-largest", "request", "02h Read Manifest", "read_manifest_request",
              cookie=0x14, tag=b"\xff" * 8, offset=ALL, length=65535)
    v.message("data-of-the-smallest-road", "reply",
              "02h Read Manifest, 04h Read Tree, 05h Read Blocks", "data_reply", cookie=0x14,
              data=bytes(range(0xA0, 0xB2)))
    v.message("data-at-the-end", "reply", "02h Read Manifest, 04h Read Tree", "data_reply",
              cookie=0x14, data=b"")
    v.message("accept", "request", "03h Accept Offer", "accept_offer_request", cookie=0x15,
              tag=TAG, nonce=0xA1B2C3D4)
    v.message("accept-ok", "reply", "03h Accept Offer", "accept_offer_reply", cookie=0x15,
              result=0, transfer=TRANSFER, lease=30, max_length=1024, window=15, retry=0,
              codecs=0x83)
    v.message("accept-busy", "reply", "03h Accept Offer", "accept_offer_reply", cookie=0x15,
              result=1, transfer=0, lease=0, max_length=0, window=0, retry=65535,
              codecs=0)
    v.message("accept-unknown", "reply", "03h Accept Offer", "accept_offer_reply", cookie=0x15,
              result=2, transfer=0, lease=0, max_length=0, window=0, retry=0,
              codecs=0)
    v.message("read-tree", "request", "04h Read Tree", "read_request", cookie=0x16,
              transfer=TRANSFER, offset=32, length=64, codec=0, skip=0)
    v.message("read-blocks", "request", "05h Read Blocks", "read_request", cookie=0x17,
              transfer=TRANSFER, offset=0x00FFF000, length=1, codec=0, skip=0)
    v.message("read-blocks-by-broadcast", "request", "05h Read Blocks", "read_request", cookie=0x17,
              transfer=TRANSFER, offset=0x00FFF000, length=4096, codec=0x80, skip=0)
    v.message("read-blocks-coded", "request", "05h Read Blocks", "read_request", cookie=0x17,
              transfer=TRANSFER, offset=0x00FFF000, length=18, codec=0x81, skip=0x0102)
    v.message("read-blocks-at-the-end-of-4-gib", "request", "05h Read Blocks", "read_request",
              cookie=0x18, transfer=ALL, offset=ALL, length=65535, codec=0, skip=0)
    v.message("block-data", "broadcast", "0Ah Block Data", "block_data", tag=0xA1B2C3D4,
              address=0x00FFF010, data=bytes(range(0xB0, 0xC0)))
    v.message("end-transfer", "request", "06h End Transfer", "end_transfer_request", cookie=0x19,
              transfer=TRANSFER, result=0)
    v.message("end-transfer-aborted", "request", "06h End Transfer", "end_transfer_request",
              cookie=0x19, transfer=0, result=88)
    v.message("end-transfer-reply", "reply", "06h End Transfer", "empty_reply", cookie=0x19)
    return v


def recipient_commands():
    v = Vectors("The commands of a recipient.")
    v.message("offer", "request", "07h Offer", "offer_request", cookie=0x21, slot=1, tag=TAG,
              sequence=0x11223344, kind=0)
    v.message("offer-trust", "request", "07h Offer", "offer_request", cookie=0x21, slot=0, tag=TAG,
              sequence=2, kind=1)
    v.message("offer-call", "request", "07h Offer", "offer_request", cookie=0x21, slot=0, tag=TAG,
              sequence=0x11223344, kind=2)
    v.message("offer-accepted", "reply", "07h Offer", "offer_reply", cookie=0x21, result=0,
              transfer=TRANSFER, lease=60)
    v.message("offer-not-wanted", "reply", "07h Offer", "offer_reply", cookie=0x21, result=1,
              transfer=0, lease=0)
    v.message("offer-busy", "reply", "07h Offer", "offer_reply", cookie=0x21, result=2,
              transfer=0, lease=0)
    v.message("get-wanted", "request", "08h Get Wanted", "get_wanted_request", cookie=0x22,
              transfer=TRANSFER, index=0x0102)
    ranges = [(0, 0, 12), (1, 0x20, 0x40), (2, 0xFFFFF000, 0xFFFFFF), (4, ALL, 1)]
    packed = b""
    for number, (item, offset, length) in enumerate(ranges):
        fields = dict(object=item, offset=offset, length=length)
        v.message(f"wanted-{number}", "entry", "08h Get Wanted", "wanted", **fields)
        packed += wire.encode_message("wanted", fields)
    v.message("get-wanted-two-and-more", "reply", "08h Get Wanted", "get_wanted_reply",
              cookie=0x22, more=1, ranges=packed[:16])
    v.message("get-wanted-last", "reply", "08h Get Wanted", "get_wanted_reply", cookie=0x22,
              more=0, ranges=packed[16:])
    v.message("get-wanted-nothing-now", "reply", "08h Get Wanted", "get_wanted_reply",
              cookie=0x22, more=0, ranges=b"")
    v.message("get-wanted-done", "reply", "08h Get Wanted", "get_wanted_reply", cookie=0x22,
              more=2, ranges=b"")
    v.message("write-data-of-the-smallest-road", "request", "09h Write Data",
              "write_data_request", cookie=0x23, transfer=TRANSFER, object=2, offset=0x10000,
              data=b"\x01\x02\x03\x04\x05\x06")
    v.message("write-data-one-byte", "request", "09h Write Data", "write_data_request",
              cookie=0x23, transfer=1, object=0, offset=ALL, data=b"\0")
    v.message("write-data-taken", "reply", "09h Write Data", "result_reply", cookie=0x23, result=0)
    v.message("write-data-wrong", "reply", "09h Write Data", "result_reply", cookie=0x23, result=2)
    v.message("start-repair", "request", "0Bh Start", "start_request", cookie=0x24, slot=0, run=7,
              mode=2)
    v.message("start-check", "request", "0Bh Start", "start_request", cookie=0x24, slot=255,
              run=ALL, mode=0)
    v.message("start-stale", "reply", "0Bh Start, 0Ch Abort", "result_reply", cookie=0x24,
              result=2)
    v.message("abort", "request", "0Ch Abort", "abort_request", cookie=0x25, slot=0, run=7)
    v.message("get-status", "request", "0Dh Get Status", "get_status_request", cookie=0x26, slot=0)
    v.message("status-repairing", "reply", "0Dh Get Status", "get_status_reply", cookie=0x26,
              slot=0, state=5, reason=0, permille=375, fetched=6, reused=10, run=7)
    v.message("status-failed", "reply", "0Dh Get Status", "get_status_reply", cookie=0x26, slot=1,
              state=11, reason=82, permille=1000, fetched=ALL, reused=ALL, run=ALL)
    v.message("status-no-recipient", "reply", "0Dh Get Status", "get_status_reply", cookie=0x26,
              slot=0, state=255, reason=0, permille=0, fetched=0, reused=0, run=0)
    v.message("set-policy-minimum-sequence", "request", "0Eh Set Policy", "set_policy_request",
              cookie=0x27, slot=0, generation=3, item=1, value=b"\x2a\0\0\0")
    v.message("set-policy-media", "request", "0Eh Set Policy", "set_policy_request", cookie=0x27,
              slot=0, generation=4, item=2, value=b"\x03")
    v.message("set-policy-longest", "request", "0Eh Set Policy", "set_policy_request",
              cookie=0x27, slot=255, generation=ALL, item=255, value=bytes(range(8)))
    v.message("set-policy-refused", "reply", "0Eh Set Policy", "result_reply", cookie=0x27,
              result=2)
    v.message("read-page", "request", "0Fh Read Page", "read_page_request", cookie=0x28, slot=0,
              page=2, generation=0, offset=0, length=16)
    v.message("read-page-largest", "request", "0Fh Read Page", "read_page_request", cookie=0x28,
              slot=255, page=255, generation=255, offset=ALL, length=65535)
    v.message("read-page-data", "reply", "0Fh Read Page", "read_page_reply", cookie=0x28,
              generation=1, data=b"a log line that f")
    v.message("read-page-end", "reply", "0Fh Read Page", "read_page_reply", cookie=0x28,
              generation=255, data=b"")
    return v


def pages():
    v = Vectors("The pages that Read Page gives.")
    counters = ["run", "sequence", "block_size", "blocks_total", "blocks_wrong", "blocks_fetched",
                "blocks_copied", "blocks_blank", "blocks_repaired", "blocks_refetched",
                "blocks_waived", "bytes_received", "bytes_preserved", "bad_block", "elapsed_ms",
                "log_start", "log_end"]
    values = {name: 0x01010101 * (n + 1) for n, name in enumerate(counters)}
    values.update(state=5, reason=41, mode=2, donors=3, tag=TAG)
    order = [field[0] for field in wire.MESSAGES["status_page"][0]]
    v.message("status-page", "page", "page 2 of 0Fh Read Page", "status_page",
              **{name: values[name] for name in order})
    v.message("policy-page", "page", "page 1 of 0Fh Read Page", "policy_page", min_sequence=42,
              media=0x3F, generation=0x01020304, security_floor=0x05060708,
              sequence_floor=0x090A0B0C)
    v.message("trust-page", "page", "page 4 of 0Fh Read Page", "trust_page", state=2, reason=14,
              generation=3, floor=0x01020304, length=400)
    v.message("peers-page", "page", "page 3 of 0Fh Read Page", "peers_page", count=4,
              entry_size=24)
    v.message("peer-serving", "entry", "page 3 of 0Fh Read Page", "peer_entry", peer=0, medium=1,
              reason=0, flags=11, tag=TAG, bytes=0x01020304, rate=0x05060708, round_trip=0x090A)
    v.message("peer-dropped", "entry", "page 3 of 0Fh Read Page", "peer_entry", peer=63, medium=5,
              reason=87, flags=5, tag=bytes(8), bytes=0, rate=0, round_trip=0)
    return v


def refusals():
    v = Vectors("Messages that a reader refuses.")

    def plain(message, **changes):
        """A message of zeros, or of each field's smallest value, with some changed."""
        fields, tail = wire.MESSAGES[message]
        values = {name: bytes(low) if form == "bytes" else low
                  for name, form, low, _ in fields if name}
        if tail[0] == "data":
            values[tail[1]] = bytes(tail[2] * tail[3])
        values.update(changes)
        return wire.encode_message(message, values)

    def spoilt(message, at, value):
        raw = bytearray(plain(message))
        raw[at] = value
        return bytes(raw)

    # Length comes first: a message may have other faults as well.
    v.refusal("refused-nothing", "request", "any", "get_capabilities_request", b"")
    v.refusal("refused-no-cookie", "reply", "any", "empty_reply", b"")
    v.refusal("refused-request-longer", "request", "01h Request Image", "request_image_request",
              plain("request_image_request") + b"\0")
    v.refusal("refused-short-and-spoilt", "request", "01h Request Image", "request_image_request",
              spoilt("request_image_request", 1, 9)[:-1])
    v.refusal("refused-short-reply", "reply", "01h Request Image", "request_image_reply",
              plain("request_image_reply")[:-1])
    v.refusal("refused-write-of-nothing", "request", "09h Write Data", "write_data_request",
              plain("write_data_request")[:-1])
    v.refusal("refused-policy-of-nothing", "request", "0Eh Set Policy", "set_policy_request",
              plain("set_policy_request")[:-1])
    v.refusal("refused-policy-of-9", "request", "0Eh Set Policy", "set_policy_request",
              plain("set_policy_request") + bytes(8))
    v.refusal("refused-half-a-range", "reply", "08h Get Wanted", "get_wanted_reply",
              plain("get_wanted_reply") + bytes(12))
    for name, direction, command, message, at, value in [
            ("wire-version-0", "reply", "00h Get Capabilities", "get_capabilities_reply", 1, 0),
            ("max-request-15", "reply", "00h Get Capabilities", "get_capabilities_reply", 4, 15),
            ("max-reply-18", "reply", "00h Get Capabilities", "get_capabilities_reply", 6, 18),
            ("window-0", "reply", "00h Get Capabilities", "get_capabilities_reply", 10, 0),
            ("kind-2", "request", "01h Request Image", "request_image_request", 1, 2),
            ("reserved-of-request-image", "request", "01h Request Image",
             "request_image_request", 13, 1),
            ("image-result-3", "reply", "01h Request Image", "request_image_reply", 1, 3),
            ("reserved-of-offer", "reply", "01h Request Image", "request_image_reply", 3, 0x80),
            ("load-101", "reply", "01h Request Image", "request_image_reply", 4, 101),
            ("read-manifest-of-0", "request", "02h Read Manifest", "read_manifest_request", 13,
             0),
            ("reserved-of-accept", "request", "03h Accept Offer", "accept_offer_request", 13, 2),
            ("accept-result-3", "reply", "03h Accept Offer", "accept_offer_reply", 1, 3),
            ("read-of-0", "request", "04h Read Tree, 05h Read Blocks", "read_request", 9, 0),
            ("codec-130", "request", "04h Read Tree, 05h Read Blocks", "read_request", 11, 130),
            ("kind-of-push-offer", "request", "07h Offer", "offer_request", 14, 3),
            ("offer-result-3", "reply", "07h Offer", "offer_reply", 1, 3),
            ("more-3", "reply", "08h Get Wanted", "get_wanted_reply", 1, 3),
            ("range-of-object-5", "entry", "08h Get Wanted", "wanted", 0, 5),
            ("range-of-0", "entry", "08h Get Wanted", "wanted", 5, 0),
            ("write-to-object-5", "request", "09h Write Data", "write_data_request", 5, 5),
            ("start-mode-3", "request", "0Bh Start", "start_request", 6, 3),
            ("start-run-0", "request", "0Bh Start", "start_request", 2, 0),
            ("abort-with-a-mode", "request", "0Ch Abort", "abort_request", 6, 2),
            ("abort-run-0", "request", "0Ch Abort", "abort_request", 2, 0),
            ("permille-1001", "reply", "0Dh Get Status", "get_status_reply", 5, 4),
            ("read-page-of-0", "request", "0Fh Read Page", "read_page_request", 8, 0),
            ("generation-0", "reply", "0Fh Read Page", "read_page_reply", 1, 0),
            ("entries-of-23", "page", "page 3 of 0Fh Read Page", "peers_page", 1, 23),
            ("reserved-of-peers", "page", "page 3 of 0Fh Read Page", "peers_page", 3, 1),
            ("peer-flag-16", "entry", "page 3 of 0Fh Read Page", "peer_entry", 3, 16),
            ("reserved-of-peer", "entry", "page 3 of 0Fh Read Page", "peer_entry", 22, 1)]:
        v.refusal(f"refused-{name}", direction, command, message, spoilt(message, at, value))
    return v


# --- Image formats -----------------------------------------------------------------------

# The secret keys of RFC 8032 section 7.1, tests 1 to 3: known to everybody.
SEEDS = [bytes.fromhex(seed) for seed in (
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7")]


def ed25519_spki(seed):
    return bytes.fromhex("302a300506032b6570032100") + ed25519.public_key(seed)


SPKI = [ed25519_spki(seed) for seed in SEEDS]
COMPONENT = bytes.fromhex("6f0c2f9e13be4d0aa3bd5f1f0a7c9e21")
BOARD = dict(component=COMPONENT, manufacturer=32473, product=0x1234)


def small_image():
    """8 KiB of 512-byte blocks; each byte is the number of its block. Blocks 2, 3 and 6 to 15
    are the leaves."""
    values = dict(
        BOARD, hardware_min=1, hardware_max=4, flash_size=8192, version="1.2.3 (test)",
        sequence=17, security_version=2, hash=1, block_size=512,
        region=[(1024, wire.PRESERVE, 0, 0), (1024, wire.WRITE, 0, 0), (1024, wire.FILL, 0, 0xFF),
                (3072, wire.WRITE, 0, 0), (2048, wire.WRITE, wire.BOOT, 0)],
        guard=7680)
    return with_root(values)


def with_root(values):
    size = values["block_size"]
    blocks = [bytes([address // size & 0xFF]) * size for address in wire.leaf_addresses(values)]
    return dict(values, root=wire.merkle_root(values["hash"], blocks))


def bare_image():
    """The smallest manifest there is: one region, no guard, SHA-384."""
    return with_root(dict(
        component=bytes(16), manufacturer=0, product=0, hardware_min=0, hardware_max=0xFFFF,
        flash_size=65536, version="0", sequence=0, security_version=0, hash=2, block_size=65536,
        region=[(65536, wire.WRITE, 0, 0)]))


def signed(prefix, payload, seeds):
    return {wire.key_id(ed25519_spki(seed)): ed25519.sign(seed, prefix + payload)
            for seed in seeds}


def listed(values, *, drop=()):
    for key, value in values.items():
        if key in drop:
            continue
        for item in value if isinstance(value, list) else [value]:
            yield key, item


def add_manifest(v, name, values):
    order = ["component", "manufacturer", "product", "hardware_min", "hardware_max", "flash_size",
             "version", "sequence", "security_version", "hash", "block_size", "region", "root",
             "guard"]
    raw = wire.manifest(values)
    opened = wire.open_manifest(raw)
    assert opened == values and wire.manifest(opened) == raw, name
    v.add(name, "format", "the payload of an image envelope", "manifest",
          listed({key: values[key] for key in order if key in values}), raw=raw,
          reader=wire.open_manifest)
    v.add(name + "-id", "format", "the manifest id", "manifest_id",
          [("payload", raw), ("id", wire.manifest_id(raw))])
    v.add(name + "-key", "format", "the compatibility key", "compatibility_key",
          [(key, values[key]) for key in ("component", "manufacturer", "product")]
          + [("key", wire.compatibility_key(values["component"], values["manufacturer"],
                                            values["product"]))])
    leaves = wire.leaf_addresses(values)
    v.add(name + "-leaves", "format", "where the leaves are", "leaves",
          [("payload", raw), ("leaves", len(leaves)), ("first", leaves[0]), ("last", leaves[-1])])


def add_envelope(v, name, payload, signatures):
    raw = wire.envelope(payload, signatures)
    assert wire.open_envelope(raw) == (payload, signatures)
    v.add(name, "format", "an envelope", "envelope",
          [("payload", payload)] + [("signature", pair) for pair in sorted(signatures.items())],
          raw=raw, reader=wire.open_envelope)
    return raw


def add_trust(v, name, generation, groups, revoked=()):
    raw = wire.trust_set(generation, groups, revoked)
    fields = [("generation", generation)]
    for threshold, keys in groups:
        fields.append(("threshold", threshold))
        fields += [("key", (algorithm, wire.key_id(spki), spki)) for algorithm, spki in keys]
    fields += [("revoked", key_id) for key_id in sorted(revoked)]
    assert wire.open_trust_set(raw) == (generation, groups, sorted(revoked))
    # A mutant of a key may be a key: whether it is one takes more than this side has.
    v.add(name, "format", "the payload of a trust envelope", "trust_set", fields, raw=raw,
          reader=wire.open_trust_set, mutate=False)
    return raw


def add_verdict(v, name, trust, raw, verdict):
    v.add(name, "format", "an envelope under a trust set", "verdict",
          [("trust", trust), ("envelope", raw), ("verdict", verdict)])


def images():
    v = Vectors("Manifests, envelopes and trust sets.")
    small, bare = small_image(), bare_image()
    add_manifest(v, "manifest-small", small)
    add_manifest(v, "manifest-bare", bare)
    payload = wire.manifest(small)
    prefix = b"fwr-manifest-1"
    by_all = signed(prefix, payload, SEEDS)
    by_all[wire.key_id(given.P384_SPKI)] = given.P384_SIGNATURE
    by_all[wire.key_id(given.RSA_SPKI)] = given.RSA_SIGNATURE
    unsigned = add_envelope(v, "envelope-unsigned", payload, {})
    by_1 = add_envelope(v, "envelope-by-1", payload, signed(prefix, payload, SEEDS[:1]))
    by_12 = add_envelope(v, "envelope-by-1-2", payload, signed(prefix, payload, SEEDS[:2]))
    by_3 = add_envelope(v, "envelope-by-3", payload, signed(prefix, payload, SEEDS[2:]))
    by_5 = add_envelope(v, "envelope-by-three-algorithms", payload, by_all)
    other = wire.manifest(bare)
    forged = add_envelope(v, "envelope-with-a-foreign-signature", other,
                          signed(prefix, payload, SEEDS[:1]))

    key1, key2, key3 = [(1, spki) for spki in SPKI]
    one = add_trust(v, "trust-one-key", 1, [(1, [key1])])
    two = add_trust(v, "trust-two-of-three", 2, [(2, [key1, key2, key3])])
    both = add_trust(v, "trust-two-groups", 3, [(1, [key1, key2]), (1, [key3])])
    algorithms = add_trust(v, "trust-three-algorithms", 4,
                           [(3, [key1, (2, given.P384_SPKI), (3, given.RSA_SPKI)])])
    revoked = add_trust(v, "trust-with-revoked-keys", 0xFFFFFFFF, [(1, [key1, key2])],
                        [wire.key_id(SPKI[0]), wire.key_id(SPKI[2])])
    for name, trust, raw, verdict in [
            ("one-key", one, by_1, "ok"),
            ("one-key-unknown-second", one, by_12, "ok"),
            ("one-key-five-signatures", one, by_5, "ok"),
            ("one-key-unsigned", one, unsigned, "untrusted"),
            ("one-key-unknown", one, by_3, "untrusted"),
            ("one-key-forged", one, forged, "signature"),
            ("two-of-three", two, by_12, "ok"),
            ("two-of-three-by-one", two, by_1, "untrusted"),
            ("two-groups", both, by_5, "ok"),
            ("two-groups-one-missing", both, by_12, "partly-signed"),
            ("three-algorithms", algorithms, by_5, "ok"),
            ("three-algorithms-two-missing", algorithms, by_12, "untrusted"),
            ("revoked-by-the-other", revoked, by_12, "ok"),
            ("revoked", revoked, by_1, "revoked")]:
        add_verdict(v, "verdict-" + name, trust, raw, verdict)
    refused_images(v, small)
    refused_trust(v)
    return v


def refused_images(v, small):
    fields = [(tag, value) for tag, value in wire.open_tlv(
        wire.manifest(small), range(1, 14), "").items()]

    def refuse(name, raw, message="manifest", reader=wire.open_manifest):
        try:
            reader(raw)
        except wire.Refused as why:
            v.add(f"refused-{name}", "format", "", message, refused=str(why), raw=raw)
        else:
            raise AssertionError(name)

    def changed(**changes):
        return wire.manifest(dict(small, **changes))

    refuse("manifest-empty", b"")
    refuse("manifest-unordered", wire.tlv([fields[1], fields[0]] + fields[2:]))
    refuse("manifest-duplicate", wire.tlv(fields[:1] + fields))
    refuse("manifest-without-sequence", wire.tlv(fields[:6] + fields[7:]))
    refuse("manifest-critical", wire.tlv(fields + [(0x000E, b"")]))
    refuse("manifest-byte-behind", wire.manifest(small) + b"\0")
    refuse("manifest-hardware-range", changed(hardware_min=5))
    refuse("manifest-hash-3", changed(hash=3))
    refuse("manifest-root-of-other-hash", changed(hash=2))
    refuse("manifest-block-size-256", changed(block_size=256))
    refuse("manifest-block-size-768", changed(block_size=768))
    refuse("manifest-version-empty", changed(version=""))
    refuse("manifest-version-of-64", changed(version="v" * 64))
    refuse("manifest-version-with-newline", changed(version="1\n2"))
    refuse("guard-unaligned", changed(guard=7681))
    refuse("guard-outside-boot", changed(guard=1024))
    refuse("guard-outside-chip", changed(guard=8192))
    regions = small["region"]
    refuse("map-short", changed(region=regions[:-1]))
    refuse("map-long", changed(region=regions + [(512, wire.FILL, 0, 0)]))
    refuse("map-empty-region", changed(region=[(0, wire.FILL, 0, 1)] + regions))
    refuse("map-unaligned",
           changed(region=[(1000, *regions[0][1:]), (1048, *regions[1][1:])] + regions[2:]))
    refuse("map-unmerged", changed(region=[(512, *regions[0][1:])] * 2 + regions[1:]))
    refuse("map-boot-on-fill", changed(region=regions[:2] + [(1024, 3, 1, 255)] + regions[3:]))
    refuse("map-fill-on-write", changed(region=[regions[0], (1024, 1, 0, 255)] + regions[2:]))
    refuse("map-kind-4", changed(region=[(1024, 4, 0, 0)] + regions[1:]))
    refuse("map-flag-2", changed(region=[regions[0], (1024, 1, 2, 0)] + regions[2:]))
    refuse("map-nothing-to-write",
           changed(region=[(8192, wire.FILL, 0, 0)]).replace(b"\x0d\0\4\0\0\x1e\0\0", b""))
    refuse("map-of-33", changed(
        region=[(512, 3, 0, n) for n in range(33)], flash_size=33 * 512))
    # Ignorable tags that a reader does not know are skipped.
    raw = wire.tlv(fields + [(0x8000, b""), (0xFFFF, b"later")])
    assert wire.open_manifest(raw) == small
    v.add("manifest-with-ignorable-tags", "format", "", "manifest_extended",
          [("payload", raw), ("known", wire.manifest(small))])
    payload = wire.manifest(small)
    good = wire.envelope(payload, signed(b"fwr-manifest-1", payload, SEEDS[:2]))
    signature = good[-98:]
    for name, raw in [
            ("magic", b"fWRE" + good[4:]), ("version", good[:4] + b"\2" + good[5:]),
            ("count-too-high", good[:5] + b"\3" + good[6:]),
            ("count-too-low", good[:5] + b"\1" + good[6:]),
            ("count-9", good[:5] + b"\x09" + good[6:] + signature * 7),
            ("reserved", good[:6] + b"\1" + good[7:]),
            ("payload-beyond", good[:8] + b"\xff\xff\xff\xff" + good[12:]),
            ("no-payload", good[:8] + bytes(4)),
            ("signatures-unordered", good[:-196] + signature + good[-196:-98]),
            ("key-twice", good[:-196] + signature + signature),
            ("signature-empty", good[:-66] + bytes(2)),
            ("byte-behind", good + b"\0")]:
        refuse(f"envelope-{name}", raw, "envelope", wire.open_envelope)


def refused_trust(v):
    key1, key2, key3 = [(1, spki) for spki in SPKI]
    id1, id2 = sorted(wire.key_id(spki) for spki in SPKI[:2])

    def made(generation=1, groups=((1, [key1]),)):
        return wire.trust_set(generation, groups)

    def revoking(value):
        return made() + wire.tlv([(3, value)])

    for name, raw in [
            ("empty", b""), ("no-groups", wire.tlv([(1, b"\1\0\0\0"), (2, b"")])),
            ("groups-missing", wire.tlv([(1, b"\1\0\0\0")])),
            ("generation-missing", made()[8:]), ("generation-0", made(generation=0)),
            ("threshold-0", made(groups=[(0, [key1])])),
            ("threshold-above-keys", made(groups=[(2, [key1])])),
            ("group-of-nobody", made(groups=[(1, [key1]), (1, [])])),
            ("key-twice-in-a-group", made(groups=[(2, [key1, key1])])),
            ("key-twice-in-two-groups", made(groups=[(1, [key1]), (1, [key2, key1])])),
            ("five-groups", made(groups=[(1, [key]) for key in (
                key1, key2, key3, (2, given.P384_SPKI), (3, given.RSA_SPKI))])),
            ("algorithm-0", made(groups=[(1, [(0, SPKI[0])])])),
            ("algorithm-7", made(groups=[(1, [(7, SPKI[0])])])),
            ("algorithm-of-another-key", made(groups=[(1, [(3, SPKI[0])])])),
            ("key-cut", made(groups=[(1, [(1, SPKI[0][:-1])])])),
            ("key-and-a-byte", made(groups=[(1, [(1, SPKI[0] + b"\0")])])),
            ("revoked-none", revoking(b"")), ("revoked-part", revoking(id1 + id2[:-1])),
            ("revoked-unordered", revoking(id2 + id1)), ("revoked-twice", revoking(id1 + id1)),
            ("critical", made() + wire.tlv([(4, b"")])), ("byte-behind", made() + b"\0")]:
        try:
            wire.open_trust_set(raw)
        except wire.Refused as why:
            v.add(f"refused-trust-{name}", "format", "", "trust_set", refused=str(why), raw=raw)
        else:
            raise AssertionError(name)


def trees():
    v = Vectors("Trees. Leaf k is a block of 512 bytes of the value k + 1.")
    for number in (1, 2):
        for leaves in range(1, 10):
            blocks = [bytes([k + 1]) * 512 for k in range(leaves)]
            levels = wire.tree_levels(number, blocks)
            root = wire.merkle_root(number, blocks)
            assert levels[-1] == [root]
            v.add(f"tree-{number}-{leaves}", "format", "the tree object", "tree",
                  [("hash", number), ("block_size", 512), ("leaves", leaves), ("root", root)],
                  raw=wire.tree_object(levels))
    for leaves, size, level, index in [
            (1, 32, 0, 0), (5, 32, 0, 4), (5, 32, 1, 2), (5, 48, 2, 1), (16384, 32, 0, 16383),
            (16384, 32, 13, 1), (16385, 32, 0, 16384), (16385, 32, 13, 2), (1000003, 48, 7, 7812),
            (8388600, 48, 0, 8388599)]:
        total = sum(wire.level_width(leaves, k) for k in range(64) if k == 0
                    or wire.level_width(leaves, k - 1) > 1) * size
        v.add(f"tree-offset-{leaves}-{level}-{index}", "format", "places in the tree object",
              "tree_offset",
              [("leaves", leaves), ("hash_size", size), ("level", level), ("index", index),
               ("offset", wire.node_offset(leaves, size, level, index)), ("size", total)])
    return v


def exchanges():
    """Whole messages, answered by a peer that has neither role: only what every peer answers is
    answered, and the order of the checks shows."""
    v = Vectors("Whole messages to a peer with neither role, IANA number 32473, commands from C0h.")
    iana = bytes.fromhex("d97e00")
    capabilities = wire.encode_message("get_capabilities_reply", dict(
        cookie=0x31, wire_version=1, roles=0, max_request=197, max_reply=240, codecs=1, slots=0,
        window=15))
    status = wire.encode_message("get_status_reply", dict(
        cookie=0x32, slot=0, state=255, reason=0, permille=0, fetched=0, reused=0, run=0))
    user = 2
    for name, code, privilege, request, reply in [
            ("get-capabilities", 0xC0, user, iana + b"\x31", b"\0" + iana + capabilities),
            ("get-status", 0xCD, user, iana + b"\x32\0", b"\0" + iana + status),
            ("get-status-too-long", 0xCD, user, iana + b"\x33\0\0", b"\xc7" + iana + b"\x33"),
            ("no-cookie", 0xC0, user, iana, b"\xc7" + iana),
            ("privilege", 0xCD, user - 1, iana + b"\x34\0", b"\xd4" + iana + b"\x34"),
            ("privilege-before-length", 0xCD, user - 1, iana + b"\x35",
             b"\xd4" + iana + b"\x35"),
            ("role-before-privilege", 0xC1, user - 1, iana + b"\x36" + bytes(13),
             b"\xc1" + iana + b"\x36"),
            ("recipient-role", 0xCB, 4, iana + b"\x37" + bytes(6), b"\xc1" + iana + b"\x37"),
            ("block-data", 0xCA, 4, iana + b"\x38" + bytes(9), b"\xc1" + iana + b"\x38"),
            ("behind-the-block", 0xD0, 4, iana + b"\x39", b"\xc1" + iana + b"\x39")]:
        v.add("exchange-" + name, "request", f"code {code:02X}h", "exchange",
              [("code", code), ("privilege", privilege), ("request", request), ("reply", reply)])
    return v


FILES = {"donor.txt": donor_commands, "recipient.txt": recipient_commands, "pages.txt": pages,
         "refused.txt": refusals, "exchange.txt": exchanges, "image.txt": images, "tree.txt": trees}


def write_seeds(folder):
    """Seeds come from what is kept; making it again would take longer than fuzzing it."""
    kept = pathlib.Path(__file__).with_name("image.txt").read_text(encoding="ascii")
    formats = {"manifest": "manifest", "envelope": "envelope", "trust_set": "trust"}
    for part in kept.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in part.replace("\n  ", " ").splitlines()
                      if ": " in line and not line.startswith("#"))
        if fields.get("message") in formats and "bytes" in fields:
            path = folder / formats[fields["message"]] / fields["name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes.fromhex(fields["bytes"]))


def main(action, folder):
    folder = pathlib.Path(folder)
    if action == "seeds":
        write_seeds(folder)
        return
    names = []
    for file, make in FILES.items():
        made = make().text()
        names += [line for line in made.splitlines() if line.startswith("name: ")]
        path = folder / file
        if action == "write":
            path.write_text(made, encoding="ascii")
            continue
        kept = path.read_text(encoding="ascii").splitlines()
        for number, pair in enumerate(zip(made.splitlines(), kept), 1):
            if pair[0] != pair[1]:
                sys.exit(f"{path}:{number}: has\n  {pair[1]}\nmade\n  {pair[0]}")
        if made != path.read_text(encoding="ascii"):
            sys.exit(f"{path}: is longer or shorter than what is made")
    if len(set(names)) != len(names):
        sys.exit("a name occurs twice")
    print(f"{len(names)} vectors in {len(FILES)} files")


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("write", "check", "seeds"):
        sys.exit(__doc__)
    main(*sys.argv[1:])
