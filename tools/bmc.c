/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `fwrecover status | start | abort | log`: a BMC's recovery watched and steered over LAN.
 */
#include "tools/bmc.h"

#include <stdio.h>
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/version.h>

#include "tools/json.h"
#include "tools/progress.h"
#include "tools/say.h"

#define WATCH_MS    250  /* doc/WIRE.md allows five times a second */
#define PEERS_MS    1000 /* at least between readings of the peers page, */
#define PEERS_SHARE 10   /* and so many times as long as one took */

static bool at_rest(uint8_t state)
{
    return state == FWR_STATE_IDLE || state == FWR_STATE_DONE || state == FWR_STATE_FAILED ||
           state == FWR_STATE_NO_RECIPIENT;
}

/* ---- status ---- */

static int end_of(uint8_t state, uint8_t reason)
{
    if (state != FWR_STATE_FAILED && reason == 0)
        return TOOL_OK;
    return reason != 0 ? tool_exit_of(-reason) : TOOL_DAMAGED;
}

/* Which roads carry, and when to ask again: over a slow road that takes a while. */
static void ask_roads(struct tool_bmc *bmc, char roads[TOOL_ROADS_TEXT], uint64_t *again)
{
    struct tool_peers peers;
    uint64_t began = tool_now(), pause;

    (void)tool_bmc_peers(bmc, &peers); /* then there are none */
    tool_peers_carrying(&peers, roads, TOOL_ROADS_TEXT);
    pause = (tool_now() - began) * PEERS_SHARE;
    *again = tool_now() + (pause > PEERS_MS ? pause : PEERS_MS);
}

static int watch(struct tool_bmc *bmc, struct fwr_get_status_reply *status)
{
    struct tool_progress progress;
    char roads[TOOL_ROADS_TEXT] = "";
    uint64_t peers_at = 0;
    int error;

    tool_progress_init(&progress);
    for (;;) {
        error = tool_bmc_status(bmc, status);
        if (error != FWR_OK)
            break;
        if (!at_rest(status->state) && tool_now() >= peers_at)
            ask_roads(bmc, roads, &peers_at);
        tool_progress_show(&progress, status, at_rest(status->state) ? "" : roads);
        if (at_rest(status->state))
            break;
        tool_bmc_pause(bmc, WATCH_MS);
    }
    tool_progress_clear(&progress);
    return error;
}

static int report_status(struct tool_bmc *bmc, const struct fwr_get_status_reply *status)
{
    struct json_object *object;
    struct fwr_status_page page;
    struct tool_peers peers;
    bool told;
    int error;

    if (status->state == FWR_STATE_NO_RECIPIENT) {
        if (bmc->json) {
            object = json_object_new_object();
            tool_json_text(object, "state", fwr_state_name(status->state));
            tool_json_print(object);
        } else {
            printf("%s only gives images, it has no flash of its own to repair\n", bmc->host);
        }
        return TOOL_OK;
    }
    error = tool_bmc_status_page(bmc, &page);
    told = error == FWR_OK && tool_bmc_peers(bmc, &peers);
    if (error != FWR_OK)
        return tool_bmc_error(bmc, error);
    if (bmc->json) {
        object = tool_progress_json(&page);
        tool_json_number(object, "permille", status->permille);
        if (told)
            tool_peers_json(&peers, object, NULL, NULL);
        tool_json_print(object);
    } else {
        tool_progress_table(&page);
        if (told)
            tool_peers_table(&peers, bmc->verbose, NULL, NULL);
    }
    return end_of(page.state, page.reason);
}

int tool_status(int argc, char **argv)
{
    static struct tool_bmc bmc = {TOOL_BMC_DEFAULTS};
    bool follow = false;
    const struct tool_option options[] = {
        TOOL_BMC_OPTIONS(&bmc),
        {"watch", 'w', TOOL_FLAG, &follow, NULL, "draw progress until the run has ended", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "status",
        "",
        "Shows a BMC's recovery. Exit status 0: nothing is wrong; else by the run's reason.",
        options,
        0,
        0};
    struct fwr_get_status_reply status;
    char **operands;
    unsigned count;
    int result, error;

    if (!tool_options(&usage, argc, argv, &operands, &count, &result))
        return result;
    result = tool_bmc_open(&bmc, FWR_PRIVILEGE_USER);
    if (result == TOOL_OK) {
        error = follow ? watch(&bmc, &status) : tool_bmc_status(&bmc, &status);
        result = error == FWR_OK ? report_status(&bmc, &status) : tool_bmc_error(&bmc, error);
    }
    tool_bmc_close(&bmc);
    return result;
}

/* ---- start, abort ---- */

/* Sends Start or Abort. FWR_OK with the BMC's verdict. */
static int command_run(struct tool_bmc *bmc, uint8_t command, uint32_t run, uint8_t mode,
                       uint8_t *verdict)
{
    struct fwr_start_request request = {.slot = (uint8_t)bmc->slot.value, .run = run, .mode = mode};
    struct fwr_result_reply reply;
    uint8_t data[FWR_MESSAGE_MAX];
    int length = command == FWR_CMD_START ? fwr_start_request_encode(&request, data, sizeof(data))
                                          : fwr_abort_request_encode(&request, data, sizeof(data));
    int error = length < 0 ? length : tool_bmc_ask(bmc, command, data, (size_t)length);

    if (error == FWR_OK)
        error = fwr_result_reply_decode(bmc->reply, bmc->reply_length, &reply);
    if (error == FWR_OK)
        *verdict = reply.result;
    return error;
}

static int report_verdict(const struct tool_bmc *bmc, const char *what, uint32_t run,
                          uint8_t verdict)
{
    static const char *const words[] = {"ok", "busy: another run is under way",
                                        "stale: a later run is in force", "refused"};
    const char *word = verdict < sizeof(words) / sizeof(words[0]) ? words[verdict] : words[3];
    struct json_object *object;

    if (bmc->json) {
        object = json_object_new_object();
        tool_json_number(object, "run", run);
        tool_json_number(object, "result", verdict);
        tool_json_text(object, "result_text", word);
        tool_json_print(object);
    } else if (verdict == FWR_START_OK) {
        printf("run %lu: %s: ok\n", (unsigned long)run, what);
    } else {
        tool_note("run %lu: %s: %s", (unsigned long)run, what, word);
    }
    return verdict == FWR_START_OK ? TOOL_OK : TOOL_DAMAGED;
}

static bool mode_of(const char *name, uint8_t *mode)
{
    static const char *const names[] = {"check", "dry-run", "repair"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            *mode = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static int steer(struct tool_bmc *bmc, uint8_t command, const struct tool_u32 *wanted, uint8_t mode,
                 bool follow)
{
    struct fwr_get_status_reply status;
    uint8_t verdict = FWR_START_REFUSED;
    int result = tool_bmc_open(bmc, FWR_PRIVILEGE_ADMIN);
    uint32_t run;
    int error;

    if (result != TOOL_OK)
        return result;
    error = tool_bmc_status(bmc, &status);
    if (error == FWR_OK && status.state == FWR_STATE_NO_RECIPIENT)
        error = FWR_E_UNSUPPORTED;
    if (error != FWR_OK)
        return tool_bmc_error(bmc, error);
    run = wanted->given ? wanted->value : status.run + (command == FWR_CMD_START ? 1 : 0);
    if (run == 0)
        return tool_usage("there has been no run to abort");
    error = command_run(bmc, command, run, mode, &verdict);
    if (error != FWR_OK)
        return tool_bmc_error(bmc, error);
    result = report_verdict(bmc, command == FWR_CMD_START ? "start" : "abort", run, verdict);
    if (result != TOOL_OK || !follow)
        return result;
    error = watch(bmc, &status);
    return error == FWR_OK ? report_status(bmc, &status) : tool_bmc_error(bmc, error);
}

int tool_start(int argc, char **argv)
{
    static struct tool_bmc bmc = {TOOL_BMC_DEFAULTS};
    struct tool_u32 run = {0, false};
    bool follow = false;
    const struct tool_option options[] = {
        TOOL_BMC_OPTIONS(&bmc),
        {"run", 0, TOOL_U32, &run, "N", "the run's number [the next]", 1, 0},
        {"watch", 'w', TOOL_FLAG, &follow, NULL, "draw progress until the run has ended", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "start",
        "[check|dry-run|repair]",
        "Starts a run on a BMC: check hashes the flash against the known image, dry-run finds\n"
        "what a repair would write, repair (the default) writes it.",
        options,
        0,
        1};
    uint8_t mode = FWR_START_REPAIR;
    char **operands;
    unsigned count;
    int result;

    if (!tool_options(&usage, argc, argv, &operands, &count, &result))
        return result;
    if (count == 1 && !mode_of(operands[0], &mode))
        return tool_usage("start: %s: not check, dry-run or repair", operands[0]);
    result = steer(&bmc, FWR_CMD_START, &run, mode, follow);
    tool_bmc_close(&bmc);
    return result;
}

int tool_abort(int argc, char **argv)
{
    static struct tool_bmc bmc = {TOOL_BMC_DEFAULTS};
    struct tool_u32 run = {0, false};
    const struct tool_option options[] = {
        TOOL_BMC_OPTIONS(&bmc),
        {"run", 0, TOOL_U32, &run, "N", "the run's number [the present one]", 1, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {
        "abort", "", "Stops a run on a BMC. Once it has begun to write it goes on to its end.",
        options, 0,  0};
    char **operands;
    unsigned count;
    int result;

    if (!tool_options(&usage, argc, argv, &operands, &count, &result))
        return result;
    result = steer(&bmc, FWR_CMD_ABORT, &run, 0, false);
    tool_bmc_close(&bmc);
    return result;
}

/* ---- log ---- */

/* Prints what is in the log from `*at` on. */
static int print_log(struct tool_bmc *bmc, uint32_t *at)
{
    uint8_t text[FWR_RMCP_DATAGRAM_MAX];
    size_t got = 1;
    int error = FWR_OK;

    while (error == FWR_OK && got > 0) {
        error = tool_bmc_page(bmc, FWR_PAGE_LOG, *at, text, sizeof(text), &got);
        if (error != FWR_OK)
            break;
        /* It comes from another machine: no control characters for our terminal. */
        for (size_t i = 0; i < got; i++) {
            if ((text[i] < 0x20 || text[i] > 0x7e) && text[i] != '\n')
                text[i] = '?';
        }
        fwrite(text, 1, got, stdout);
        fflush(stdout);
        *at += (uint32_t)got;
    }
    return error;
}

static int read_log(struct tool_bmc *bmc, bool follow)
{
    struct fwr_status_page page;
    uint32_t at = 0;
    int error = tool_bmc_status_page(bmc, &page);

    if (error == FWR_OK)
        at = page.log_start;
    while (error == FWR_OK) {
        error = print_log(bmc, &at);
        if (error == FWR_E_RANGE) { /* it has grown past us, or has begun anew */
            error = tool_bmc_status_page(bmc, &page);
            at = page.log_start;
            continue;
        }
        if (error != FWR_OK || !follow || tool_stopped())
            break;
        tool_bmc_pause(bmc, WATCH_MS);
    }
    return follow && error == FWR_E_ABORTED ? FWR_OK : error;
}

int tool_log(int argc, char **argv)
{
    static struct tool_bmc bmc = {TOOL_BMC_DEFAULTS};
    bool follow = false;
    const struct tool_option options[] = {
        TOOL_BMC_OPTIONS(&bmc),
        {"follow", 'F', TOOL_FLAG, &follow, NULL, "go on as it grows, until SIGINT", 0, 0},
        {NULL, 0, TOOL_FLAG, NULL, NULL, NULL, 0, 0},
    };
    const struct tool_usage_text usage = {"log",   "", "Prints a BMC's log of recoveries.",
                                          options, 0,  0};
    char **operands;
    unsigned count;
    int result, error;

    if (!tool_options(&usage, argc, argv, &operands, &count, &result))
        return result;
    if (bmc.json)
        return tool_usage("log: its lines are text, there is no --json");
    result = tool_bmc_open(&bmc, FWR_PRIVILEGE_USER);
    if (result == TOOL_OK) {
        error = read_log(&bmc, follow);
        if (error != FWR_OK)
            result = tool_bmc_error(&bmc, error);
    }
    tool_bmc_close(&bmc);
    return result;
}
