/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command table: for every command who answers it, how long its request is, and the
 * privilege it needs. Called by the dispatcher, which knows no command by name.
 */
#ifndef FWR_OEM_CMDS_TABLE_H
#define FWR_OEM_CMDS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/oem.h>

/* One request on its way to its handler. Lengths and privilege are checked. */
struct fwr_oem_request {
    const struct fwr_oem *oem;
    const struct fwr_caller *caller;
    uint64_t now;
    uint8_t command; /* enum fwr_command */
    const uint8_t *data;
    size_t length;
    uint8_t *reply;
    size_t capacity; /* reply bytes that the road takes now */
};

struct fwr_oem_command {
    uint8_t roles;     /* enum fwr_role bits: who answers; 0 = reserved */
    uint8_t privilege; /* enum fwr_privilege, the least */
    uint16_t shortest; /* request bytes */
    uint16_t longest;  /* UINT16_MAX = what the road carries */
    int (*handler)(const struct fwr_oem_request *request);
    bool keyring; /* answered by a keyring too */
};

/* The row of a command (enum fwr_command); NULL outside the block. */
const struct fwr_oem_command *fwr_oem_command_find(uint8_t command);

/* The roles that are both built in and given. */
uint8_t fwr_oem_roles(const struct fwr_oem *oem);

#endif
