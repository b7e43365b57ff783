/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peers page as the command reads it: in pieces of any size, with the entries of this version,
 * of older and of newer recipients, and cut off anywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/link.h>

#include "tools/json.h"
#include "tools/peers.h"

struct source {
    uint8_t page[8192];
    size_t length, piece;
    int error; /* for every reading from `length` on */
};

static int give(void *ctx, uint32_t offset, uint8_t *buffer, size_t capacity, size_t *got)
{
    const struct source *source = ctx;

    if (source->error != FWR_OK && offset >= source->length)
        return source->error;
    assert_true(offset <= source->length);
    *got = source->length - offset;
    if (*got > source->piece)
        *got = source->piece;
    if (*got > capacity)
        *got = capacity;
    memcpy(buffer, source->page + offset, *got);
    return FWR_OK;
}

/* Entries of `size` bytes, all with media and flags of their own. */
static void make(struct source *source, uint8_t count, uint8_t size)
{
    *source = (struct source){.piece = 17};
    source->page[0] = count;
    source->page[1] = size;
    source->length = FWR_PEERS_PAGE_SIZE;
    for (unsigned i = 0; i < count; i++) {
        const struct fwr_peer_entry entry = {.peer = (uint8_t)i,
                                             .medium = (uint8_t)(i % FWR_MEDIUM_COUNT),
                                             .flags = FWR_PEER_ASKED,
                                             .tag = {1, 2},
                                             .bytes = 1000 + i,
                                             .rate = 7,
                                             .round_trip = 9};
        uint8_t bytes[UINT8_MAX];

        memset(bytes, 0xee, sizeof(bytes));
        assert_int_equal(fwr_peer_entry_encode(&entry, bytes, sizeof(bytes)), FWR_PEER_ENTRY_SIZE);
        memcpy(source->page + source->length, bytes, size);
        source->length += size;
    }
}

static void pages_of_any_age_are_read(void **state)
{
    static const uint8_t sizes[] = {12, 16, 23, 24, 25, 40};
    struct tool_peers peers;
    struct source source;

    (void)state;
    for (size_t i = 0; i < sizeof(sizes); i++) {
        for (unsigned count = 0; count <= 128; count += 64) {
            make(&source, (uint8_t)count, sizes[i]);
            source.page[FWR_PEERS_PAGE_SIZE + 3] |= count > 0 ? 0x80 : 0; /* of a later version */
            assert_int_equal(tool_peers_read(&peers, give, &source), FWR_OK);
            assert_int_equal(peers.count, count);
            assert_int_equal(peers.measured, sizes[i] >= 24);
            for (unsigned k = 0; k < count; k++) {
                assert_int_equal(peers.items[k].peer, k);
                assert_int_equal(peers.items[k].flags, FWR_PEER_ASKED);
                assert_int_equal(peers.items[k].tag[1], 2);
                assert_int_equal(peers.items[k].bytes, sizes[i] >= 20  ? 1000 + k
                                                       : sizes[i] > 12 ? peers.items[k].bytes
                                                                       : 0);
            }
        }
    }
}

static void pages_that_are_no_pages_have_no_peers(void **state)
{
    struct tool_peers peers;
    struct source source;

    (void)state;
    make(&source, 3, 24);
    source.page[1] = 11;
    assert_int_equal(tool_peers_read(&peers, give, &source), FWR_OK);
    assert_int_equal(peers.count, 0);
    make(&source, 3, 24);
    for (size_t whole = source.length, cut = 0; cut < whole; cut++) {
        source.length = cut;
        assert_int_equal(tool_peers_read(&peers, give, &source), FWR_OK);
        assert_int_equal(peers.count, cut < 28 ? 0 : cut < 52 ? 1 : 2);
        source.error = FWR_E_RANGE;
        assert_int_equal(tool_peers_read(&peers, give, &source), FWR_E_RANGE);
        assert_int_equal(peers.count, 0);
        source.error = FWR_OK;
    }
    /* The longest there is. */
    memset(source.page, 0xff, sizeof(source.page));
    source.length = sizeof(source.page);
    source.piece = sizeof(source.page);
    assert_int_equal(tool_peers_read(&peers, give, &source), FWR_OK);
    assert_int_equal(peers.count, (sizeof(source.page) - 4) / 255);
}

static const char *name(const void *ctx, uint8_t peer)
{
    assert_int_equal(peer, 1);
    return ctx;
}

static void carriers_are_named_by_medium_best_first(void **state)
{
    struct tool_peers peers = {.count = 4, .measured = true};
    char text[TOOL_ROADS_TEXT];
    struct json_object *object = json_object_new_object();

    (void)state;
    for (unsigned i = 0; i < 4; i++)
        peers.items[i] = (struct fwr_peer_entry){.peer = (uint8_t)i, .flags = FWR_PEER_SERVING};
    tool_peers_carrying(&peers, text, sizeof(text));
    assert_string_equal(text, "");
    peers.items[0].medium = FWR_MEDIUM_ICMB;
    peers.items[1].medium = peers.items[3].medium = FWR_MEDIUM_SERIAL;
    for (unsigned i = 0; i < 4; i++)
        peers.items[i].flags |= i != 2 ? FWR_PEER_CARRIES : 0;
    tool_peers_carrying(&peers, text, sizeof(text));
    assert_string_equal(text, "serial+icmb");
    tool_peers_carrying(&peers, text, 8);
    assert_string_equal(text, "serial+");
    peers.items[0] = peers.items[1];
    peers.count = 1;
    peers.items[0].reason = -FWR_E_TIMEOUT;
    tool_peers_json(&peers, object, name, "yard");
    assert_non_null(strstr(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN),
                           "\"name\":\"yard\",\"medium\":\"serial\",\"state\":\"carries\","
                           "\"error\":"));
    json_object_put(object);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_of_any_age_are_read),
        cmocka_unit_test(pages_that_are_no_pages_have_no_peers),
        cmocka_unit_test(carriers_are_named_by_medium_best_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
