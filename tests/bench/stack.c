/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The most stack that an engine and the dispatcher above it use, libcrypto's frames included: a
 * recipient is pushed a whole image, on a thread whose stack was painted before; in a build with
 * donors, a donor then verifies and gives away the same image likewise. Called by the benchmark
 * in each build; prints one line: recipient and donor, in bytes (donor 0: not in this build).
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/flash-ramnor.h>
#include <fwrecover/host-null.h>
#include <fwrecover/oem.h>
#include <fwrecover/policy.h>
#include <fwrecover/recipient.h>
#include <fwrecover/store-ram.h>

#include "tests/unit/given_image.h"

#define KIB        1024u
#define BLOCKS     256u
#define BLOCK      (4 * KIB)
#define RECORDS    8
#define SLICE      187
#define STACK_SIZE (512 * KIB)
#define STACK_MARK 0xa7

static struct given_image image;
static uint64_t now = 1000;
static uint8_t cookie;
static struct fwr_oem oem = {.size = sizeof(oem),
                             .iana = 32473,
                             .command_base = FWR_COMMAND_BASE,
                             .max_request = 200,
                             .max_reply = 1024,
                             .window = 15};
static const struct fwr_caller caller = {.link = 1,
                                         .medium = FWR_MEDIUM_LAN,
                                         .privilege = FWR_PRIVILEGE_ADMIN,
                                         .security = FWR_SECURITY_SUITE,
                                         .session = 1,
                                         .max_reply = 1024};

static void must(int error, const char *what)
{
    if (error == FWR_OK)
        return;
    fprintf(stderr, "stack: %s: %s\n", what, fwr_error_text(error));
    exit(1);
}

static void need(bool condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "stack: %s\n", what);
    exit(1);
}

/* One command to the engines: its reply data, in a buffer that the next call overwrites. */
static const uint8_t *ask(uint8_t command, const uint8_t *data, int length, size_t *got)
{
    static uint8_t bytes[512], answer[2 * KIB];

    need(length > 0, "a request cannot be encoded");
    memcpy(bytes, "\xd9\x7e\x00", FWR_IANA_SIZE);
    memcpy(bytes + FWR_IANA_SIZE, data, (size_t)length);
    size_t n = fwr_oem_handle(&oem, now, &caller, (uint8_t)(FWR_COMMAND_BASE + command), bytes,
                              FWR_IANA_SIZE + (size_t)length, answer, sizeof(answer));
    need(n >= FWR_OEM_HEADER && answer[0] == 0, "a request was refused");
    *got = n - FWR_OEM_HEADER;
    return answer + FWR_OEM_HEADER;
}

/* ---- the recipient ---- */

static struct fwr_recipient *recipient;
static uint8_t *tree;

static const uint8_t *object_bytes(uint8_t object)
{
    return object == FWR_OBJECT_MANIFEST ? image.envelope
           : object == FWR_OBJECT_TREE   ? tree
                                         : image.bytes;
}

static void write_range(uint32_t transfer, const struct fwr_wanted *range)
{
    uint32_t end = range->offset + range->length;
    uint8_t bytes[300];
    size_t got;

    if (range->object == FWR_OBJECT_MANIFEST)
        end = (uint32_t)image.envelope_length;
    for (uint32_t at = range->offset; at < end;) {
        struct fwr_write_data_request request = {.cookie = ++cookie,
                                                 .transfer = transfer,
                                                 .object = range->object,
                                                 .offset = at,
                                                 .data = object_bytes(range->object) + at,
                                                 .length = end - at < SLICE ? end - at : SLICE};
        int length = fwr_write_data_request_encode(&request, bytes, sizeof(bytes));

        ask(FWR_CMD_WRITE_DATA, bytes, length, &got);
        at += (uint32_t)request.length;
    }
}

static void *drive_recipient(void *unused)
{
    struct fwr_offer_request offer = {.cookie = ++cookie, .sequence = image.sequence};
    struct fwr_get_wanted_request request;
    struct fwr_get_wanted_reply wanted = {0};
    struct fwr_offer_reply accepted;
    struct fwr_wanted range;
    uint8_t bytes[64];
    size_t got;

    memcpy(offer.tag, image.id, FWR_TAG_SIZE);
    int length = fwr_offer_request_encode(&offer, bytes, sizeof(bytes));
    const uint8_t *reply = ask(FWR_CMD_OFFER, bytes, length, &got);
    must(fwr_offer_reply_decode(reply, got, &accepted), "Offer");
    do {
        now++;
        while (fwr_recipient_step(recipient, now) == FWR_PENDING)
            continue;
        request =
            (struct fwr_get_wanted_request){.cookie = ++cookie, .transfer = accepted.transfer};
        length = fwr_get_wanted_request_encode(&request, bytes, sizeof(bytes));
        reply = ask(FWR_CMD_GET_WANTED, bytes, length, &got);
        must(fwr_get_wanted_reply_decode(reply, got, &wanted), "Get Wanted");
        if (wanted.count > 0) {
            must(fwr_wanted_decode(wanted.ranges, FWR_WANTED_SIZE, &range), "Get Wanted");
            write_range(accepted.transfer, &range);
        }
    } while (wanted.more != FWR_WANTED_DONE);
    return unused;
}

/* ---- measuring ---- */

static size_t measure(void *(*drive)(void *))
{
    uint8_t *stack = aligned_alloc(4 * KIB, STACK_SIZE);
    pthread_attr_t attributes;
    pthread_t thread;
    size_t untouched = 0;

    need(stack != NULL, "no memory");
    memset(stack, STACK_MARK, STACK_SIZE);
    need(pthread_attr_init(&attributes) == 0 &&
             pthread_attr_setstack(&attributes, stack, STACK_SIZE) == 0 &&
             pthread_create(&thread, &attributes, drive, NULL) == 0,
         "no thread");
    pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    while (untouched < STACK_SIZE && stack[untouched] == STACK_MARK)
        untouched++;
    free(stack);
    return STACK_SIZE - untouched;
}

static void *idle(void *unused)
{
    return unused;
}

static void make_tree(void)
{
    static uint8_t buffer[64 * KIB];
    const struct fwr_tree_input input = {given_tree_read, &image, buffer, sizeof(buffer)};
    size_t size = fwr_tree_size(fwr_manifest_leaf_count(&image.manifest), 32);
    uint8_t root[FWR_HASH_MAX];

    tree = malloc(size);
    need(tree != NULL, "no memory");
    must(fwr_tree_of_image(&image.manifest, &input, tree, size, root), "tree");
}

static size_t measure_recipient(void)
{
    const struct fwr_flash_geometry geometry = {
        .size = BLOCKS * BLOCK, .erase_size = BLOCK, .program_size = 256, .erased_value = 0xff};
    static struct fwr_flash_ramnor_unit units[BLOCKS];
    static struct fwr_store_ram_record records[RECORDS];
    static struct fwr_flash_ramnor nor;
    static struct fwr_store_ram store;
    struct fwr_policy_rules rules = {0};
    struct fwr_policy policy;
    struct fwr_board board = {.manufacturer = GIVEN_MANUFACTURER, .product = GIVEN_PRODUCT};
    struct fwr_status_page page;
    uint8_t *cells = calloc(BLOCKS, BLOCK);

    memcpy(board.component, image.manifest.component, sizeof(board.component));
    must(fwr_flash_ramnor_open(&nor, &geometry, cells, units, BLOCKS), "flash");
    for (int i = 0; i < RECORDS; i++) {
        records[i].data = malloc(128 * KIB);
        records[i].capacity = 128 * KIB;
    }
    must(fwr_store_ram_open(&store, records, RECORDS), "store");
    fwr_policy_default_init(&policy, &rules);
    const struct fwr_recipient_config config = {.size = sizeof(config),
                                                .platform = &fwr_platform_default,
                                                .flash = &nor.flash,
                                                .store = &store.store,
                                                .host = &fwr_host_null,
                                                .policy = &policy,
                                                .rules = &rules,
                                                .board = &board,
                                                .trust = &image.trust,
                                                .block_size = BLOCK};
    size_t size = fwr_recipient_storage(&config);
    void *storage = malloc(size);
    must(fwr_recipient_init(&recipient, storage, size, &config, now), "recipient");
    oem.recipients = &recipient;
    oem.slot_count = 1;
    size_t stack = measure(drive_recipient);
    fwr_recipient_status(recipient, &page);
    need(page.state == FWR_STATE_DONE && page.reason == 0, "the recipient did not succeed");
    fwr_recipient_end(recipient);
    free(storage);
    for (int i = 0; i < RECORDS; i++)
        free(records[i].data);
    free(cells);
    return stack;
}

/* ---- the donor ---- */

#if FWR_DONOR
static struct fwr_donor *donor;

static void *drive_donor(void *unused)
{
    struct fwr_accept_offer_request accept = {.cookie = ++cookie};
    struct fwr_accept_offer_reply accepted;
    uint8_t bytes[64];
    size_t got;

    while (fwr_donor_step(donor, now) == FWR_PENDING)
        now++;
    memcpy(accept.tag, image.id, FWR_TAG_SIZE);
    int length = fwr_accept_offer_request_encode(&accept, bytes, sizeof(bytes));
    const uint8_t *reply = ask(FWR_CMD_ACCEPT_OFFER, bytes, length, &got);
    must(fwr_accept_offer_reply_decode(reply, got, &accepted), "Accept Offer");
    for (uint32_t at = 0; at < BLOCKS * BLOCK; at += (uint32_t)got - 1) {
        struct fwr_read_request request = {.cookie = ++cookie,
                                           .transfer = accepted.transfer,
                                           .offset = at,
                                           .length = accepted.max_length};

        length = fwr_read_request_encode(&request, bytes, sizeof(bytes));
        ask(FWR_CMD_READ_BLOCKS, bytes, length, &got);
        need(got > 1, "the donor ran dry");
    }
    return unused;
}

static size_t measure_donor(void)
{
    const struct fwr_source *const sources[] = {&image.source};
    const struct fwr_donor_config config = {.size = sizeof(config),
                                            .platform = &fwr_platform_default,
                                            .trust = &image.trust,
                                            .image_count = 1,
                                            .images = sources,
                                            .max_leaves = BLOCKS};
    size_t size = fwr_donor_storage(&config);
    void *storage = malloc(size);

    must(fwr_donor_init(&donor, storage, size, &config, now), "donor");
    oem.donor = donor;
    size_t stack = measure(drive_donor);
    fwr_donor_end(donor);
    free(storage);
    return stack;
}
#else
static size_t measure_donor(void)
{
    return 0;
}
#endif

int main(void)
{
    image.blocks = BLOCKS;
    image.manifest.map.count = 1;
    image.manifest.map.regions[0] =
        (struct fwr_region){0, BLOCKS * BLOCK, FWR_REGION_WRITE, FWR_REGION_BOOT, 0};
    must(given_image_make(&image), "image");
    make_tree();
    size_t of_recipient = measure_recipient();
    printf("recipient=%zu donor=%zu thread=%zu\n", of_recipient, measure_donor(), measure(idle));
    given_image_free(&image);
    free(tree);
    return 0;
}
