/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table behind include/fwrecover/error.h: each error's completion code, name and
 * sentence. Called by everything that reports an error to a person or a peer. It decides
 * nothing and keeps no state.
 */
#include <fwrecover/error.h>

#include <stddef.h>

/* Completion codes: generic ones from IPMI 2.0 table 5-2; 80h and 81h are command-specific
 * and ours (doc/WIRE.md). */
enum {
    CC_OK = 0x00,
    CC_NOT_HELD = 0x80,
    CC_TRANSFER = 0x81,
    CC_BROADCAST = 0x82,
    CC_BUSY = 0xC0,
    CC_COMMAND = 0xC1,
    CC_LUN = 0xC2,
    CC_TIMEOUT = 0xC3,
    CC_TRUNCATED = 0xC6,
    CC_LENGTH = 0xC7,
    CC_LENGTH_LIMIT = 0xC8,
    CC_RANGE = 0xC9,
    CC_NOT_FOUND = 0xCB,
    CC_FIELD = 0xCC,
    CC_UPDATE_MODE = 0xD1,
    CC_INITIALIZING = 0xD2,
    CC_PRIVILEGE = 0xD4,
    CC_STATE = 0xD5,
    CC_DISABLED = 0xD6,
    CC_UNSPECIFIED = 0xFF,
};

struct row {
    int error;
    uint8_t completion_code;
    const char *name;
    const char *text;
};

static const struct row rows[] = {
    {FWR_PENDING, CC_BUSY, "pending", "The operation goes on"},
    {FWR_OK, CC_OK, "ok", "Success"},
    {FWR_E_ARGUMENT, CC_FIELD, "argument",
     "A function was called with an argument it does not allow"},
    {FWR_E_NO_SPACE, CC_UNSPECIFIED, "no-space", "The buffer or storage given is too small"},
    {FWR_E_MALFORMED, CC_FIELD, "malformed", "A message or record does not follow its format"},
    {FWR_E_LENGTH, CC_LENGTH, "length", "The request has the wrong length"},
    {FWR_E_UNSUPPORTED, CC_COMMAND, "unsupported",
     "This build or role does not serve that request"},
    {FWR_E_STATE, CC_STATE, "state", "The request is not possible in the present state"},
    {FWR_E_BUSY, CC_BUSY, "busy", "Busy, try again later"},
    {FWR_E_PRIVILEGE, CC_PRIVILEGE, "privilege",
     "The session's privilege or cipher suite does not allow this"},
    {FWR_E_UNKNOWN_COMMAND, CC_COMMAND, "unknown-command",
     "The command is unknown, or carries another vendor's number"},
    {FWR_E_UNKNOWN_SLOT, CC_NOT_FOUND, "unknown-slot", "There is no such component slot here"},
    {FWR_E_UNKNOWN_TRANSFER, CC_TRANSFER, "unknown-transfer",
     "The transfer has ended or was never granted to this peer"},
    {FWR_E_BY_BROADCAST, CC_BROADCAST, "by-broadcast",
     "The bytes come by broadcast, to everybody who wants them"},
    {FWR_E_NOT_HELD, CC_NOT_HELD, "not-held", "The donor no longer holds these bytes intact"},
    {FWR_E_RANGE, CC_RANGE, "range", "Offset or length lies outside the object"},
    {FWR_E_STALE, CC_STATE, "stale", "A newer run or generation is already in force"},
    {FWR_E_NOT_FOUND, CC_NOT_FOUND, "not-found", "There is no such image, key or record"},
    {FWR_E_ENVELOPE, CC_UNSPECIFIED, "envelope",
     "The file is not an image envelope, or its lengths do not add up"},
    {FWR_E_ENVELOPE_SIZE, CC_UNSPECIFIED, "envelope-size",
     "The image envelope is larger than this reader accepts"},
    {FWR_E_SIGNATURE, CC_UNSPECIFIED, "signature",
     "A signature does not fit the manifest it stands on"},
    {FWR_E_UNTRUSTED, CC_UNSPECIFIED, "untrusted", "Too few trusted keys have signed the image"},
    {FWR_E_MANIFEST, CC_UNSPECIFIED, "manifest",
     "The manifest is not in canonical form or lacks a required field"},
    {FWR_E_CRITICAL_TAG, CC_UNSPECIFIED, "critical-tag",
     "The manifest has a critical field that this version does not know"},
    {FWR_E_REGION_MAP, CC_UNSPECIFIED, "region-map",
     "The region map does not cover the chip as it must"},
    {FWR_E_COMPONENT, CC_UNSPECIFIED, "component", "The image is for another component"},
    {FWR_E_BOARD, CC_UNSPECIFIED, "board",
     "The image is for another manufacturer's board or another product"},
    {FWR_E_HARDWARE_REVISION, CC_UNSPECIFIED, "hardware-revision",
     "The image does not cover this hardware revision"},
    {FWR_E_FLASH_SIZE, CC_UNSPECIFIED, "flash-size",
     "The image is for a flash chip of another size"},
    {FWR_E_GEOMETRY, CC_UNSPECIFIED, "geometry",
     "An erase unit of this flash would mix written and preserved bytes"},
    {FWR_E_LOCAL_MAP, CC_UNSPECIFIED, "local-map",
     "The image conflicts with what this board must preserve"},
    {FWR_E_BELOW_FLOOR, CC_UNSPECIFIED, "below-floor",
     "The image's security version is below the floor, rollback is refused"},
    {FWR_E_BELOW_POLICY, CC_UNSPECIFIED, "below-policy",
     "The image is older than the policy allows, or not the pinned one"},
    {FWR_E_KEY, CC_UNSPECIFIED, "key", "A key cannot be read or is too weak"},
    {FWR_E_UNPROVISIONED, CC_UNSPECIFIED, "unprovisioned",
     "No trusted keys have been installed yet, so no image can be believed"},
    {FWR_E_ALGORITHM, CC_UNSPECIFIED, "algorithm", "The algorithm is not available in this build"},
    {FWR_E_REVOKED, CC_UNSPECIFIED, "revoked", "It is signed by a revoked key"},
    {FWR_E_TRUST_SET, CC_UNSPECIFIED, "trust-set", "The set of trusted keys is malformed"},
    {FWR_E_TREE_NODE, CC_UNSPECIFIED, "tree-node",
     "A hash of the tree does not fit the hash above it"},
    {FWR_E_BLOCK_HASH, CC_UNSPECIFIED, "block-hash", "A block does not fit its hash in the tree"},
    {FWR_E_ROOT, CC_UNSPECIFIED, "root", "The flash as read back does not fit the signed image"},
    {FWR_E_FLASH_READ, CC_UNSPECIFIED, "flash-read", "Reading the flash failed"},
    {FWR_E_FLASH_ERASE, CC_UNSPECIFIED, "flash-erase", "Erasing the flash failed"},
    {FWR_E_FLASH_PROGRAM, CC_UNSPECIFIED, "flash-program", "Programming the flash failed"},
    {FWR_E_FLASH_SYNC, CC_UNSPECIFIED, "flash-sync",
     "The flash could not confirm that its writes are done"},
    {FWR_E_FLASH_WORN, CC_UNSPECIFIED, "flash-worn",
     "A flash block reads back wrong after every retry and may be worn out"},
    {FWR_E_FLASH_NOT_ERASED, CC_UNSPECIFIED, "flash-not-erased",
     "Flash bytes would be programmed without being erased first"},
    {FWR_E_FLASH_ALIGNMENT, CC_UNSPECIFIED, "flash-alignment",
     "A flash operation is not aligned to erase or program units"},
    {FWR_E_STORE_IO, CC_UNSPECIFIED, "store-io",
     "The controller's storage cannot be read or written"},
    {FWR_E_STORE_FULL, CC_UNSPECIFIED, "store-full", "The controller's storage is full"},
    {FWR_E_STORE_READ_ONLY, CC_UNSPECIFIED, "store-read-only",
     "The controller's storage is read-only"},
    {FWR_E_STORE_CORRUPT, CC_UNSPECIFIED, "store-corrupt",
     "Both copies of a record in the controller's storage are damaged"},
    {FWR_E_STORE_VERSION, CC_UNSPECIFIED, "store-version",
     "A stored record was written by a newer version of this software"},
    {FWR_E_HOST_HOLD, CC_UNSPECIFIED, "host-hold", "The host could not be held in reset"},
    {FWR_E_HOST_BUS, CC_UNSPECIFIED, "host-bus",
     "The flash bus could not be taken from the host or given back"},
    {FWR_E_HOST_RELEASE, CC_UNSPECIFIED, "host-release",
     "The host could not be released from reset"},
    {FWR_E_BOOT_PROOF, CC_UNSPECIFIED, "boot-proof",
     "The host did not prove in time that it has booted"},
    {FWR_E_FELL_BACK, CC_UNSPECIFIED, "fell-back",
     "The new image did not prove its boot, the host runs from the other bank again"},
    {FWR_E_REJECTED, CC_UNSPECIFIED, "rejected",
     "The image was tried here before and did not prove its boot"},
    {FWR_E_NO_DONOR, CC_UNSPECIFIED, "no-donor", "No configured donor answered"},
    {FWR_E_NO_OFFER, CC_UNSPECIFIED, "no-offer",
     "Donors answered, but none has an image for this component"},
    {FWR_E_NO_COMPATIBLE, CC_UNSPECIFIED, "no-compatible",
     "Images were offered, but none passed the checks"},
    {FWR_E_DONORS_BUSY, CC_BUSY, "donors-busy", "Every suitable donor is at its limit"},
    {FWR_E_DONORS_LOST, CC_UNSPECIFIED, "donors-lost",
     "Every suitable donor failed before the transfer was complete"},
    {FWR_E_TIMEOUT, CC_UNSPECIFIED, "timeout", "No answer came in time"},
    {FWR_E_DONOR_STALLED, CC_UNSPECIFIED, "donor-stalled",
     "The donor delivers more slowly than the minimum rate"},
    {FWR_E_DONOR_LIED, CC_UNSPECIFIED, "donor-lied",
     "The donor sent bytes that differ from what was signed"},
    {FWR_E_ABORTED, CC_UNSPECIFIED, "aborted", "Stopped by an operator"},
    {FWR_E_PEER, CC_UNSPECIFIED, "peer", "The peer failed for a reason of its own"},
    {FWR_E_FLOOR_JUMP, CC_UNSPECIFIED, "floor-jump",
     "It would raise a floor further at once than this BMC allows"},
    {FWR_E_FLOOR, CC_UNSPECIFIED, "floor", "A floor could not be read or raised"},
    {FWR_E_FLOOR_SPENT, CC_UNSPECIFIED, "floor-spent",
     "The counter behind a floor is at its end and cannot rise any more"},
    {FWR_E_PARTLY_SIGNED, CC_UNSPECIFIED, "partly-signed",
     "Enough keys of one group of the trust set have signed, but not of every group"},
    {FWR_E_NO_ML_DSA, CC_UNSPECIFIED, "no-ml-dsa",
     "A key needs ML-DSA, and this libcrypto has no ML-DSA (OpenSSL 3.5 has)"},
    {FWR_E_SESSION_CLOSED, CC_UNSPECIFIED, "session-closed", "The session was closed"},
    {FWR_E_SESSION_REFUSED, CC_UNSPECIFIED, "session-refused",
     "The peer refused to open a session"},
    {FWR_E_SESSION_SUITE, CC_UNSPECIFIED, "session-suite",
     "The peer wants a cipher suite that is not configured"},
    {FWR_E_SESSION_AUTH, CC_UNSPECIFIED, "session-auth",
     "Authentication failed: wrong password, or a forged packet"},
    {FWR_E_SESSION_FULL, CC_UNSPECIFIED, "session-full", "No free session"},
    {FWR_E_SESSION_USER, CC_UNSPECIFIED, "session-user", "The peer knows no such user"},
    {FWR_E_SESSION_KG, CC_UNSPECIFIED, "session-kg", "The BMC key (K_g) differs from the peer's"},
    {FWR_E_SESSION_PRIVILEGE, CC_UNSPECIFIED, "session-privilege",
     "The peer does not grant this user the privilege asked for"},
    {FWR_E_IO, CC_UNSPECIFIED, "io", "Input or output failed"},
    {FWR_E_CONFIG, CC_UNSPECIFIED, "config", "The configuration is wrong"},
    {FWR_E_PERMISSIONS, CC_UNSPECIFIED, "permissions",
     "Others can read a file with a secret, or change a file or directory that must be ours"},
    {FWR_E_CRYPTO, CC_UNSPECIFIED, "crypto", "The cryptographic library failed"},
    {FWR_E_MEMORY, CC_UNSPECIFIED, "memory", "Out of memory"},
    {FWR_E_RANDOM, CC_UNSPECIFIED, "random", "The source of random numbers failed"},
    {FWR_E_ACCESS, CC_UNSPECIFIED, "access", "The operating system forbids access"},
    {FWR_E_NO_BLUETOOTH, CC_UNSPECIFIED, "no-bluetooth", "This kernel has no Bluetooth"},
    {FWR_E_ADAPTER, CC_UNSPECIFIED, "adapter",
     "There is no such Bluetooth adapter, or it is switched off"},
    {FWR_E_UNREACHABLE, CC_UNSPECIFIED, "unreachable",
     "The peer does not answer, or the connection to it broke"},
    {FWR_E_REFUSED, CC_UNSPECIFIED, "refused", "The peer answers, but nothing listens there"},
    {FWR_E_INTERFACE, CC_UNSPECIFIED, "interface",
     "There is no such network interface, it is down, or nothing leads from it to that address"},
};

static const struct row *row_find(int error)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].error == error)
            return &rows[i];
    }
    return NULL;
}

const char *fwr_error_name(int error)
{
    const struct row *row = row_find(error);

    return row ? row->name : "unknown";
}

const char *fwr_error_text(int error)
{
    const struct row *row = row_find(error);

    return row ? row->text : "Unknown error";
}

uint8_t fwr_error_completion_code(int error)
{
    const struct row *row = row_find(error);

    return row ? row->completion_code : CC_UNSPECIFIED;
}

int fwr_error_from_completion_code(uint8_t code)
{
    switch (code) {
    case CC_OK:
        return FWR_OK;
    case CC_NOT_HELD:
        return FWR_E_NOT_HELD;
    case CC_TRANSFER:
        return FWR_E_UNKNOWN_TRANSFER;
    case CC_BROADCAST:
        return FWR_E_BY_BROADCAST;
    case CC_BUSY:
    case CC_UPDATE_MODE:
    case CC_INITIALIZING:
        return FWR_E_BUSY;
    case CC_COMMAND:
    case CC_LUN:
        return FWR_E_UNKNOWN_COMMAND;
    case CC_TIMEOUT:
        return FWR_E_TIMEOUT;
    case CC_TRUNCATED:
    case CC_LENGTH:
    case CC_LENGTH_LIMIT:
        return FWR_E_LENGTH;
    case CC_RANGE:
        return FWR_E_RANGE;
    case CC_NOT_FOUND:
        return FWR_E_NOT_FOUND;
    case CC_FIELD:
        return FWR_E_MALFORMED;
    case CC_PRIVILEGE:
        return FWR_E_PRIVILEGE;
    case CC_STATE:
        return FWR_E_STATE;
    case CC_DISABLED:
        return FWR_E_UNSUPPORTED;
    default:
        return FWR_E_PEER;
    }
}
