/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of what is a number on the wire, for logs, the command line and JSON. Called from
 * everywhere; once released a name stays.
 */
#include <fwrecover/command.h>
#include <fwrecover/link.h>

#include <stddef.h>

static const char *name_find(const char *const *names, size_t count, size_t value,
                             const char *unknown)
{
    return value < count && names[value] ? names[value] : unknown;
}

const char *fwr_command_name(uint8_t command)
{
    static const char *const names[FWR_CMD_COUNT] = {
        [FWR_CMD_GET_CAPABILITIES] = "Get Capabilities",
        [FWR_CMD_REQUEST_IMAGE] = "Request Image",
        [FWR_CMD_READ_MANIFEST] = "Read Manifest",
        [FWR_CMD_ACCEPT_OFFER] = "Accept Offer",
        [FWR_CMD_READ_TREE] = "Read Tree",
        [FWR_CMD_READ_BLOCKS] = "Read Blocks",
        [FWR_CMD_END_TRANSFER] = "End Transfer",
        [FWR_CMD_OFFER] = "Offer",
        [FWR_CMD_GET_WANTED] = "Get Wanted",
        [FWR_CMD_WRITE_DATA] = "Write Data",
        [FWR_CMD_BLOCK_DATA] = "Block Data",
        [FWR_CMD_START] = "Start",
        [FWR_CMD_ABORT] = "Abort",
        [FWR_CMD_GET_STATUS] = "Get Status",
        [FWR_CMD_SET_POLICY] = "Set Policy",
        [FWR_CMD_READ_PAGE] = "Read Page",
    };

    return name_find(names, FWR_CMD_COUNT, command, "?");
}

const char *fwr_state_name(uint8_t state)
{
    static const char *const names[] = {
        [FWR_STATE_IDLE] = "idle",
        [FWR_STATE_CHECKING] = "checking",
        [FWR_STATE_NEGOTIATING] = "negotiating",
        [FWR_STATE_HOLDING] = "holding",
        [FWR_STATE_HASHING] = "hashing",
        [FWR_STATE_REPAIRING] = "repairing",
        [FWR_STATE_VERIFYING] = "verifying",
        [FWR_STATE_RELEASING] = "releasing",
        [FWR_STATE_TRIAL] = "trial",
        [FWR_STATE_BACKOFF] = "back-off",
        [FWR_STATE_DONE] = "done",
        [FWR_STATE_FAILED] = "failed",
        [FWR_STATE_NO_RECIPIENT] = "no-recipient",
    };

    return name_find(names, sizeof(names) / sizeof(names[0]), state, "unknown");
}

const char *fwr_medium_name(enum fwr_medium medium)
{
    static const char *const names[FWR_MEDIUM_COUNT] = {
        [FWR_MEDIUM_LOCAL] = "local",   [FWR_MEDIUM_LAN] = "lan",
        [FWR_MEDIUM_WLAN] = "wlan",     [FWR_MEDIUM_BLUETOOTH] = "bluetooth",
        [FWR_MEDIUM_SERIAL] = "serial", [FWR_MEDIUM_ICMB] = "icmb",
    };

    return name_find(names, FWR_MEDIUM_COUNT, medium, "unknown");
}
