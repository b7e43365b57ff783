/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands on the wire: one struct for each request and reply, shared by its encoder and
 * its decoder. doc/WIRE.md is the normative text.
 *
 * All byte strings here are the data after the 3-byte IANA number (requests) or after the
 * completion code and the IANA number (replies); the dispatcher and the links add those.
 * Encoders write to a caller's buffer and return the length, or FWR_E_NO_SPACE / FWR_E_ARGUMENT.
 * Decoders return FWR_OK or FWR_E_LENGTH (wrong length) or FWR_E_MALFORMED (reserved bits,
 * impossible values); `data` members then point into the caller's input.
 */
#ifndef FWRECOVER_COMMAND_H
#define FWRECOVER_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define FWR_NETFN_OEM_REQUEST 0x2e
#define FWR_NETFN_OEM_REPLY   0x2f
#define FWR_IANA_SIZE         3

/* The version of the protocol that this library speaks. */
#define FWR_WIRE_VERSION 1

/* Offsets from the first code of the block, FWR_COMMAND_BASE by default. */
enum fwr_command {
    FWR_CMD_GET_CAPABILITIES = 0x00,
    FWR_CMD_REQUEST_IMAGE = 0x01,
    FWR_CMD_READ_MANIFEST = 0x02,
    FWR_CMD_ACCEPT_OFFER = 0x03,
    FWR_CMD_READ_TREE = 0x04,
    FWR_CMD_READ_BLOCKS = 0x05,
    FWR_CMD_END_TRANSFER = 0x06,
    FWR_CMD_OFFER = 0x07,
    FWR_CMD_GET_WANTED = 0x08,
    FWR_CMD_WRITE_DATA = 0x09,
    FWR_CMD_BLOCK_DATA = 0x0a, /* a broadcast, without cookie and reply */
    FWR_CMD_START = 0x0b,
    FWR_CMD_ABORT = 0x0c,
    FWR_CMD_GET_STATUS = 0x0d,
    FWR_CMD_SET_POLICY = 0x0e,
    FWR_CMD_READ_PAGE = 0x0f,
    FWR_CMD_COUNT = 0x10,
};

/* The default place of the block: also legal as OEM bridge commands of ICMB (C0h-FEh). */
#define FWR_COMMAND_BASE 0xc0

/* "Request Image", for logs; "?" outside the enum. */
const char *fwr_command_name(uint8_t command);

#define FWR_TAG_SIZE 8 /* first bytes of a manifest id */
#define FWR_KEY_SIZE 8 /* first bytes of the compatibility hash */

enum fwr_role {
    FWR_ROLE_DONOR = 1 << 0,
    FWR_ROLE_RECIPIENT = 1 << 1,
};

enum fwr_codec {
    FWR_CODEC_NONE = 0,
    FWR_CODEC_LZ4 = 1, /* LZ4 block format */
};
/* Beside the codec of Read Blocks: the bytes may come by Block Data instead. Beside the codecs of
 * Accept Offer: the donor does that. */
#define FWR_CODEC_BROADCAST 0x80

/* Objects of Get Wanted and Write Data; the read commands name theirs implicitly. */
enum fwr_object {
    FWR_OBJECT_MANIFEST = 0, /* the envelope */
    FWR_OBJECT_TREE = 1,     /* levels from root to leaves, offset in bytes */
    FWR_OBJECT_BLOCKS = 2,   /* offset is a chip address */
    FWR_OBJECT_TRUST = 3,    /* envelope of a trust set */
    FWR_OBJECT_PEERS = 4,    /* reserved */
};

/* Get Capabilities */
struct fwr_get_capabilities_request {
    uint8_t cookie;
};
struct fwr_get_capabilities_reply {
    uint8_t cookie;
    uint8_t wire_version;
    uint16_t roles; /* enum fwr_role bits */
    uint16_t max_request;
    uint16_t max_reply;
    uint8_t codecs; /* bit n: enum fwr_codec value n */
    uint8_t slots;  /* component slots, recipient role */
    uint8_t window; /* requests a peer may have outstanding */
};

/* Request Image */
enum fwr_request_kind {
    FWR_REQUEST_BY_KEY = 0, /* `key` is the compatibility key */
    FWR_REQUEST_BY_TAG = 1, /* `key` is a manifest tag: a further lane for a known image */
};
enum fwr_image_result {
    FWR_IMAGE_NONE = 0,
    FWR_IMAGE_BUSY = 1, /* has one, no room for a transfer now; `retry` says when to ask */
    FWR_IMAGE_OFFER = 2,
};
struct fwr_request_image_request {
    uint8_t cookie;
    uint8_t kind; /* enum fwr_request_kind */
    uint8_t key[FWR_KEY_SIZE];
    uint16_t hardware_revision;
    uint8_t index; /* 0 = the donor's newest match; below `count` */
};
struct fwr_request_image_reply {
    uint8_t cookie;
    uint8_t result; /* enum fwr_image_result */
    uint8_t count;  /* matches that this donor holds */
    uint8_t flags;  /* zero */
    uint8_t load;   /* share of its transfers in use, percent */
    uint16_t retry; /* BUSY: ask again after this many tenths of a second */
    uint8_t tag[FWR_TAG_SIZE];
    uint32_t sequence; /* a hint: only the signed one counts */
};

/* Read Manifest */
struct fwr_read_manifest_request {
    uint8_t cookie;
    uint8_t tag[FWR_TAG_SIZE];
    uint32_t offset;
    uint16_t length;
};

/* The reply to every read: bytes of the object from the offset asked for, perhaps fewer than
 * asked; none means the object ends there. */
struct fwr_data_reply {
    uint8_t cookie;
    const uint8_t *data;
    size_t length;
};

/* Accept Offer */
enum fwr_accept_result {
    FWR_ACCEPT_OK = 0,
    FWR_ACCEPT_BUSY = 1,    /* at its limit; `retry` says when to ask */
    FWR_ACCEPT_UNKNOWN = 2, /* no image of that tag any more */
};
struct fwr_accept_offer_request {
    uint8_t cookie;
    uint8_t tag[FWR_TAG_SIZE];
    uint32_t nonce; /* same nonce, same transfer: the command may be repeated */
    uint8_t flags;  /* zero */
};
struct fwr_accept_offer_reply {
    uint8_t cookie;
    uint8_t result; /* enum fwr_accept_result */
    uint32_t transfer;
    uint16_t lease;      /* seconds without a read until the transfer is forgotten */
    uint16_t max_length; /* longest read answered, bytes */
    uint8_t window;      /* requests that may be outstanding in this transfer */
    uint16_t retry;      /* BUSY: tenths of a second */
    uint8_t codecs;      /* bit n: enum fwr_codec value n may be asked for, FWR_CODEC_BROADCAST */
};

/* Read Tree, Read Blocks */
struct fwr_read_request {
    uint8_t cookie;
    uint32_t transfer;
    uint32_t offset; /* byte of the tree object, or chip address */
    uint16_t length;
    uint8_t codec; /* enum fwr_codec, with FWR_CODEC_BROADCAST or without */
    uint16_t skip; /* position in the coded stream; zero without a codec */
};

/* End Transfer; the result is the giver's error value as a positive byte, 0 = success. */
struct fwr_end_transfer_request {
    uint8_t cookie;
    uint32_t transfer;
    uint8_t result;
};

/* A reply that says nothing but the cookie: End Transfer. */
struct fwr_empty_reply {
    uint8_t cookie;
};

/* Offer */
enum fwr_offer_result {
    FWR_OFFER_ACCEPTED = 0,
    FWR_OFFER_NOT_WANTED = 1, /* healthy, or already served */
    FWR_OFFER_BUSY = 2,
};
enum fwr_offer_kind {
    FWR_OFFER_IMAGE = 0,
    FWR_OFFER_TRUST = 1, /* the next trust set; `tag` of its id, `sequence` its generation */
    FWR_OFFER_CALL = 2,  /* a call: who waits should come and fetch it, nothing is pushed */
};
struct fwr_offer_request {
    uint8_t cookie;
    uint8_t slot;
    uint8_t tag[FWR_TAG_SIZE];
    uint32_t sequence;
    uint8_t kind; /* enum fwr_offer_kind */
};
struct fwr_offer_reply {
    uint8_t cookie;
    uint8_t result; /* enum fwr_offer_result */
    uint32_t transfer;
    uint16_t lease; /* seconds */
};

/* Get Wanted: byte ranges of objects that a push should bring next, most urgent first. */
struct fwr_wanted {
    uint8_t object; /* enum fwr_object */
    uint32_t offset;
    uint32_t length; /* 24 bits on the wire */
};
#define FWR_WANTED_SIZE 8
struct fwr_get_wanted_request {
    uint8_t cookie;
    uint32_t transfer;
    uint16_t index; /* first range to list */
};
enum fwr_wanted_state {
    FWR_WANTED_LAST = 0, /* the list ends with this reply; empty: nothing wanted just now */
    FWR_WANTED_MORE = 1, /* ask again with a higher index */
    FWR_WANTED_DONE = 2, /* the transfer has done its work */
};
struct fwr_get_wanted_reply {
    uint8_t cookie;
    uint8_t more;          /* enum fwr_wanted_state */
    const uint8_t *ranges; /* count × FWR_WANTED_SIZE bytes: use fwr_wanted_decode */
    size_t count;
};

/* Write Data */
enum fwr_write_result {
    FWR_WRITE_OK = 0,
    FWR_WRITE_NOT_WANTED = 1, /* harmless: outside the ranges wanted now, or a repetition */
    FWR_WRITE_WRONG = 2,      /* completed a range that does not hash right */
};
struct fwr_write_data_request {
    uint8_t cookie;
    uint32_t transfer;
    uint8_t object; /* enum fwr_object */
    uint32_t offset;
    const uint8_t *data;
    size_t length; /* at least 1 */
};

/* Block Data: to everybody on the road who wants it, and believed by nobody before it hashes. */
struct fwr_block_data {
    uint32_t tag;     /* the first 4 bytes of the image's, as a number */
    uint32_t address; /* on the chip */
    const uint8_t *data;
    size_t length; /* at least 1 */
};
#define FWR_BLOCK_DATA_HEADER 8

/* A reply of cookie and result: Write Data, Start, Abort, Set Policy. */
struct fwr_result_reply {
    uint8_t cookie;
    uint8_t result;
};

/* Start, Abort */
enum fwr_start_mode {
    FWR_START_CHECK = 0,   /* hash the flash against the known image; writes nothing */
    FWR_START_DRY_RUN = 1, /* negotiate and find what differs; writes nothing */
    FWR_START_REPAIR = 2,
};
enum fwr_start_result {
    FWR_START_OK = 0,      /* begun, or already under way with this run number */
    FWR_START_BUSY = 1,    /* another run is under way */
    FWR_START_STALE = 2,   /* a run number not above the last one: nothing done */
    FWR_START_REFUSED = 3, /* not possible now; Get Status has the reason */
};
struct fwr_start_request { /* Abort as well */
    uint8_t cookie;
    uint8_t slot;
    uint32_t run; /* the caller's number, rising, not 0; the same again does nothing new */
    uint8_t mode; /* enum fwr_start_mode; zero in Abort */
};

/* Get Status */
enum fwr_state {
    FWR_STATE_IDLE = 0,
    FWR_STATE_CHECKING = 1,    /* hashing against the known image */
    FWR_STATE_NEGOTIATING = 2, /* asking donors, reading and verifying manifests */
    FWR_STATE_HOLDING = 3,     /* taking the host and the flash bus */
    FWR_STATE_HASHING = 4,     /* hashing the flash under our hand */
    FWR_STATE_REPAIRING = 5,   /* descending, fetching, writing */
    FWR_STATE_VERIFYING = 6,   /* the whole flash against the signed root */
    FWR_STATE_RELEASING = 7,   /* committed; giving back the bus and the host */
    FWR_STATE_TRIAL = 8,       /* waiting for the boot proof */
    FWR_STATE_BACKOFF = 9,     /* nothing usable now; asks again by itself */
    FWR_STATE_DONE = 10,
    FWR_STATE_FAILED = 11,
    FWR_STATE_NO_RECIPIENT = 255, /* this peer only gives */
};
/* "repairing"; "unknown" outside the enum. */
const char *fwr_state_name(uint8_t state);

struct fwr_get_status_request {
    uint8_t cookie;
    uint8_t slot;
};
struct fwr_get_status_reply {
    uint8_t cookie;
    uint8_t slot;
    uint8_t state;     /* enum fwr_state */
    uint8_t reason;    /* absolute value of the fwr_error behind the state, 0 = none */
    uint16_t permille; /* of the work that the state knows of, 0 to 1000 */
    uint32_t fetched;  /* blocks that came from donors */
    uint32_t reused;   /* blocks copied from elsewhere in this flash, or blank */
    uint32_t run;
};

/* Set Policy: may only tighten. */
enum fwr_policy_item {
    FWR_POLICY_MIN_SEQUENCE = 1, /* u32; only rises */
    FWR_POLICY_MEDIA = 2,        /* u8, bit n: enum fwr_medium value n; only loses bits */
};
enum fwr_policy_result {
    FWR_POLICY_OK = 0,
    FWR_POLICY_STALE = 1,   /* generation not above the one in force: nothing done */
    FWR_POLICY_REFUSED = 2, /* would loosen, or unknown item */
};
struct fwr_set_policy_request {
    uint8_t cookie;
    uint8_t slot;
    uint32_t generation;
    uint8_t item; /* enum fwr_policy_item */
    const uint8_t *value;
    size_t length; /* 1 to 8 */
};

/* Read Page */
enum fwr_page {
    FWR_PAGE_LOG = 0, /* text lines; offsets count from the start of the generation */
    FWR_PAGE_POLICY = 1,
    FWR_PAGE_STATUS = 2, /* struct fwr_status_page */
    FWR_PAGE_PEERS = 3,
    FWR_PAGE_TRUST = 4, /* struct fwr_trust_page, and the set in force behind it; slot 0 */
};
struct fwr_read_page_request {
    uint8_t cookie;
    uint8_t slot;
    uint8_t page;       /* enum fwr_page */
    uint8_t generation; /* 0 = whatever is current */
    uint32_t offset;
    uint16_t length;
};
struct fwr_read_page_reply {
    uint8_t cookie;
    uint8_t generation;
    const uint8_t *data;
    size_t length;
};

/* The detailed status page. */
struct fwr_status_page {
    uint8_t state;  /* enum fwr_state */
    uint8_t reason; /* as in Get Status */
    uint8_t mode;   /* enum fwr_start_mode of the run */
    uint8_t donors; /* transfers open now */
    uint32_t run;
    uint8_t tag[FWR_TAG_SIZE]; /* the chosen image; zero before one is chosen */
    uint32_t sequence;
    uint32_t block_size;
    uint32_t blocks_total; /* in `write` and `fill` regions */
    uint32_t blocks_wrong; /* found so far */
    uint32_t blocks_fetched;
    uint32_t blocks_copied;    /* from elsewhere in this flash */
    uint32_t blocks_blank;     /* made by erasing or filling alone */
    uint32_t blocks_repaired;  /* written and read back */
    uint32_t blocks_refetched; /* fetched a second time */
    uint32_t blocks_waived;    /* left alone because the local map preserves them */
    uint32_t bytes_received;   /* data bytes from donors, tree and manifests included */
    uint32_t bytes_preserved;  /* in `preserve` regions */
    uint32_t bad_block;        /* chip address of the block behind the reason; FFFFFFFFh = none */
    uint32_t elapsed_ms;
    uint32_t log_start; /* oldest byte of the log still kept */
    uint32_t log_end;
};
#define FWR_STATUS_PAGE_SIZE 80

/* The policy page. */
struct fwr_policy_page {
    uint32_t min_sequence;   /* 0 = none */
    uint8_t media;           /* bit n: enum fwr_medium value n may be used */
    uint32_t generation;     /* of Set Policy, 0 = never set */
    uint32_t security_floor; /* lower security versions are refused */
    uint32_t sequence_floor; /* highest sequence ever confirmed */
};
#define FWR_POLICY_PAGE_SIZE 17

/* The peers page: a header, then `count` entries of `entry_size` bytes each. A reader skips
 * what it does not know of a longer entry. */
struct fwr_peers_page {
    uint8_t count;
    uint8_t entry_size; /* at least FWR_PEER_ENTRY_SIZE */
};
#define FWR_PEERS_PAGE_SIZE 4
enum fwr_peer_flag {
    FWR_PEER_ASKED = 1 << 0,   /* in this run */
    FWR_PEER_SERVING = 1 << 1, /* has a transfer now */
    FWR_PEER_DROPPED = 1 << 2, /* `reason` says why */
    FWR_PEER_CARRIES = 1 << 3, /* of the roads with a transfer, one that blocks come over now */
};
struct fwr_peer_entry {
    uint8_t peer;              /* the recipient's number for it */
    uint8_t medium;            /* enum fwr_medium */
    uint8_t reason;            /* why it was last passed over or dropped, 0 = it was not */
    uint8_t flags;             /* enum fwr_peer_flag bits */
    uint8_t tag[FWR_TAG_SIZE]; /* what it offered last; zero = nothing */
    uint32_t bytes;            /* data bytes that came over this road in this run */
    uint32_t rate;             /* bytes a second: measured, else what the road should bring */
    uint16_t round_trip;       /* milliseconds, smoothed; 0 = not measured */
};
#define FWR_PEER_ENTRY_SIZE 24

/* The head of the trust page. */
enum fwr_trust_state {
    FWR_TRUST_NONE = 0, /* unprovisioned */
    FWR_TRUST_IN_FORCE = 1,
    FWR_TRUST_WAITING = 2, /* one is in force, the next is verified and waits for a run's end */
};
struct fwr_trust_page {
    uint8_t state;       /* enum fwr_trust_state */
    uint8_t reason;      /* why the last set that was offered was refused, 0 = it was not */
    uint32_t generation; /* in force */
    uint32_t floor;      /* lower generations are refused */
    uint32_t length;     /* of the set in force, which follows */
};
#define FWR_TRUST_PAGE_SIZE 16

/* Encoders and decoders. The ones named after a command serve that command; `data`, `read`,
 * `empty` and `result` serve every command of that shape. Each pair has one table in
 * lib/wire/command.c: what a decoder refuses, its encoder refuses too (FWR_E_ARGUMENT). */
#define FWR_CODEC_PAIR(name, type)                                                                 \
    int fwr_##name##_encode(const struct fwr_##type *message, void *buffer, size_t capacity);      \
    int fwr_##name##_decode(const void *bytes, size_t length, struct fwr_##type *message)

FWR_CODEC_PAIR(get_capabilities_request, get_capabilities_request);
FWR_CODEC_PAIR(get_capabilities_reply, get_capabilities_reply);
FWR_CODEC_PAIR(request_image_request, request_image_request);
FWR_CODEC_PAIR(request_image_reply, request_image_reply);
FWR_CODEC_PAIR(read_manifest_request, read_manifest_request);
FWR_CODEC_PAIR(data_reply, data_reply);
FWR_CODEC_PAIR(accept_offer_request, accept_offer_request);
FWR_CODEC_PAIR(accept_offer_reply, accept_offer_reply);
FWR_CODEC_PAIR(read_request, read_request);
FWR_CODEC_PAIR(end_transfer_request, end_transfer_request);
FWR_CODEC_PAIR(empty_reply, empty_reply);
FWR_CODEC_PAIR(offer_request, offer_request);
FWR_CODEC_PAIR(offer_reply, offer_reply);
FWR_CODEC_PAIR(get_wanted_request, get_wanted_request);
FWR_CODEC_PAIR(get_wanted_reply, get_wanted_reply);
FWR_CODEC_PAIR(wanted, wanted);
FWR_CODEC_PAIR(write_data_request, write_data_request);
FWR_CODEC_PAIR(block_data, block_data);
FWR_CODEC_PAIR(result_reply, result_reply);
FWR_CODEC_PAIR(start_request, start_request);
FWR_CODEC_PAIR(abort_request, start_request);
FWR_CODEC_PAIR(get_status_request, get_status_request);
FWR_CODEC_PAIR(get_status_reply, get_status_reply);
FWR_CODEC_PAIR(set_policy_request, set_policy_request);
FWR_CODEC_PAIR(read_page_request, read_page_request);
FWR_CODEC_PAIR(read_page_reply, read_page_reply);
FWR_CODEC_PAIR(status_page, status_page);
FWR_CODEC_PAIR(policy_page, policy_page);
FWR_CODEC_PAIR(peers_page, peers_page);
FWR_CODEC_PAIR(peer_entry, peer_entry);
FWR_CODEC_PAIR(trust_page, trust_page);

#ifdef __cplusplus
}
#endif

#endif
