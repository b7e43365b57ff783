/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What goes wrong, see box.h: from time to time one thing of a list that the seed has weighted.
 */
#include "tests/sim/box.h"

#define JUMP_MS (7u * 24 * 3600 * 1000)
#define STOP_MS 60000

static struct box_node *some_bmc(struct box *box)
{
    return &box->nodes[box_draw(box, box->bmc_count)];
}

static void cut_power(struct box *box)
{
    static const enum fwr_fault_verdict ways[] = {FWR_FAULT_BEFORE, FWR_FAULT_TORN, FWR_FAULT_AFTER,
                                                  FWR_FAULT_MARGINAL};
    struct box_node *n = some_bmc(box);
    struct box_bmc *b = n->bmc;

    if (b->armed)
        return;
    b->only_writes = box_chance(box, 70);
    b->countdown = box_draw(box, b->only_writes ? 40 : 300);
    b->how = ways[box_draw(box, 4)];
    b->armed = true;
}

static void restart_bmc(struct box *box)
{
    struct box_node *n = some_bmc(box);

    if (!n->up)
        return;
    box->counts[BOX_RESTART]++;
    box_say(box, n, "is restarted");
    box_bmc_die(n);
}

static void restart_console(struct box *box)
{
    uint8_t i = (uint8_t)(box->bmc_count + box_draw(box, box->node_count - box->bmc_count));
    struct box_node *n = &box->nodes[i];

    if (!n->up)
        return;
    box->counts[BOX_CONSOLE_RESTART]++;
    box_say(box, n, "is restarted");
    box_node_die(n);
    box_post(box, box->now + 10 + box_draw(box, 30000), BOX_EVENT_BOOT, i, NULL);
}

static void part(struct box *box)
{
    uint64_t apart = box_draw(box, 1u << box->node_count);

    box->counts[BOX_PARTITION]++;
    box_say(box, NULL, "a partition: %llx on the other side", (unsigned long long)apart);
    box_part(box, apart, box_chance(box, 50));
}

static void join(struct box *box)
{
    box_say(box, NULL, "the partition is over");
    box_part(box, 0, false);
}

static void weather(struct box *box)
{
    box->wires.loss = box_chance(box, 60) ? box_draw(box, 300) : 0;
    box->wires.delay_ms = 1 + box_draw(box, 60);
    box_say(box, NULL, "the wires lose %u in a thousand, and take %u ms", box->wires.loss,
            box->wires.delay_ms);
    if (box->bus != NULL)
        box_bus_weather(box);
}

static void jump(struct box *box)
{
    struct box_node *n = &box->nodes[box_draw(box, box->node_count)];
    uint32_t far = box_chance(box, 50) ? JUMP_MS : STOP_MS, by = 1 + box_draw(box, far);

    if (!n->up)
        return;
    box->counts[BOX_JUMP]++;
    box_say(box, n, "its clock jumps by %u ms", by);
    box_clock_set(n, box_clock(n) + by);
    box_wake(n, box->now);
}

static void stop(struct box *box)
{
    struct box_node *n = &box->nodes[box_draw(box, box->node_count)];

    if (!n->up || n->stopped)
        return;
    box->counts[BOX_STOPPED]++;
    box_say(box, n, "its clock stops");
    box_clock_stop(n, true);
    box_post(box, box->now + 1 + box_draw(box, STOP_MS), BOX_EVENT_CLOCK, n->index, NULL);
}

/* Only a host that runs can do that. */
static void damage(struct box *box)
{
    struct box_node *n = some_bmc(box);
    uint32_t offset = box_draw(box, box->size / box->block_size) * box->block_size;
    uint32_t length = box->block_size * (1 + box_draw(box, 6));

    if (n->bmc->host.held)
        return;
    if (box->bus != NULL) /* else there is no end to it */
        length = box->block_size;
    box->counts[BOX_DAMAGE]++;
    box_say(box, n, "its flash is damaged at %#x", offset);
    box_damage(n, offset, length);
}

static void host_writes(struct box *box)
{
    struct box_node *n = some_bmc(box);

    if (!n->bmc->host.held)
        box_host_writes(n);
}

static void flash_hiccup(struct box *box)
{
    struct box_node *n = some_bmc(box);
    struct fwr_flash_ramnor_unit *unit = &n->bmc->units[box_draw(box, box->size / box->erase_size)];
    uint32_t *faults[] = {&unit->fail_erases, &unit->fail_programs, &unit->misprograms};

    *faults[box_draw(box, 3)] = 1;
    box->counts[BOX_HICCUP_FLASH]++;
}

static void store_hiccup(struct box *box)
{
    struct fwr_store_ram *ram = &some_bmc(box)->bmc->ram;

    *(box_chance(box, 50) ? &ram->fail_writes : &ram->fail_reads) = 1;
    box->counts[BOX_HICCUP_STORE]++;
}

/* A session closes and opens again, and somebody is told. */
static void road(struct box *box)
{
    struct box_node *n = some_bmc(box);
    uint8_t to = (uint8_t)box_draw(box, box->node_count);

    if (!n->up || box_severed(box, n->index, to) || box->bus != NULL)
        return;
    box_bmc_road(n, to, FWR_E_SESSION_CLOSED);
    if (box_chance(box, 80))
        box_bmc_road(n, to, FWR_OK);
    else
        box->wires.closed[n->index] |= (uint16_t)(1u << to); /* until the next partition ends */
}

static void sicken(struct box *box)
{
    some_bmc(box)->bmc->sick = true;
}

static void (*const kinds[])(struct box *box) = {
    cut_power, cut_power, cut_power, restart_bmc, restart_console, part,         join, weather,
    jump,      stop,      damage,    host_writes, flash_hiccup,    store_hiccup, road, sicken,
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

void box_mischief(struct box *box)
{
    uint32_t total = 1, at;

    for (size_t i = 0; i < KINDS; i++)
        total += box->weights[i];
    at = box_draw(box, total);
    for (size_t i = 0; i < KINDS; i++) {
        if (at < box->weights[i]) {
            kinds[i](box);
            break;
        }
        at -= box->weights[i];
    }
    box_post(box, box->now + 1 + box_draw(box, 2 * box->mischief_ms), BOX_EVENT_MISCHIEF, 0, NULL);
}

void box_calm(struct box *box)
{
    box->calm = true;
    box->calm_since = box->now;
    box_say(box, NULL, "calm: no fault from here on");
    box->wires.loss = box->wires.duplication = box->wires.corruption = 0;
    box->wires.delay_ms = 5;
    box_part(box, 0, false);
    if (box->bus != NULL)
        box_bus_weather(box);
    for (uint8_t i = 0; i < box->node_count; i++) {
        struct box_node *n = &box->nodes[i];
        if (n->up && n->stopped) {
            box_clock_stop(n, false);
            box_wake(n, box->now);
        }
        if (n->bmc == NULL)
            continue;
        n->bmc->armed = n->bmc->sick = false;
        n->bmc->ram.fail_reads = n->bmc->ram.fail_writes = 0;
        for (size_t k = 0; k < BOX_UNITS_MAX; k++)
            n->bmc->units[k].fail_erases = n->bmc->units[k].fail_programs =
                n->bmc->units[k].misprograms = 0;
    }
}
