/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between an IPMI stack and the engines: the command table, the dispatcher every stack uses,
 * and the pump that moves a recipient's messages to its links.
 */
#ifndef FWRECOVER_OEM_H
#define FWRECOVER_OEM_H

#include <stddef.h>
#include <stdint.h>

#include <fwrecover/donor.h>
#include <fwrecover/keyring.h>
#include <fwrecover/link.h>
#include <fwrecover/recipient.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a program offers under one IANA number. The caller's; may be changed between calls. */
struct fwr_oem {
    size_t size;          /* sizeof(struct fwr_oem) */
    uint32_t iana;        /* 24 bits */
    uint8_t command_base; /* code of the first command, FWR_COMMAND_BASE */
    uint8_t slot_count;
    struct fwr_recipient *const *recipients; /* by slot; NULL: no recipient role */
    struct fwr_donor *donor;                 /* NULL: no donor role */
    uint16_t max_request; /* what Get Capabilities says: data bytes after the IANA number */
    uint16_t max_reply;
    uint8_t window;
    uint8_t allow_sessionless;   /* accept FWR_SECURITY_NONE: only where configuration names it */
    struct fwr_keyring *keyring; /* NULL: the trust set is changed by local means only */
};

/* Smallest reply buffer for fwr_oem_handle besides the reply data: completion code and IANA. */
#define FWR_OEM_HEADER 4

/* Answers one message of network function 2Eh. `data` are its bytes from the IANA number on;
 * `reply` gets completion code, IANA number and reply data, at most `capacity` (at least
 * FWR_OEM_HEADER + FWR_LINK_MIN_REPLY) and caller->max_reply. Returns the reply's length,
 * always at least 1; a message that is not ours answers C1h. Donor commands need USER,
 * recipient control ADMIN, on a configured suite or locally. */
size_t fwr_oem_handle(const struct fwr_oem *oem, uint64_t now, const struct fwr_caller *caller,
                      uint8_t command, const uint8_t *data, size_t length, uint8_t *reply,
                      size_t capacity);

/* Whether a message is for us: right IANA number and a code in our block. */
int fwr_oem_is_ours(const struct fwr_oem *oem, uint8_t command, const uint8_t *data, size_t length);

/* The least privilege (enum fwr_privilege) the command code needs; 0 for codes outside the
 * block. For stacks that check privileges themselves. */
uint8_t fwr_oem_privilege(const struct fwr_oem *oem, uint8_t command);

/* Hands a peer's reply (from the completion code on) to an enum fwr_command to the recipient. A
 * reply without our IANA number counts for its refusal alone; a link that knows by other means
 * which request it answers should put number and cookie in, so that the engine knows it too. */
void fwr_oem_response(const struct fwr_oem *oem, struct fwr_recipient *recipient, uint64_t now,
                      uint8_t peer, uint8_t command, const uint8_t *reply, size_t length);

/* Lets recipients that were repaired call those who wait, while their own BMC's donor has the image
 * and places free (fwr_recipient_offer). Call it after the engines have worked. FWR_PENDING:
 * there is more to call; FWR_OK: nothing to do before a recipient is repaired. */
int fwr_oem_offer(const struct fwr_oem *oem, uint64_t now);

/* Moves what the recipient has to send to the links (by peer index; NULL: no road now). */
void fwr_oem_pump(struct fwr_recipient *recipient, uint64_t now,
                  const struct fwr_link *const *links, size_t count);

#ifdef __cplusplus
}
#endif

#endif
