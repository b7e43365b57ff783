/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Push: a console offers an image unasked, asks what is wanted, and writes it, until the flash
 * is right. The console knows nothing of the engine but its commands.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <fwrecover/banks-slots.h>
#include <fwrecover/command.h>
#include <fwrecover/error.h>

#include "tests/sim/world.h"

#define BLOCK 4096u

static struct world w;
static struct given_image image;
static uint8_t *tree; /* the image's tree object */
static size_t tree_size;
static uint8_t cookie;
static size_t slice; /* data bytes of one Write Data */

/* A board with two banks: the host boots bank 1, which holds something else. */
static bool two_banks;
static struct fwr_flash_ramnor active, pointer;
static struct fwr_flash_ramnor_unit active_units[200], pointer_units[2];
static uint8_t active_cells[200 * BLOCK], pointer_cells[2 * BLOCK];
static struct fwr_banks_slots slots;

static struct fwr_caller console = {.link = 9,
                                    .medium = FWR_MEDIUM_LAN,
                                    .privilege = FWR_PRIVILEGE_ADMIN,
                                    .security = FWR_SECURITY_SUITE,
                                    .session = 1,
                                    .max_reply = 240};

/* One command to the BMC: the completion code, and the reply's data. */
static uint8_t ask(uint8_t command, const uint8_t *data, int length, uint8_t *reply, size_t *got)
{
    uint8_t bytes[512] = {0xd9, 0x7e, 0}, answer[512];

    assert_true(length > 0);
    memcpy(bytes + 3, data, (size_t)length);
    size_t n = fwr_oem_handle(&w.oem, w.now, &console, (uint8_t)(FWR_COMMAND_BASE + command), bytes,
                              (size_t)length + 3, answer, sizeof(answer));
    *got = n > 4 ? n - 4 : 0;
    memcpy(reply, answer + 4, *got);
    return answer[0];
}

static struct fwr_offer_reply offer(void)
{
    struct fwr_offer_request request = {.cookie = ++cookie, .sequence = 7};
    struct fwr_offer_reply reply;
    uint8_t bytes[64], answer[512];
    size_t got;

    memcpy(request.tag, image.id, FWR_TAG_SIZE);
    int length = fwr_offer_request_encode(&request, bytes, sizeof(bytes));
    assert_int_equal(ask(FWR_CMD_OFFER, bytes, length, answer, &got), 0);
    assert_int_equal(fwr_offer_reply_decode(answer, got, &reply), FWR_OK);
    return reply;
}

/* The first range that is wanted: false when nothing is just now. */
static bool wanted(uint32_t transfer, struct fwr_wanted *range, uint8_t *more)
{
    struct fwr_get_wanted_request request = {.cookie = ++cookie, .transfer = transfer};
    struct fwr_get_wanted_reply reply;
    uint8_t bytes[64], answer[512];
    size_t got;
    int length = fwr_get_wanted_request_encode(&request, bytes, sizeof(bytes));

    assert_int_equal(ask(FWR_CMD_GET_WANTED, bytes, length, answer, &got), 0);
    assert_int_equal(fwr_get_wanted_reply_decode(answer, got, &reply), FWR_OK);
    *more = reply.more;
    if (reply.count == 0)
        return false;
    assert_int_equal(fwr_wanted_decode(reply.ranges, FWR_WANTED_SIZE, range), FWR_OK);
    return true;
}

static uint8_t put(uint32_t transfer, uint8_t object, uint32_t offset, const uint8_t *data,
                   size_t length)
{
    struct fwr_write_data_request request = {.cookie = ++cookie,
                                             .transfer = transfer,
                                             .object = object,
                                             .offset = offset,
                                             .data = data,
                                             .length = length};
    struct fwr_result_reply reply;
    uint8_t bytes[300], answer[512];
    size_t got;
    int n = fwr_write_data_request_encode(&request, bytes, sizeof(bytes));

    assert_int_equal(ask(FWR_CMD_WRITE_DATA, bytes, n, answer, &got), 0);
    assert_int_equal(fwr_result_reply_decode(answer, got, &reply), FWR_OK);
    return reply.result;
}

static const uint8_t *object_bytes(uint8_t object, size_t *size)
{
    switch (object) {
    case FWR_OBJECT_MANIFEST:
        *size = image.envelope_length;
        return image.envelope;
    case FWR_OBJECT_TREE:
        *size = tree_size;
        return tree;
    default:
        *size = image.manifest.flash_size;
        return image.bytes;
    }
}

static void let_it_work(void)
{
    w.now++;
    while (fwr_recipient_step(w.recipient, w.now) == FWR_PENDING)
        ;
}

/* The power: fails at operation `at` of all devices together. */
static struct {
    uint64_t operations, at;
    bool happened;
} cut;

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    event->seed = cut.at;
    if (cut.happened || cut.operations++ != cut.at)
        return FWR_FAULT_NONE;
    cut.happened = true;
    return FWR_FAULT_TORN;
}

/* Pushes until the recipient says it is done, or the power fails; lies once where `lie` is set. */
static void bring(struct fwr_offer_reply accepted, bool lie)
{
    struct fwr_wanted range;
    uint8_t more = FWR_WANTED_LAST;

    for (int rounds = 0; more != FWR_WANTED_DONE && rounds < 1000000 && !cut.happened; rounds++) {
        let_it_work();
        if (!wanted(accepted.transfer, &range, &more))
            continue;
        size_t size, n = range.length < slice ? range.length : slice;
        const uint8_t *bytes = object_bytes(range.object, &size);
        if (n > size - range.offset)
            n = size - range.offset;
        uint8_t wrong[512];
        memcpy(wrong, bytes + range.offset, n);
        if (lie && range.object == FWR_OBJECT_BLOCKS) {
            wrong[0] ^= 1;
            lie = false;
        }
        assert_int_equal(put(accepted.transfer, range.object, range.offset, wrong, n),
                         FWR_WRITE_OK);
        /* A repetition does no harm. */
        assert_int_equal(put(accepted.transfer, range.object, range.offset, wrong, n),
                         FWR_WRITE_NOT_WANTED);
    }
    if (!cut.happened)
        let_it_work();
}

static void push(bool lie)
{
    struct fwr_offer_reply accepted = offer();

    assert_int_equal(accepted.result, FWR_OFFER_ACCEPTED);
    assert_int_equal(offer().transfer, accepted.transfer); /* the same again, the same transfer */
    bring(accepted, lie);
    assert_int_equal(world_status(&w).reason, 0);
    assert_int_equal(world_status(&w).state, FWR_STATE_DONE);
    assert_true(world_is_right(&w, &image));
}

static uint8_t host_boots(void)
{
    struct fwr_bank_choice choice;

    assert_int_equal(slots.banks.read(&slots, &choice), FWR_OK);
    return choice.bank;
}

static void add_active_bank(void)
{
    const struct fwr_flash_geometry small = {sizeof(pointer_cells), BLOCK, 256, 0xff};
    const struct fwr_bank_choice choice = {.bank = 1};

    memset(active_cells, 0x5a, sizeof(active_cells));
    memset(pointer_cells, 0xff, sizeof(pointer_cells));
    assert_int_equal(
        fwr_flash_ramnor_open(&active, &w.nor.flash.geometry, active_cells, active_units, 200),
        FWR_OK);
    assert_int_equal(fwr_flash_ramnor_open(&pointer, &small, pointer_cells, pointer_units, 2),
                     FWR_OK);
    assert_int_equal(fwr_banks_slots_open(&slots, &active.flash, &pointer.flash, 0, 1), FWR_OK);
    while (slots.banks.write(&slots, &choice) == FWR_PENDING)
        ;
    w.config.banks = &slots.banks;
}

static int set_up(void **state)
{
    struct fwr_tree_input input;
    static uint8_t buffer[65536];

    (void)state;
    memset(&image, 0, sizeof(image));
    image.blocks = 200;
    assert_int_equal(given_image_make(&image), FWR_OK);
    tree_size = fwr_tree_size(fwr_manifest_leaf_count(&image.manifest), 32);
    tree = malloc(tree_size);
    input = (struct fwr_tree_input){given_tree_read, &image, buffer, sizeof(buffer)};
    uint8_t root[FWR_HASH_MAX];
    assert_int_equal(fwr_tree_of_image(&image.manifest, &input, tree, tree_size, root), FWR_OK);
    world_init(&w, 31, &image, 0);
    world_damage(&w, 3 * BLOCK, 10 * BLOCK);
    world_damage(&w, 150 * BLOCK, 7 * BLOCK);
    world_damage(&w, 199 * BLOCK, BLOCK);
    w.config.rounds = 1;
    memset(&cut, 0, sizeof(cut));
    slice = 187;
    if (two_banks)
        add_active_bank();
    assert_int_equal(world_boot(&w), FWR_OK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_free(&w);
    given_image_free(&image);
    free(tree);
    return 0;
}

/* Cut at every operation of a push; the console comes again when the BMC is back. */
static void test_power_cuts_in_a_push(void **state)
{
    uint32_t cuts = 0;

    for (bool happened = true; happened; cuts++) {
        memset(&cut, 0, sizeof(cut));
        cut.at = cuts;
        w.nor.hook.decide = w.store.hook.decide = w.host.hook.decide = decide;
        active.hook.decide = pointer.hook.decide = decide;
        struct fwr_offer_reply accepted = offer();
        assert_int_equal(accepted.result, FWR_OFFER_ACCEPTED);
        bring(accepted, false);
        happened = cut.happened;
        cut.happened = false;
        cut.at = UINT64_MAX;
        world_cut(&w);
        if (two_banks) {
            fwr_flash_ramnor_power_on(&active, 1);
            fwr_flash_ramnor_power_on(&pointer, 1);
            assert_int_equal(fwr_banks_slots_open(&slots, &active.flash, &pointer.flash, 0, 1),
                             FWR_OK);
        }
        assert_int_equal(world_boot(&w), FWR_OK);
        let_it_work();
        accepted = offer();
        if (accepted.result == FWR_OFFER_ACCEPTED)
            bring(accepted, false);
        assert_true(world_is_right(&w, &image));
        assert_false(w.host.held);
        assert_true(!two_banks || host_boots() == 0);
        tear_down(state);
        set_up(state);
    }
    printf("# %u cuts\n", cuts - 1);
    assert_true(cuts > 100);
}

static int set_up_two_banks(void **state)
{
    two_banks = true;
    return set_up(state);
}

static int tear_down_two_banks(void **state)
{
    two_banks = false;
    return tear_down(state);
}

/* The same into the spare bank. */
static void test_power_cuts_in_a_push_into_a_spare_bank(void **state)
{
    test_power_cuts_in_a_push(state);
    assert_int_equal(active.counts.erases, 0);
}

/* A console brings an image that did not boot here before: a person insists, and is right. */
static void test_a_person_may_insist(void **state)
{
    (void)state;
    world_cut(&w);
    free(w.storage);
    w.storage = NULL;
    w.config.boot_proof_ms = 1000;
    assert_int_equal(world_boot(&w), FWR_OK);
    for (int proves = 0; proves < 2; proves++) {
        struct fwr_offer_reply accepted = offer();
        struct fwr_wanted range;
        uint8_t more = 0;
        assert_int_equal(accepted.result, FWR_OFFER_ACCEPTED);
        while (world_status(&w).state != FWR_STATE_TRIAL) {
            size_t size;
            let_it_work();
            if (!wanted(accepted.transfer, &range, &more))
                continue;
            size_t n = range.length < slice ? range.length : slice;
            const uint8_t *bytes = object_bytes(range.object, &size) + range.offset;
            if (n > size - range.offset)
                n = size - range.offset;
            assert_int_equal(put(accepted.transfer, range.object, range.offset, bytes, n),
                             FWR_WRITE_OK);
        }
        assert_int_equal(host_boots(), 0);
        if (proves)
            fwr_recipient_boot_proven(w.recipient, w.now);
        world_run(&w, 60000);
        assert_int_equal(world_status(&w).reason, proves ? 0 : (uint8_t)-FWR_E_FELL_BACK);
        assert_int_equal(host_boots(), !proves);
        assert_true(!proves == (fwr_store_ram_find(&w.store, FWR_STORE_REJECTED, 0) != NULL));
    }
    assert_true(world_is_right(&w, &image));
    assert_int_equal(active.counts.erases, 0);
}

static void test_push_run_to_a_repair(void **state)
{
    (void)state;
    push(false);
    assert_int_equal(offer().result, FWR_OFFER_NOT_WANTED);
}

static void test_push_in_six_byte_slices(void **state)
{
    (void)state;
    slice = 6; /* all that is left of 16 bytes */
    console.max_reply = 19;
    push(false);
    console.max_reply = 240;
}

static void test_push_after_no_donor_was_found(void **state)
{
    (void)state;
    assert_int_equal(world_repair(&w), (uint8_t)-FWR_E_NO_DONOR);
    push(false);
}

static void test_push_of_a_wrong_block_is_asked_for_again(void **state)
{
    (void)state;
    push(true);
}

static void test_nobody_else_writes_into_a_push(void **state)
{
    struct fwr_get_wanted_request request = {.cookie = 1};
    uint8_t bytes[64], answer[512];
    size_t got;

    (void)state;
    request.transfer = offer().transfer;
    int length = fwr_get_wanted_request_encode(&request, bytes, sizeof(bytes));
    console.session = 2;
    assert_int_equal(ask(FWR_CMD_GET_WANTED, bytes, length, answer, &got),
                     fwr_error_completion_code(FWR_E_UNKNOWN_TRANSFER));
    console.session = 1;
    assert_int_equal(ask(FWR_CMD_GET_WANTED, bytes, length, answer, &got), 0);
}

#define PUSH(test)   cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define PUSH_2(test) cmocka_unit_test_setup_teardown(test, set_up_two_banks, tear_down_two_banks)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PUSH(test_push_run_to_a_repair),
        PUSH(test_power_cuts_in_a_push),
        PUSH_2(test_power_cuts_in_a_push_into_a_spare_bank),
        PUSH_2(test_a_person_may_insist),
        PUSH(test_push_in_six_byte_slices),
        PUSH(test_push_after_no_donor_was_found),
        PUSH(test_push_of_a_wrong_block_is_asked_for_again),
        PUSH(test_nobody_else_writes_into_a_push),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
