/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The progress bar, and a run's status page as a table and as JSON. Prints what the engine
 * says; computes nothing of its own but sums.
 */
#include "tools/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <fwrecover/error.h>

#include "tools/json.h"
#include "tools/number.h"

#define BAR_WIDTH    40
#define TEXT_WIDTH   28
#define LINE_STEP    10 /* percent */
#define FETCHED_STEP 16 /* blocks */

void tool_progress_init(struct tool_progress *progress)
{
    progress->terminal = isatty(STDERR_FILENO) == 1;
    progress->drawn = false;
    progress->state = -1;
    progress->percent = -1;
    progress->fetched = 0;
    progress->roads[0] = '\0';
}

/* Whether others carry than before; that none does for a while is none of its business. */
static bool roads_changed(struct tool_progress *progress, const char *roads)
{
    if (roads[0] == '\0' || strcmp(progress->roads, roads) == 0)
        return false;
    if (progress->roads[0] != '\0') {
        tool_progress_clear(progress);
        fprintf(stderr, "blocks come over %s now, no longer over %s\n", roads, progress->roads);
    }
    snprintf(progress->roads, sizeof(progress->roads), "%s", roads);
    return true;
}

void tool_progress_show(struct tool_progress *progress, const struct fwr_get_status_reply *status,
                        const char *roads)
{
    bool changed = roads != NULL && roads_changed(progress, roads);
    const char *over = roads != NULL && roads[0] != '\0' ? " over " : "";
    int percent = status->permille / 10;
    char bar[BAR_WIDTH + 1], text[TEXT_WIDTH + 1];

    if (!progress->terminal)
        percent -= percent % LINE_STEP;
    roads = over[0] != '\0' ? roads : "";
    if (!changed && progress->state == status->state && progress->percent == percent &&
        status->fetched - progress->fetched < FETCHED_STEP)
        return;
    progress->fetched = status->fetched;
    progress->state = status->state;
    progress->percent = percent;
    if (!progress->terminal) {
        fprintf(stderr, "progress: %s %d%%, %lu fetched, %lu reused%s%s%s\n",
                fwr_state_name(status->state), percent, (unsigned long)status->fetched,
                (unsigned long)status->reused, over[0] != '\0' ? "," : "", over, roads);
        return;
    }
    for (int i = 0; i < BAR_WIDTH; i++)
        bar[i] = i < percent * BAR_WIDTH / 100 ? '#' : '.';
    bar[BAR_WIDTH] = '\0';
    snprintf(text, sizeof(text), "%s%s%s", fwr_state_name(status->state), over, roads);
    fprintf(stderr, "\r[%s] %3d%% %-*s", bar, percent, TEXT_WIDTH, text);
    progress->drawn = true;
}

void tool_progress_clear(struct tool_progress *progress)
{
    if (progress->drawn)
        fprintf(stderr, "\r%*s\r", BAR_WIDTH + TEXT_WIDTH + 8, "");
    progress->drawn = false;
}

static void row(const char *name, unsigned long value, const char *unit)
{
    printf("  %-22s%12lu %s\n", name, value, unit);
}

void tool_progress_table(const struct fwr_status_page *page)
{
    printf("  %-22s%12s\n", "state", fwr_state_name(page->state));
    if (page->reason != 0)
        printf("  %-22s%s (%s)\n", "reason", fwr_error_text(-page->reason),
               fwr_error_name(-page->reason));
    if (page->bad_block != UINT32_MAX)
        printf("  %-22s  0x%08lx\n", "block behind it", (unsigned long)page->bad_block);
    row("image sequence", page->sequence, "");
    row("blocks", page->blocks_total, "");
    row("found wrong", page->blocks_wrong, "");
    row("repaired", page->blocks_repaired, "");
    row("fetched from donors", page->blocks_fetched, "");
    row("fetched twice", page->blocks_refetched, "");
    row("reused: copied", page->blocks_copied, "");
    row("reused: blank", page->blocks_blank, "");
    row("left to this board", page->blocks_waived, "");
    row("bytes received", page->bytes_received, "");
    row("bytes preserved", page->bytes_preserved, "");
    printf("  %-22s%8lu.%03lu s\n", "time", (unsigned long)page->elapsed_ms / 1000,
           (unsigned long)page->elapsed_ms % 1000);
}

struct json_object *tool_progress_json(const struct fwr_status_page *page)
{
    struct json_object *object = json_object_new_object();

    tool_json_text(object, "state", fwr_state_name(page->state));
    tool_json_error(object, -page->reason);
    tool_json_number(object, "mode", page->mode);
    tool_json_number(object, "run", page->run);
    tool_json_number(object, "donors", page->donors);
    tool_json_hex(object, "tag", page->tag, sizeof(page->tag));
    tool_json_number(object, "sequence", page->sequence);
    tool_json_number(object, "block_size", page->block_size);
    tool_json_number(object, "blocks_total", page->blocks_total);
    tool_json_number(object, "blocks_wrong", page->blocks_wrong);
    tool_json_number(object, "blocks_fetched", page->blocks_fetched);
    tool_json_number(object, "blocks_copied", page->blocks_copied);
    tool_json_number(object, "blocks_blank", page->blocks_blank);
    tool_json_number(object, "blocks_repaired", page->blocks_repaired);
    tool_json_number(object, "blocks_refetched", page->blocks_refetched);
    tool_json_number(object, "blocks_waived", page->blocks_waived);
    tool_json_number(object, "bytes_received", page->bytes_received);
    tool_json_number(object, "bytes_preserved", page->bytes_preserved);
    if (page->bad_block != UINT32_MAX)
        tool_json_number(object, "bad_block", page->bad_block);
    tool_json_number(object, "elapsed_ms", page->elapsed_ms);
    return object;
}
