/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The null host and the recording one: order, refusals, power state, failures.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/host-null.h>
#include <fwrecover/host-recorder.h>

enum { ENTRIES = 4 };

static struct fwr_host_recorder recorder;
static struct fwr_host_recorder_entry entries[ENTRIES];
static const struct fwr_host *host = &recorder.host;

static int fresh(void **state)
{
    (void)state;
    memset(entries, 0, sizeof(entries));
    return fwr_host_recorder_open(&recorder, FWR_HOST_ON, entries, ENTRIES);
}

static void null_host_always_succeeds(void **state)
{
    const struct fwr_host *null = &fwr_host_null;

    (void)state;
    assert_int_equal(null->size, sizeof(*null));
    assert_int_equal(null->power(null->ctx), FWR_HOST_UNKNOWN);
    assert_int_equal(null->take_bus(null->ctx), FWR_OK);
    assert_int_equal(null->release(null->ctx), FWR_OK);
    assert_int_equal(null->hold(null->ctx), FWR_OK);
    assert_int_equal(null->give_bus(null->ctx), FWR_OK);
}

static void remembers_the_order(void **state)
{
    uint64_t clock = 40;

    (void)state;
    recorder.clock = &clock;
    assert_int_equal(host->hold(host->ctx), FWR_OK);
    assert_int_equal(host->take_bus(host->ctx), FWR_OK);
    clock = 50;
    assert_int_equal(host->give_bus(host->ctx), FWR_OK);
    assert_int_equal(host->release(host->ctx), FWR_OK);
    for (int call = 0; call < FWR_HOST_RECORDER_CALLS; call++) {
        assert_int_equal(entries[call].call, call);
        assert_int_equal(entries[call].answer, FWR_OK);
        assert_int_equal(entries[call].order, call < 2 ? 40 + call : 48 + call);
        assert_int_equal(recorder.calls[call], 1);
    }
    assert_int_equal(host->hold(host->ctx), FWR_OK);
    assert_int_equal(recorder.count, 5);
    assert_int_equal(entries[0].order, 52);
    assert_int_equal(recorder.violations, 0);
}

static void repeating_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(host->release(host->ctx), FWR_OK);
    assert_int_equal(host->give_bus(host->ctx), FWR_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(host->hold(host->ctx), FWR_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(host->take_bus(host->ctx), FWR_OK);
    /* After a restart the engine holds before anything else. */
    assert_int_equal(host->hold(host->ctx), FWR_OK);
    assert_true(recorder.bus_taken);
    assert_int_equal(recorder.violations, 0);
}

static void refuses_to_fight_over_the_bus(void **state)
{
    (void)state;
    assert_int_equal(host->take_bus(host->ctx), FWR_E_HOST_BUS);
    assert_int_equal(recorder.violations, 1);
    assert_false(recorder.bus_taken);
    assert_int_equal(host->hold(host->ctx), FWR_OK);
    assert_int_equal(host->take_bus(host->ctx), FWR_OK);
    assert_int_equal(host->release(host->ctx), FWR_E_HOST_RELEASE);
    assert_int_equal(recorder.violations, 2);
    assert_true(recorder.held);
    assert_int_equal(entries[3].answer, FWR_E_HOST_RELEASE);
}

static void gives_back_the_power_it_found(void **state)
{
    (void)state;
    assert_int_equal(host->power(host->ctx), FWR_HOST_ON);
    assert_int_equal(host->hold(host->ctx), FWR_OK);
    recorder.power = FWR_HOST_OFF;
    assert_int_equal(host->hold(host->ctx), FWR_OK);
    assert_int_equal(host->power(host->ctx), FWR_HOST_OFF);
    assert_int_equal(host->release(host->ctx), FWR_OK);
    assert_int_equal(host->power(host->ctx), FWR_HOST_ON);
    recorder.power = FWR_HOST_OFF;
    assert_int_equal(host->release(host->ctx), FWR_OK);
    assert_int_equal(host->power(host->ctx), FWR_HOST_OFF);
}

static void fails_and_waits_as_it_is_told(void **state)
{
    (void)state;
    recorder.fail[FWR_HOST_RECORDER_HOLD] = 2;
    assert_int_equal(host->hold(host->ctx), FWR_E_HOST_HOLD);
    assert_int_equal(host->hold(host->ctx), FWR_E_HOST_HOLD);
    assert_int_equal(host->hold(host->ctx), FWR_OK);
    recorder.fail[FWR_HOST_RECORDER_TAKE_BUS] = UINT32_MAX;
    for (int i = 0; i < 3; i++)
        assert_int_equal(host->take_bus(host->ctx), FWR_E_HOST_BUS);
    assert_int_equal(recorder.violations, 0);
    recorder.pending_calls = 2;
    for (int i = 0; i < 2; i++)
        assert_int_equal(host->release(host->ctx), FWR_PENDING);
    assert_true(recorder.held);
    assert_int_equal(host->release(host->ctx), FWR_OK);
    assert_false(recorder.held);
    assert_int_equal(recorder.pending, 2);
}

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    assert_int_equal(event->operation, FWR_FAULT_HOST_HOLD);
    return *(enum fwr_fault_verdict *)ctx;
}

static void a_cut_leaves_the_lines_as_they_are(void **state)
{
    static const enum fwr_fault_verdict verdicts[] = {FWR_FAULT_BEFORE, FWR_FAULT_AFTER};

    for (size_t i = 0; i < 2; i++) {
        enum fwr_fault_verdict verdict = verdicts[i];

        fresh(state);
        recorder.hook.decide = decide;
        recorder.hook.ctx = &verdict;
        assert_int_equal(host->hold(host->ctx), FWR_E_HOST_HOLD);
        assert_int_equal(host->release(host->ctx), FWR_E_HOST_RELEASE);
        assert_int_equal(recorder.held, verdict == FWR_FAULT_AFTER);
        assert_int_equal(recorder.count, 1);
        fwr_host_recorder_power_on(&recorder);
        verdict = FWR_FAULT_NONE;
        assert_int_equal(host->hold(host->ctx), FWR_OK);
    }
    assert_int_equal(fwr_host_recorder_open(NULL, FWR_HOST_ON, NULL, 0), FWR_E_ARGUMENT);
    assert_int_equal(fwr_host_recorder_open(&recorder, FWR_HOST_ON, NULL, 1), FWR_E_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(null_host_always_succeeds),
        cmocka_unit_test_setup(remembers_the_order, fresh),
        cmocka_unit_test_setup(repeating_is_allowed, fresh),
        cmocka_unit_test_setup(refuses_to_fight_over_the_bus, fresh),
        cmocka_unit_test_setup(gives_back_the_power_it_found, fresh),
        cmocka_unit_test_setup(fails_and_waits_as_it_is_told, fresh),
        cmocka_unit_test_setup(a_cut_leaves_the_lines_as_they_are, fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
