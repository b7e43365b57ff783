/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The recording host. Called through the host contract, by tests and simulations. It keeps the
 * board's three lines (power, reset, bus) and refuses an order that would fight over the bus.
 */
#include <fwrecover/host-recorder.h>

#include <fwrecover/error.h>

static const int errors[FWR_HOST_RECORDER_CALLS] = {
    [FWR_HOST_RECORDER_HOLD] = FWR_E_HOST_HOLD,
    [FWR_HOST_RECORDER_TAKE_BUS] = FWR_E_HOST_BUS,
    [FWR_HOST_RECORDER_GIVE_BUS] = FWR_E_HOST_BUS,
    [FWR_HOST_RECORDER_RELEASE] = FWR_E_HOST_RELEASE,
};

static const enum fwr_fault_operation operations[FWR_HOST_RECORDER_CALLS] = {
    [FWR_HOST_RECORDER_HOLD] = FWR_FAULT_HOST_HOLD,
    [FWR_HOST_RECORDER_TAKE_BUS] = FWR_FAULT_HOST_TAKE_BUS,
    [FWR_HOST_RECORDER_GIVE_BUS] = FWR_FAULT_HOST_GIVE_BUS,
    [FWR_HOST_RECORDER_RELEASE] = FWR_FAULT_HOST_RELEASE,
};

static int note(struct fwr_host_recorder *recorder, enum fwr_host_recorder_call call, int answer)
{
    uint64_t order = recorder->clock ? (*recorder->clock)++ : recorder->count;

    if (recorder->entry_count > 0)
        recorder->entries[recorder->count % recorder->entry_count] =
            (struct fwr_host_recorder_entry){.call = call, .answer = answer, .order = order};
    recorder->count++;
    if (answer == FWR_OK)
        recorder->calls[call]++;
    return answer;
}

/* Whether the board may do this now. Repeating what is so already is always allowed. */
static bool is_allowed(const struct fwr_host_recorder *recorder, enum fwr_host_recorder_call call)
{
    if (call == FWR_HOST_RECORDER_TAKE_BUS)
        return recorder->held;
    if (call == FWR_HOST_RECORDER_RELEASE)
        return !recorder->bus_taken;
    return true;
}

static void apply(struct fwr_host_recorder *recorder, enum fwr_host_recorder_call call)
{
    switch (call) {
    case FWR_HOST_RECORDER_HOLD:
        if (!recorder->held)
            recorder->found = recorder->power;
        recorder->held = true;
        break;
    case FWR_HOST_RECORDER_TAKE_BUS:
        recorder->bus_taken = true;
        break;
    case FWR_HOST_RECORDER_GIVE_BUS:
        recorder->bus_taken = false;
        break;
    default:
        if (recorder->held)
            recorder->power = recorder->found;
        recorder->held = false;
        break;
    }
}

static int perform(struct fwr_host_recorder *recorder, enum fwr_host_recorder_call call)
{
    struct fwr_fault_event event = {.operation = operations[call], .decay_reads = 1};
    enum fwr_fault_verdict verdict = FWR_FAULT_NONE;

    if (recorder->dark)
        return errors[call];
    if (recorder->pending_left == 0)
        recorder->pending_left = recorder->pending_calls + 1;
    if (--recorder->pending_left > 0) {
        recorder->pending++;
        return FWR_PENDING;
    }
    event.number = recorder->count;
    event.seed = event.number;
    if (recorder->hook.decide)
        verdict = recorder->hook.decide(recorder->hook.ctx, &event);
    if (verdict == FWR_FAULT_TORN)
        verdict = event.seed % 2 == 0 ? FWR_FAULT_BEFORE : FWR_FAULT_AFTER;
    if (verdict != FWR_FAULT_NONE)
        recorder->dark = true;
    if (verdict == FWR_FAULT_BEFORE)
        return note(recorder, call, errors[call]);

    if (!is_allowed(recorder, call)) {
        recorder->violations++;
        return note(recorder, call, errors[call]);
    }
    if (recorder->fail[call] > 0) {
        if (recorder->fail[call] != UINT32_MAX)
            recorder->fail[call]--;
        return note(recorder, call, errors[call]);
    }
    apply(recorder, call);
    return note(recorder, call, verdict == FWR_FAULT_NONE ? FWR_OK : errors[call]);
}

static enum fwr_host_power recorder_power(void *ctx)
{
    return ((const struct fwr_host_recorder *)ctx)->power;
}

static int recorder_hold(void *ctx)
{
    return perform(ctx, FWR_HOST_RECORDER_HOLD);
}

static int recorder_take_bus(void *ctx)
{
    return perform(ctx, FWR_HOST_RECORDER_TAKE_BUS);
}

static int recorder_give_bus(void *ctx)
{
    return perform(ctx, FWR_HOST_RECORDER_GIVE_BUS);
}

static int recorder_release(void *ctx)
{
    return perform(ctx, FWR_HOST_RECORDER_RELEASE);
}

int fwr_host_recorder_open(struct fwr_host_recorder *recorder, enum fwr_host_power power,
                           struct fwr_host_recorder_entry *entries, size_t entry_count)
{
    if (!recorder || (!entries && entry_count > 0))
        return FWR_E_ARGUMENT;
    *recorder = (struct fwr_host_recorder){
        .host =
            {
                .size = sizeof(struct fwr_host),
                .ctx = recorder,
                .power = recorder_power,
                .hold = recorder_hold,
                .take_bus = recorder_take_bus,
                .give_bus = recorder_give_bus,
                .release = recorder_release,
            },
        .entries = entries,
        .entry_count = entry_count,
        .power = power,
    };
    return FWR_OK;
}

void fwr_host_recorder_power_on(struct fwr_host_recorder *recorder)
{
    recorder->pending_left = 0;
    recorder->dark = false;
}
