/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floors in memory for tests: they only ever rise, answer PENDING, fail and lose power where they
 * are told to, and can be made of fuses: so many raises by one, and no more. They count every
 * breach of the contract by their caller.
 */
#ifndef FWR_TEST_FAKE_FLOORS_H
#define FWR_TEST_FAKE_FLOORS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/fault.h>
#include <fwrecover/floors.h>

struct fake_floors {
    struct fwr_floors floors;
    uint32_t values[4]; /* by enum fwr_floor; one slot, one component */
    struct fwr_fault_hook hook;
    unsigned pending;    /* each operation answers PENDING so often first */
    unsigned fail_reads; /* coming ones; UINT32_MAX: all */
    unsigned fail_raises;
    uint32_t fuses; /* raises by one that are left, over all floors; UINT32_MAX: not of fuses */
    uint64_t reads, raises, dead;
    unsigned broken; /* calls that the contract does not allow */

    /* Its own. */
    bool dark, outstanding;
    unsigned waited;
    enum fwr_floor floor;
    uint32_t value;
};

/* True once the operation may happen; an outstanding one has to be repeated as it was. */
static inline bool fake_floors_ready(struct fake_floors *f, enum fwr_floor floor, uint32_t value)
{
    if (f->outstanding && (floor != f->floor || value != f->value))
        f->broken++;
    f->outstanding = f->waited < f->pending;
    f->waited = f->outstanding ? f->waited + 1 : 0;
    f->floor = floor;
    f->value = value;
    return !f->outstanding;
}

static inline enum fwr_fault_verdict fake_floors_fault(struct fake_floors *f,
                                                       enum fwr_fault_operation operation,
                                                       struct fwr_fault_event *event)
{
    *event = (struct fwr_fault_event){
        .operation = operation, .number = f->reads + f->raises, .seed = f->reads + f->raises};
    return f->hook.decide ? f->hook.decide(f->hook.ctx, event) : FWR_FAULT_NONE;
}

static inline int fake_floors_read(void *ctx, enum fwr_floor floor, uint8_t slot,
                                   const uint8_t *component, uint32_t *value)
{
    struct fake_floors *f = ctx;
    struct fwr_fault_event event;

    f->broken += floor == FWR_FLOOR_GENERATION ? slot != 0 || component : !component;
    *value = 0;
    if (f->dark) {
        f->dead++;
        return FWR_E_FLOOR;
    }
    if (!fake_floors_ready(f, floor, 0))
        return FWR_PENDING;
    if (fake_floors_fault(f, FWR_FAULT_FLOOR_READ, &event) != FWR_FAULT_NONE) {
        f->dark = true;
        return FWR_E_FLOOR;
    }
    f->reads++;
    if (f->fail_reads > 0) {
        f->fail_reads -= f->fail_reads != UINT32_MAX;
        return FWR_E_FLOOR;
    }
    *value = f->values[floor];
    return FWR_OK;
}

/* Steps that a raise takes, as far as the fuses go. */
static inline uint32_t fake_floors_steps(const struct fake_floors *f, uint32_t steps)
{
    return f->fuses != UINT32_MAX && steps > f->fuses ? f->fuses : steps;
}

static inline void fake_floors_burn(struct fake_floors *f, enum fwr_floor floor, uint32_t steps)
{
    f->values[floor] += steps;
    if (f->fuses != UINT32_MAX)
        f->fuses -= steps;
}

static inline int fake_floors_raise(void *ctx, enum fwr_floor floor, uint8_t slot,
                                    const uint8_t *component, uint32_t value)
{
    struct fake_floors *f = ctx;
    struct fwr_fault_event event;

    f->broken += floor == FWR_FLOOR_GENERATION ? slot != 0 || component : !component;
    if (f->dark) {
        f->dead++;
        return FWR_E_FLOOR;
    }
    if (!fake_floors_ready(f, floor, value))
        return FWR_PENDING;
    enum fwr_fault_verdict verdict = fake_floors_fault(f, FWR_FAULT_FLOOR_RAISE, &event);
    f->dark = verdict != FWR_FAULT_NONE;
    if (verdict == FWR_FAULT_BEFORE)
        return FWR_E_FLOOR;
    f->raises++;
    if (f->fail_raises > 0) {
        f->fail_raises -= f->fail_raises != UINT32_MAX;
        return FWR_E_FLOOR;
    }
    if (value <= f->values[floor])
        return FWR_OK;
    uint32_t wanted = value - f->values[floor], steps = fake_floors_steps(f, wanted);
    if (verdict == FWR_FAULT_TORN)
        steps = (uint32_t)(event.seed % ((uint64_t)steps + 1)); /* a unary counter stops between */
    fake_floors_burn(f, floor, steps);
    if (f->dark)
        return FWR_E_FLOOR;
    return steps == wanted ? FWR_OK : FWR_E_FLOOR_SPENT;
}

static inline void fake_floors_init(struct fake_floors *f)
{
    memset(f, 0, sizeof(*f));
    f->fuses = UINT32_MAX;
    f->floors = (struct fwr_floors){
        .size = sizeof(f->floors), .ctx = f, .read = fake_floors_read, .raise = fake_floors_raise};
}

/* Power comes back; what was outstanding is forgotten. */
static inline void fake_floors_power_on(struct fake_floors *f)
{
    f->dark = f->outstanding = false;
    f->waited = 0;
}

#endif
