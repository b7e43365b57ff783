# SPDX-License-Identifier: Apache-2.0
"""A second implementation of doc/WIRE.md: its messages, pages and image formats.

Written from that text alone and kept apart from lib/, so that the vectors made with it are
evidence. Only Python's own library is used. make_vectors.py is its only user; it is never
installed.
"""
import hashlib
import struct


class Refused(Exception):
    """Bytes that a reader must refuse; the argument says why in one word."""


# --- Messages and pages (sections 5 and 7) -----------------------------------------------
#
# A message is a list of fields (name, type, smallest, largest) and a word for what follows
# them: "exact" nothing, "grows" bytes that a reader ignores, or ("data", name, unit, least, most).

SIZES = {"u8": 1, "u16": 2, "u24": 3, "u32": 4}


def u8(name, low=0, high=0xFF):
    return (name, "u8", low, high)


def u16(name, low=0, high=0xFFFF):
    return (name, "u16", low, high)


def u24(name, low=0, high=0xFFFFFF):
    return (name, "u24", low, high)


def u32(name, low=0, high=0xFFFFFFFF):
    return (name, "u32", low, high)


def octets(name, count):
    return (name, "bytes", count, count)


def reserved(count):
    return (None, "reserved", count, count)


COOKIE = u8("cookie")
TAG = octets("tag", 8)
LENGTH = u16("length", 1)
OBJECT = u8("object", 0, 4)


def data(name="data", least=0, most=None, unit=1):
    return ("data", name, unit, least, most)


MESSAGES = {
    "get_capabilities_request": ([COOKIE], "exact"),
    "get_capabilities_reply": (
        [COOKIE, u8("wire_version", 1), u16("roles"), u16("max_request", 16),
         u16("max_reply", 19), u8("codecs"), u8("slots"), u8("window", 1)], "grows"),
    "request_image_request": (
        [COOKIE, u8("kind", 0, 1), octets("key", 8), u16("hardware_revision"), u8("index"),
         reserved(1)], "exact"),
    "request_image_reply": (
        [COOKIE, u8("result", 0, 2), u8("count"), reserved(1), u8("load", 0, 100), u16("retry"),
         TAG, u32("sequence")], "grows"),
    "read_manifest_request": ([COOKIE, TAG, u32("offset"), LENGTH], "exact"),
    "data_reply": ([COOKIE], data()),
    "accept_offer_request": ([COOKIE, TAG, u32("nonce"), reserved(1)], "exact"),
    "accept_offer_reply": (
        [COOKIE, u8("result", 0, 2), u32("transfer"), u16("lease"), u16("max_length"),
         u8("window"), u16("retry"), u8("codecs")], "grows"),
    "read_request": (
        [COOKIE, u32("transfer"), u32("offset"), LENGTH, u8("codec", 0, 0x81), u16("skip")],
        "exact"),
    "end_transfer_request": ([COOKIE, u32("transfer"), u8("result")], "exact"),
    "empty_reply": ([COOKIE], "grows"),
    "offer_request": ([COOKIE, u8("slot"), TAG, u32("sequence"), u8("kind", 0, 2)], "exact"),
    "offer_reply": ([COOKIE, u8("result", 0, 2), u32("transfer"), u16("lease")], "grows"),
    "get_wanted_request": ([COOKIE, u32("transfer"), u16("index")], "exact"),
    "get_wanted_reply": ([COOKIE, u8("more", 0, 2)], data("ranges", unit=8)),
    "wanted": ([OBJECT, u32("offset"), u24("length", 1)], "exact"),
    "write_data_request": (
        [COOKIE, u32("transfer"), OBJECT, u32("offset")], data(least=1)),
    "block_data": ([u32("tag"), u32("address")], data(least=1)),
    "result_reply": ([COOKIE, u8("result")], "grows"),
    "start_request": ([COOKIE, u8("slot"), u32("run", 1), u8("mode", 0, 2)], "exact"),
    "abort_request": ([COOKIE, u8("slot"), u32("run", 1), reserved(1)], "exact"),
    "get_status_request": ([COOKIE, u8("slot")], "exact"),
    "get_status_reply": (
        [COOKIE, u8("slot"), u8("state"), u8("reason"), u16("permille", 0, 1000), u32("fetched"),
         u32("reused"), u32("run")], "grows"),
    "set_policy_request": (
        [COOKIE, u8("slot"), u32("generation"), u8("item")], data("value", 1, 8)),
    "read_page_request": (
        [COOKIE, u8("slot"), u8("page"), u8("generation"), u32("offset"), LENGTH], "exact"),
    "read_page_reply": ([COOKIE, u8("generation", 1)], data()),
    "status_page": (
        [u8("state"), u8("reason"), u8("mode"), u8("donors"), u32("run"), TAG, u32("sequence"),
         u32("block_size"), u32("blocks_total"), u32("blocks_wrong"), u32("blocks_fetched"),
         u32("blocks_copied"), u32("blocks_blank"), u32("blocks_repaired"),
         u32("blocks_refetched"), u32("blocks_waived"), u32("bytes_received"),
         u32("bytes_preserved"), u32("bad_block"), u32("elapsed_ms"), u32("log_start"),
         u32("log_end")], "grows"),
    "policy_page": (
        [u32("min_sequence"), u8("media"), u32("generation"), u32("security_floor"),
         u32("sequence_floor")], "grows"),
    "trust_page": (
        [u8("state", 0, 2), u8("reason"), reserved(2), u32("generation"), u32("floor"),
         u32("length")], "grows"),
    "peers_page": ([u8("count"), u8("entry_size", 24), reserved(2)], "grows"),
    "peer_entry": (
        [u8("peer"), u8("medium"), u8("reason"), u8("flags", 0, 15), TAG, u32("bytes"),
         u32("rate"), u16("round_trip"), reserved(2)], "grows"),
}


def integer(value, size):
    return value.to_bytes(size, "little")


def encode_message(kind, values):
    fields, tail = MESSAGES[kind]
    values = dict(values)
    out = b""
    for name, form, low, high in fields:
        if form == "reserved":
            out += bytes(low)
        elif form == "bytes":
            value = values.pop(name)
            assert len(value) == low, name
            out += value
        else:
            value = values.pop(name)
            assert low <= value <= high, (name, value)
            out += integer(value, SIZES[form])
    if tail[0] == "data":
        out += values.pop(tail[1])
    assert not values, values
    return out


def decode_message(kind, raw):
    """The values of a message, or Refused: "length" before "malformed"."""
    fields, tail = MESSAGES[kind]
    fixed = sum(SIZES.get(form, low) for _, form, low, _ in fields)
    rest = len(raw) - fixed
    if rest < 0 or (tail == "exact" and rest > 0):
        raise Refused("length")
    if tail[0] == "data":
        _, _, unit, least, most = tail
        if rest % unit or rest // unit < least or (most is not None and rest // unit > most):
            raise Refused("length")
    values = {}
    at = 0
    for name, form, low, high in fields:
        size = SIZES.get(form, low)
        piece = raw[at:at + size]
        at += size
        if form == "reserved":
            if any(piece):
                raise Refused("malformed")
        elif form == "bytes":
            values[name] = piece
        else:
            value = int.from_bytes(piece, "little")
            if not low <= value <= high:
                raise Refused("malformed")
            values[name] = value
    if tail[0] == "data":
        values[tail[1]] = raw[at:]
    return values


# --- Image formats (section 11) ----------------------------------------------------------

HASHES = {1: hashlib.sha256, 2: hashlib.sha384}
WRITE, PRESERVE, FILL = 1, 2, 3
BOOT = 1


def envelope(payload, signatures):
    """signatures: {key id: signature}"""
    assert payload and len(signatures) <= 8
    out = b"FWRE" + struct.pack("<BBHI", 1, len(signatures), 0, len(payload)) + payload
    for key_id in sorted(signatures):
        signature = signatures[key_id]
        out += key_id + struct.pack("<H", len(signature)) + signature
    return out


def open_envelope(raw):
    if len(raw) < 12 or len(raw) > 65536:
        raise Refused("envelope")
    magic, version, count, zero, length = struct.unpack_from("<4sBBHI", raw)
    if magic != b"FWRE" or version != 1 or count > 8 or zero or not length:
        raise Refused("envelope")
    at = 12 + length
    if at > len(raw):
        raise Refused("envelope")
    payload = raw[12:at]
    signatures = {}
    last = b""
    for _ in range(count):
        if at + 34 > len(raw):
            raise Refused("envelope")
        key_id = raw[at:at + 32]
        size = int.from_bytes(raw[at + 32:at + 34], "little")
        at += 34
        if key_id <= last or not size or at + size > len(raw):
            raise Refused("envelope")
        signatures[key_id] = raw[at:at + size]
        last = key_id
        at += size
    if at != len(raw):
        raise Refused("envelope")
    return payload, signatures


def signed_id(prefix, payload):
    return hashlib.sha256(prefix + payload).digest()


def manifest_id(payload):
    return signed_id(b"fwr-manifest-1", payload)


def compatibility_key(component, manufacturer, product):
    body = b"fwr-compat-1" + component + struct.pack("<IH", manufacturer, product)
    return hashlib.sha256(body).digest()[:8]


def tlv(fields):
    return b"".join(struct.pack("<HH", tag, len(value)) + value for tag, value in fields)


def open_tlv(raw, known, why):
    fields = {}
    at = 0
    last = -1
    while at < len(raw):
        if at + 4 > len(raw):
            raise Refused(why)
        tag, length = struct.unpack_from("<HH", raw, at)
        at += 4
        if tag <= last or at + length > len(raw):
            raise Refused(why)
        last = tag
        if tag in known:
            fields[tag] = raw[at:at + length]
        elif not tag & 0x8000:
            raise Refused("critical-tag")
        at += length
    return fields


def manifest(values):
    fields = [
        (0x0001, values["component"]),
        (0x0002, integer(values["manufacturer"], 4)),
        (0x0003, integer(values["product"], 2)),
        (0x0004, integer(values["hardware_min"], 2) + integer(values["hardware_max"], 2)),
        (0x0005, integer(values["flash_size"], 4)),
        (0x0006, values["version"].encode("ascii")),
        (0x0007, integer(values["sequence"], 4)),
        (0x0008, integer(values["security_version"], 4)),
        (0x0009, integer(values["hash"], 1)),
        (0x000A, integer(values["block_size"], 4)),
        (0x000B, b"".join(struct.pack("<IBBB", *region) for region in values["region"])),
        (0x000C, values["root"]),
    ]
    if "guard" in values:
        fields.append((0x000D, integer(values["guard"], 4)))
    return tlv(fields)


def open_manifest(raw):
    fields = open_tlv(raw, range(1, 14), "manifest")
    sizes = {1: 16, 2: 4, 3: 2, 4: 4, 5: 4, 7: 4, 8: 4, 9: 1, 10: 4, 13: 4}
    if set(range(1, 13)) - set(fields):
        raise Refused("manifest")
    for tag, size in sizes.items():
        if tag in fields and len(fields[tag]) != size:
            raise Refused("manifest")

    def number(tag):
        return int.from_bytes(fields[tag], "little")

    values = {
        "component": fields[1],
        "manufacturer": number(2),
        "product": number(3),
        "hardware_min": number(4) & 0xFFFF,
        "hardware_max": number(4) >> 16,
        "flash_size": number(5),
        "sequence": number(7),
        "security_version": number(8),
        "hash": number(9),
        "block_size": number(10),
        "root": fields[12],
    }
    if not 1 <= len(fields[6]) <= 63 or any(not 0x20 <= c <= 0x7E for c in fields[6]):
        raise Refused("manifest")
    values["version"] = fields[6].decode("ascii")
    block = values["block_size"]
    if values["hash"] not in HASHES:
        raise Refused("algorithm")
    if values["hardware_min"] > values["hardware_max"]:
        raise Refused("manifest")
    if len(values["root"]) != HASHES[values["hash"]]().digest_size:
        raise Refused("manifest")
    if block & (block - 1) or not 512 <= block <= 65536:
        raise Refused("manifest")
    if not values["flash_size"] or values["flash_size"] % block:
        raise Refused("manifest")
    values["region"] = open_region_map(fields[11], values["flash_size"], block)
    if 13 in fields:
        values["guard"] = guard = number(13)
        if guard % block or not any(
                kind == WRITE and flags == BOOT and start <= guard < start + length
                for start, (length, kind, flags, _) in placed(values["region"])):
            raise Refused("region-map")
    return values


def open_region_map(raw, flash_size, block):
    if len(raw) % 7 or not 1 <= len(raw) // 7 <= 32:
        raise Refused("region-map")
    regions = list(struct.iter_unpack("<IBBB", raw))
    for at, (length, kind, flags, fill) in enumerate(regions):
        if not length or length % block or kind not in (WRITE, PRESERVE, FILL):
            raise Refused("region-map")
        if flags & ~BOOT or (flags and kind != WRITE) or (fill and kind != FILL):
            raise Refused("region-map")
        if at and regions[at - 1][1:] == (kind, flags, fill):
            raise Refused("region-map")
    if sum(region[0] for region in regions) != flash_size:
        raise Refused("region-map")
    if not any(region[1] == WRITE for region in regions):
        raise Refused("region-map")
    return regions


def placed(regions):
    start = 0
    for region in regions:
        yield start, region
        start += region[0]


def leaf_addresses(values):
    return [address
            for start, (length, kind, _, _) in placed(values["region"]) if kind == WRITE
            for address in range(start, start + length, values["block_size"])]


def key_id(spki):
    return hashlib.sha256(spki).digest()


def trust_set(generation, groups, revoked=()):
    """groups: [(threshold, [(algorithm, SPKI)])]"""
    body = b""
    for threshold, keys in groups:
        body += bytes([threshold, len(keys)])
        for algorithm, spki in keys:
            body += struct.pack("<BH", algorithm, len(spki)) + spki
    fields = [(1, integer(generation, 4)), (2, body)]
    if revoked:
        fields.append((3, b"".join(sorted(revoked))))
    return tlv(fields)


SPKI_HEADS = {1: bytes.fromhex("302a300506032b6570032100"),
              2: bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200" "04"),
              3: bytes.fromhex("300d06092a864886f70d01010105000382")}


def is_spki_of(algorithm, spki):
    """By its length and first bytes; RSA's begin with two lengths of their own."""
    if algorithm == 1:
        return len(spki) == 44 and spki.startswith(SPKI_HEADS[1])
    if algorithm == 2:
        return len(spki) == 120 and spki.startswith(SPKI_HEADS[2])
    return (spki[:2] == b"\x30\x82" and int.from_bytes(spki[2:4], "big") == len(spki) - 4
            and spki[4:].startswith(SPKI_HEADS[3]))


def open_trust_set(raw):
    """The structure only: whether the numbers in a SPKI make a key is not looked at."""
    fields = open_tlv(raw, (1, 2, 3), "trust-set")
    if 1 not in fields or 2 not in fields or len(fields[1]) != 4 or not any(fields[1]):
        raise Refused("trust-set")
    groups = []
    spkis = []
    at = 0
    body = fields[2]
    while at < len(body):
        if at + 2 > len(body):
            raise Refused("trust-set")
        threshold, count = body[at:at + 2]
        at += 2
        keys = []
        for _ in range(count):
            if at + 3 > len(body):
                raise Refused("trust-set")
            algorithm, length = struct.unpack_from("<BH", body, at)
            at += 3
            if at + length > len(body):
                raise Refused("trust-set")
            if algorithm not in SPKI_HEADS:
                raise Refused("algorithm")
            if not is_spki_of(algorithm, body[at:at + length]) or length > 2624:
                raise Refused("key")
            keys.append((algorithm, body[at:at + length]))
            at += length
        if not 1 <= threshold <= count:
            raise Refused("trust-set")
        groups.append((threshold, keys))
        spkis += [spki for _, spki in keys]
    if not 1 <= len(groups) <= 4 or len(spkis) > 8 or len(set(spkis)) != len(spkis):
        raise Refused("trust-set")
    revoked = []
    if 3 in fields:
        if len(fields[3]) % 32 or not 1 <= len(fields[3]) // 32 <= 16:
            raise Refused("trust-set")
        revoked = [fields[3][n:n + 32] for n in range(0, len(fields[3]), 32)]
        if sorted(set(revoked)) != revoked:
            raise Refused("trust-set")
    return int.from_bytes(fields[1], "little"), groups, revoked


# --- Tree (section 11.6) -----------------------------------------------------------------

def tree_levels(hash_number, blocks):
    """All levels, level 0 first."""
    digest = HASHES[hash_number]
    levels = [[digest(b"\0" + block).digest() for block in blocks]]
    while len(levels[-1]) > 1:
        below = levels[-1]
        level = []
        for i in range(0, len(below), 2):
            if i + 1 < len(below):
                level.append(digest(b"\1" + below[i] + below[i + 1]).digest())
            else:
                level.append(below[i])
        levels.append(level)
    return levels


def tree_object(levels):
    return b"".join(b"".join(level) for level in reversed(levels))


def level_width(leaves, level):
    return -(-leaves // 2 ** level)


def node_offset(leaves, hash_size, level, index):
    top = 0
    while level_width(leaves, top) > 1:
        top += 1
    before = sum(level_width(leaves, above) for above in range(level + 1, top + 1))
    return (before + index) * hash_size


def merkle_root(hash_number, blocks):
    """RFC 9162 section 2.1.1 as it is written there, to hold the levels against."""
    digest = HASHES[hash_number]
    if len(blocks) == 1:
        return digest(b"\0" + blocks[0]).digest()
    k = 1
    while 2 * k < len(blocks):
        k *= 2
    left = merkle_root(hash_number, blocks[:k])
    right = merkle_root(hash_number, blocks[k:])
    return digest(b"\1" + left + right).digest()
