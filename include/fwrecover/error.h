/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors: one negative enum for the whole library, and the only functions that give an
 * error a name, a sentence, or an IPMI completion code.
 *
 * A function that can fail returns int: FWR_OK, FWR_PENDING where its contract says so, or
 * one of these. On the wire and in the journal an error travels as its absolute value, one
 * byte ("reason"), so a value once released never changes its meaning.
 */
#ifndef FWRECOVER_ERROR_H
#define FWRECOVER_ERROR_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fwr_error {
    FWR_PENDING = 1, /* not an error: the operation goes on, call again */
    FWR_OK = 0,

    /* Messages and calls */
    FWR_E_ARGUMENT = -1,          /* the caller broke the function's contract */
    FWR_E_NO_SPACE = -2,          /* the caller's buffer or storage is too small */
    FWR_E_MALFORMED = -3,         /* a message or record does not follow its format */
    FWR_E_LENGTH = -4,            /* a request has the wrong length */
    FWR_E_UNSUPPORTED = -5,       /* a known request that this build or role does not serve */
    FWR_E_STATE = -6,             /* right request, wrong moment */
    FWR_E_BUSY = -7,              /* try again later */
    FWR_E_PRIVILEGE = -8,         /* the session may not do this */
    FWR_E_UNKNOWN_COMMAND = -9,   /* no such command, or not our IANA number */
    FWR_E_UNKNOWN_SLOT = -10,     /* no such component slot here */
    FWR_E_UNKNOWN_TRANSFER = -11, /* transfer id not alive for this peer */
    FWR_E_NOT_HELD = -12,         /* the donor no longer has these bytes intact */
    FWR_E_RANGE = -13,            /* offset or length outside the object */
    FWR_E_STALE = -14,            /* older run or generation than the one in force */
    FWR_E_NOT_FOUND = -15,        /* no such image, key or record */
    FWR_E_BY_BROADCAST = -16,     /* no error: the bytes asked for come by Block Data */

    /* Envelope, manifest, trust */
    FWR_E_ENVELOPE = -20,          /* not an envelope, or its lengths do not add up */
    FWR_E_ENVELOPE_SIZE = -21,     /* larger than the reader's cap */
    FWR_E_SIGNATURE = -22,         /* a known key's signature does not verify */
    FWR_E_UNTRUSTED = -23,         /* too few trusted keys have signed */
    FWR_E_MANIFEST = -24,          /* not canonical, or a required field is missing */
    FWR_E_CRITICAL_TAG = -25,      /* a critical field that this version does not know */
    FWR_E_REGION_MAP = -26,        /* the region map is not a legal cover of the chip */
    FWR_E_COMPONENT = -27,         /* image for another component */
    FWR_E_BOARD = -28,             /* image for another manufacturer or product */
    FWR_E_HARDWARE_REVISION = -29, /* hardware revision outside the image's range */
    FWR_E_FLASH_SIZE = -30,        /* image for a chip of another size */
    FWR_E_GEOMETRY = -31,          /* an erase unit would mix written and preserved bytes */
    FWR_E_LOCAL_MAP = -32,         /* conflicts with what this board preserves */
    FWR_E_BELOW_FLOOR = -33,       /* security version below the floor: rollback refused */
    FWR_E_BELOW_POLICY = -34,      /* sequence below the policy's minimum, or not the pinned one */
    FWR_E_KEY = -35,               /* a key cannot be read or is too weak */
    FWR_E_UNPROVISIONED = -36,     /* no trust set: nothing can be believed yet */
    FWR_E_ALGORITHM = -37,         /* algorithm not available in this build */
    FWR_E_REVOKED = -38,           /* signed by a revoked key */
    FWR_E_TRUST_SET = -39,         /* the trust set is malformed */

    /* Tree and blocks */
    FWR_E_TREE_NODE = -40,  /* a tree node does not hash to its parent */
    FWR_E_BLOCK_HASH = -41, /* a block does not hash to its leaf */
    FWR_E_ROOT = -42,       /* the flash does not hash to the signed root */

    /* Flash */
    FWR_E_FLASH_READ = -50,
    FWR_E_FLASH_ERASE = -51,
    FWR_E_FLASH_PROGRAM = -52,
    FWR_E_FLASH_SYNC = -53,
    FWR_E_FLASH_WORN = -54,       /* reads back wrong after every retry */
    FWR_E_FLASH_NOT_ERASED = -55, /* programming over bytes that were not erased */
    FWR_E_FLASH_ALIGNMENT = -56,  /* not a multiple of the erase or program size */

    /* Store */
    FWR_E_STORE_IO = -60,
    FWR_E_STORE_FULL = -61,
    FWR_E_STORE_READ_ONLY = -62,
    FWR_E_STORE_CORRUPT = -63, /* both copies of a record are damaged */
    FWR_E_STORE_VERSION = -64, /* written by a newer version: refused, not guessed */

    /* Host */
    FWR_E_HOST_HOLD = -70,
    FWR_E_HOST_BUS = -71,
    FWR_E_HOST_RELEASE = -72,
    FWR_E_BOOT_PROOF = -73, /* the host did not prove its boot in time */
    FWR_E_FELL_BACK = -74,  /* nor did the new bank: the host has the other one again */
    FWR_E_REJECTED = -75,   /* this image's boot was not proven here before */

    /* Negotiation and transfer */
    FWR_E_NO_DONOR = -80,      /* no configured donor answered */
    FWR_E_NO_OFFER = -81,      /* donors answered, none has an image for us */
    FWR_E_NO_COMPATIBLE = -82, /* images were offered, none passed the checks */
    FWR_E_DONORS_BUSY = -83,   /* every suitable donor is at its limit */
    FWR_E_DONORS_LOST = -84,   /* every suitable donor failed in mid-transfer */
    FWR_E_TIMEOUT = -85,
    FWR_E_DONOR_STALLED = -86, /* below the minimum rate */
    FWR_E_DONOR_LIED = -87,    /* sent bytes that do not hash to what was signed */
    FWR_E_ABORTED = -88,       /* stopped by an operator */
    FWR_E_PEER = -89,          /* the peer failed for a reason of its own */

    /* Floors and keys over the years */
    FWR_E_FLOOR_JUMP = -90,    /* would raise a floor further at once than is configured */
    FWR_E_FLOOR = -91,         /* a floor could not be read or raised */
    FWR_E_FLOOR_SPENT = -92,   /* the counter behind a floor is at its end */
    FWR_E_PARTLY_SIGNED = -93, /* enough keys of some groups of the trust set, not of all */
    FWR_E_NO_ML_DSA = -94,     /* a key needs ML-DSA, and this libcrypto has none */

    /* Sessions (RMCP+) */
    FWR_E_SESSION_CLOSED = -100,
    FWR_E_SESSION_REFUSED = -101,   /* the peer refused with a status code */
    FWR_E_SESSION_SUITE = -102,     /* cipher suite is not exactly a configured one */
    FWR_E_SESSION_AUTH = -103,      /* wrong password, or a forged packet */
    FWR_E_SESSION_FULL = -104,      /* no free session */
    FWR_E_SESSION_USER = -105,      /* the peer has no such user */
    FWR_E_SESSION_KG = -106,        /* the BMC key (K_g) is not the peer's */
    FWR_E_SESSION_PRIVILEGE = -107, /* the user may not have the privilege asked for */

    /* Around the library */
    FWR_E_IO = -110,
    FWR_E_CONFIG = -111,
    FWR_E_PERMISSIONS = -112, /* others may read a secret, or change what we trust */
    FWR_E_CRYPTO = -113,      /* libcrypto failed */
    FWR_E_MEMORY = -114,
    FWR_E_RANDOM = -115,    /* the caller's random source failed */
    FWR_E_ACCESS = -116,    /* the operating system forbids it */
    FWR_E_INTERFACE = -117, /* no such network interface, it is down, or nothing leads there */

    /* Bluetooth */
    FWR_E_NO_BLUETOOTH = -120, /* this kernel, or this container, has none */
    FWR_E_ADAPTER = -121,      /* no adapter with that address, or none is up */
    FWR_E_UNREACHABLE = -122,  /* the peer does not answer, or the connection to it broke */
    FWR_E_REFUSED = -123,      /* the peer answers, but nothing listens there */
};

/* The error's short name, as "below-floor": lower case, stable, for logs and JSON.
 * Unknown values give "unknown". Never NULL. */
const char *fwr_error_name(int error);

/* One sentence an operator understands, without a final full stop. Never NULL. */
const char *fwr_error_text(int error);

/* The IPMI completion code that answers a request which failed with this error
 * (IPMI 2.0 table 5-2; 80h to 82h are ours, see doc/WIRE.md). */
uint8_t fwr_error_completion_code(int error);

/* The error that a completion code received from a peer stands for. */
int fwr_error_from_completion_code(uint8_t code);

#ifdef __cplusplus
}
#endif

#endif
