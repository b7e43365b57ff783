/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command table and the handlers that bring a request to its engine. Called by the
 * dispatcher after its checks. It neither checks privileges nor touches completion codes.
 */
#include "oem-cmds/table.h"

#include <config.h>

#include <stdbool.h>
#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

uint8_t fwr_oem_roles(const struct fwr_oem *oem)
{
    uint8_t roles = 0;

    if (FWR_DONOR && oem->donor != NULL)
        roles |= FWR_ROLE_DONOR;
    if (FWR_RECIPIENT && oem->recipients != NULL && oem->slot_count > 0)
        roles |= FWR_ROLE_RECIPIENT;
    return roles;
}

static int get_capabilities(const struct fwr_oem_request *r)
{
    struct fwr_get_capabilities_request request;
    struct fwr_get_capabilities_reply reply = {0};
    uint8_t roles = fwr_oem_roles(r->oem);
    int error = fwr_get_capabilities_request_decode(r->data, r->length, &request);

    if (error != FWR_OK)
        return error;
    reply.cookie = request.cookie;
    reply.wire_version = FWR_WIRE_VERSION;
    reply.roles = roles;
    reply.max_request = r->oem->max_request;
    reply.max_reply = (uint16_t)(r->capacity < UINT16_MAX ? r->capacity : UINT16_MAX);
    reply.codecs = 1 << FWR_CODEC_NONE;
    reply.slots = roles & FWR_ROLE_RECIPIENT ? r->oem->slot_count : 0;
    reply.window = r->oem->window > 0 ? r->oem->window : 1;
    return fwr_get_capabilities_reply_encode(&reply, r->reply, r->capacity);
}

#if FWR_DONOR
static int ask_donor(const struct fwr_oem_request *r)
{
    return fwr_donor_request(r->oem->donor, r->now, r->caller, r->command, r->data, r->length,
                             r->reply, r->capacity);
}

/* Who asks for an image waits for one: the recipients may want to know. */
static int ask_image(const struct fwr_oem_request *r)
{
#if FWR_RECIPIENT
    for (uint8_t slot = 0;
         r->caller->peer != 0 && r->oem->recipients != NULL && slot < r->oem->slot_count; slot++)
        if (r->oem->recipients[slot] != NULL)
            fwr_recipient_asked(r->oem->recipients[slot], (uint8_t)(r->caller->peer - 1));
#endif
    return ask_donor(r);
}
#else
#define ask_donor NULL
#define ask_image NULL
#endif

#if FWR_RECIPIENT
static int ask_recipient(const struct fwr_oem_request *r, uint8_t slot)
{
    if (slot >= r->oem->slot_count || r->oem->recipients[slot] == NULL)
        return FWR_E_UNKNOWN_SLOT;
    return fwr_recipient_request(r->oem->recipients[slot], r->now, r->caller, r->command, r->data,
                                 r->length, r->reply, r->capacity);
}

/* Commands whose second byte names the slot. */
static int ask_slot(const struct fwr_oem_request *r)
{
    return ask_recipient(r, r->data[1]);
}

/* Commands that name a transfer: it is known to the recipient that issued it and to no other. */
static int ask_transfer(const struct fwr_oem_request *r)
{
    for (uint8_t slot = 0; slot < r->oem->slot_count; slot++) {
        int length = ask_recipient(r, slot);

        if (length != FWR_E_UNKNOWN_TRANSFER && length != FWR_E_UNKNOWN_SLOT)
            return length;
    }
    return FWR_E_UNKNOWN_TRANSFER;
}
#else
static int ask_slot(const struct fwr_oem_request *r)
{
    (void)r;
    return FWR_E_UNSUPPORTED;
}

static int ask_transfer(const struct fwr_oem_request *r)
{
    (void)r;
    return FWR_E_UNKNOWN_TRANSFER;
}
#endif

static int ask_keyring(const struct fwr_oem_request *r)
{
    return fwr_keyring_request(r->oem->keyring, r->now, r->caller, r->command, r->data, r->length,
                               r->reply, r->capacity);
}

/* What a slot's recipient answers, where there is that role; a peer without has no such command. */
static int ask_recipient_role(const struct fwr_oem_request *r)
{
    return fwr_oem_roles(r->oem) & FWR_ROLE_RECIPIENT ? ask_slot(r) : FWR_E_UNSUPPORTED;
}

/* The kind is the last byte. A call is a hint, which any peer may give; to push needs ADMIN. A
 * trust set is the keyring's. */
static int offer(const struct fwr_oem_request *r)
{
    uint8_t kind = r->data[r->length - 1];

    if (kind != FWR_OFFER_CALL && r->caller->privilege < FWR_PRIVILEGE_ADMIN)
        return FWR_E_PRIVILEGE;
    if (r->oem->keyring != NULL && kind == FWR_OFFER_TRUST)
        return ask_keyring(r);
    return ask_recipient_role(r);
}

static int read_page(const struct fwr_oem_request *r)
{
    if (r->oem->keyring != NULL && r->data[2] == FWR_PAGE_TRUST)
        return r->data[1] == 0 ? ask_keyring(r) : FWR_E_UNKNOWN_SLOT;
    return ask_recipient_role(r);
}

/* A push of an image or of a trust set: the transfer says of which. */
static int push(const struct fwr_oem_request *r)
{
    int length = r->oem->keyring != NULL ? ask_keyring(r) : FWR_E_UNKNOWN_TRANSFER;

    return length == FWR_E_UNKNOWN_TRANSFER ? ask_transfer(r) : length;
}

/* The store is not asked two things at once. */
static int set_policy(const struct fwr_oem_request *r)
{
    if (r->oem->keyring != NULL && fwr_keyring_busy(r->oem->keyring))
        return FWR_E_BUSY;
    return ask_slot(r);
}

static int get_status(const struct fwr_oem_request *r)
{
    struct fwr_get_status_request request;
    struct fwr_get_status_reply reply = {.state = FWR_STATE_NO_RECIPIENT};
    int error;

#if FWR_RECIPIENT
    if (fwr_oem_roles(r->oem) & FWR_ROLE_RECIPIENT)
        return ask_slot(r);
#endif
    error = fwr_get_status_request_decode(r->data, r->length, &request);
    if (error != FWR_OK)
        return error;
    reply.cookie = request.cookie;
    return fwr_get_status_reply_encode(&reply, r->reply, r->capacity);
}

/* Ids are random, so that only the side that issued one knows it; on an unknown one the answer
 * is the same from all. */
static int end_transfer(const struct fwr_oem_request *r)
{
    int length = r->oem->keyring != NULL ? ask_keyring(r) : FWR_E_UNKNOWN_COMMAND;

    if (length >= 0)
        return length;
#if FWR_DONOR
    if (r->oem->donor != NULL)
        length = ask_donor(r);
#endif
#if FWR_RECIPIENT
    for (uint8_t slot = 0; r->oem->recipients != NULL && slot < r->oem->slot_count; slot++) {
        if (r->oem->recipients[slot] != NULL)
            length = ask_recipient(r, slot);
    }
#endif
    return length;
}

#define BOTH   (FWR_ROLE_DONOR | FWR_ROLE_RECIPIENT)
#define GIVES  FWR_ROLE_DONOR
#define TAKES  FWR_ROLE_RECIPIENT
#define USER   FWR_PRIVILEGE_USER
#define ADMIN  FWR_PRIVILEGE_ADMIN
#define NOBODY 0

/* doc/WIRE.md section 5. */
static const struct fwr_oem_command commands[FWR_CMD_COUNT] = {
    [FWR_CMD_GET_CAPABILITIES] = {BOTH, USER, 1, 1, get_capabilities, false},
    [FWR_CMD_REQUEST_IMAGE] = {GIVES, USER, 14, 14, ask_image, false},
    [FWR_CMD_READ_MANIFEST] = {GIVES, USER, 15, 15, ask_donor, false},
    [FWR_CMD_ACCEPT_OFFER] = {GIVES, USER, 14, 14, ask_donor, false},
    [FWR_CMD_READ_TREE] = {GIVES, USER, 14, 14, ask_donor, false},
    [FWR_CMD_READ_BLOCKS] = {GIVES, USER, 14, 14, ask_donor, false},
    [FWR_CMD_END_TRANSFER] = {BOTH, USER, 6, 6, end_transfer, false},
    [FWR_CMD_OFFER] = {TAKES, USER, 15, 15, offer, true},
    [FWR_CMD_GET_WANTED] = {TAKES, ADMIN, 7, 7, push, true},
    [FWR_CMD_WRITE_DATA] = {TAKES, ADMIN, 11, UINT16_MAX, push, true},
    [FWR_CMD_BLOCK_DATA] = {NOBODY, USER, 0, 0, NULL, false},
    [FWR_CMD_START] = {TAKES, ADMIN, 7, 7, ask_slot, false},
    [FWR_CMD_ABORT] = {TAKES, ADMIN, 7, 7, ask_slot, false},
    [FWR_CMD_GET_STATUS] = {BOTH, USER, 2, 2, get_status, false},
    [FWR_CMD_SET_POLICY] = {TAKES, ADMIN, 8, 15, set_policy, false},
    [FWR_CMD_READ_PAGE] = {TAKES, USER, 10, 10, read_page, true},
};

const struct fwr_oem_command *fwr_oem_command_find(uint8_t command)
{
    return command < FWR_CMD_COUNT ? &commands[command] : NULL;
}
