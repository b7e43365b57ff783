/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Talking to one BMC over LAN, one question at a time: the session behind `status`, `start`,
 * `abort`, `log` and `push`.
 */
#ifndef FWR_TOOLS_BMC_H
#define FWR_TOOLS_BMC_H

#include <fwrecover/command.h>
#include <fwrecover/recipient.h>
#include <fwrecover/version.h>

#include "tools/options.h"
#include "tools/peers.h"
#include "tools/road.h"

int tool_status(int argc, char **argv);
int tool_start(int argc, char **argv);
int tool_abort(int argc, char **argv);
int tool_log(int argc, char **argv);
int tool_push(int argc, char **argv);

/* What the command line says about the BMC, and the session with it. */
struct tool_bmc {
    const char *host, *user, *password_file, *password_argument, *kg_file;
    struct tool_u32 suite, slot, iana;
    bool json, verbose;

    struct tool_login login;
    struct fwr_platform platform;
    struct tool_road road;
    bool open;
    uint16_t max_request; /* of the road and the BMC; 0: not asked yet */
    uint16_t max_reply;

    /* The question under way. */
    uint8_t cookie;
    uint8_t command;
    bool waiting;
    int error; /* its answer: FWR_OK and `reply`, or what the completion code stands for */
    uint8_t reply[FWR_RMCP_DATAGRAM_MAX];
    size_t reply_length;
};

#define TOOL_BMC_DEFAULTS                                                                          \
    .user = "fwrecover", .suite = {FWR_RMCP_SUITE_SHA256, false}, .iana = {FWR_IANA_DEFAULT, false}

/* The options every one of these commands has, for the head of its table. */
#define TOOL_BMC_OPTIONS(bmc)                                                                       \
    {"host",    'H',                                                                                \
     TOOL_TEXT, &(bmc)->host,                                                                       \
     "ADDRESS", "the BMC: HOST[:PORT], serial:DEVICE[:BAUD] (required)",                            \
     0,         0},                                                                                 \
        {"user", 'U', TOOL_TEXT, &(bmc)->user, "NAME", "the user there [fwrecover]", 0, 0},         \
        {"password-file",                                                                           \
         'f',                                                                                       \
         TOOL_TEXT,                                                                                 \
         &(bmc)->password_file,                                                                     \
         "FILE",                                                                                    \
         "its password; else FWRECOVER_PASSWORD",                                                   \
         0,                                                                                         \
         0},                                                                                        \
        {"password", 'P',                                                                           \
         TOOL_TEXT,  &(bmc)->password_argument,                                                     \
         "TEXT",     "its password, for all on this machine to see",                                \
         0,          0},                                                                            \
        {"kg-file", 'k', TOOL_TEXT, &(bmc)->kg_file, "FILE", "the BMC key K_g", 0, 0},              \
        {"suite", 'C', TOOL_U32, &(bmc)->suite, "N", "cipher suite 17 (default) or 3", 3, 17},      \
        {"slot", 's', TOOL_U32, &(bmc)->slot, "N", "the component slot [0]", 0, UINT8_MAX},         \
        {"iana", 0, TOOL_U32, &(bmc)->iana, "N", "enterprise number of the commands", 1, 0xffffff}, \
        {"json", 0, TOOL_FLAG, &(bmc)->json, NULL, "report as JSON", 0, 0},                         \
    {                                                                                               \
        "verbose", 'v', TOOL_FLAG, &(bmc)->verbose, NULL, "log more", 0, 0                          \
    }

/* Prepares the session; it opens with the first question. Reports its failures. */
int tool_bmc_open(struct tool_bmc *bmc, enum fwr_privilege privilege);
void tool_bmc_close(struct tool_bmc *bmc);

/* Asks and waits: repeats what was lost, comes back later when the BMC is busy. data[0] is
 * filled in. FWR_OK: the reply's data are in bmc->reply; else the error, unreported:
 * FWR_E_ABORTED when a signal came. */
int tool_bmc_ask(struct tool_bmc *bmc, uint8_t command, uint8_t *data, size_t length);

/* Learns the limits of road and BMC together. */
int tool_bmc_limits(struct tool_bmc *bmc);

int tool_bmc_status(struct tool_bmc *bmc, struct fwr_get_status_reply *status);
/* Reads bytes of a page: FWR_OK, *got bytes in `buffer`, 0 at its end. */
int tool_bmc_page(struct tool_bmc *bmc, uint8_t page, uint32_t offset, uint8_t *buffer,
                  size_t capacity, size_t *got);
/* The same of one generation of the page: 0 becomes the one that is read, another that is no longer
 * current is FWR_E_STATE. */
int tool_bmc_page_of(struct tool_bmc *bmc, uint8_t page, uint8_t *generation, uint32_t offset,
                     uint8_t *buffer, size_t capacity, size_t *got);
int tool_bmc_status_page(struct tool_bmc *bmc, struct fwr_status_page *page);

/* Reads the peers page. False: the BMC has none, as older ones, or there is no answer; what matters
 * is asked otherwise. */
bool tool_bmc_peers(struct tool_bmc *bmc, struct tool_peers *peers);

/* Reports an error of the questions above with the BMC's name. Returns the exit status. */
int tool_bmc_error(const struct tool_bmc *bmc, int error);

/* Waits without doing anything, or until a signal comes. */
void tool_bmc_pause(struct tool_bmc *bmc, unsigned milliseconds);

#endif
