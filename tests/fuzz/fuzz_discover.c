/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Discovery under a control stream: searches that begin and end, time that passes and jumps,
 * answers genuine and made up from any address, roads that open and fail, restarts with a store
 * that is harmed, waits and fails. Whatever happens: a slot is opened only when it is nobody's and
 * closed only when it is somebody's, an action needs a search, pings keep their distance, and what
 * is remembered stays within its bounds.
 */
#include <fwrecover/discover.h>
#include <fwrecover/error.h>
#include <fwrecover/store-ram.h>

#include "link/rmcp/packet.h"
#include "tests/fuzz/fuzz.h"
#include "wire/crc32.h"

enum { ROOM = 512, EVENTS_MAX = 400, SLOTS = 3, INTERVAL = 1000 };

static const struct fwr_discover_interface lines[2] = {{"eth0", FWR_MEDIUM_LAN},
                                                       {"wlan0", FWR_MEDIUM_WLAN}};
static max_align_t storage[4096];
static struct {
    struct fwr_discover *discover;
    struct fwr_discover_config config;
    struct fwr_platform platform;
    struct fwr_store_ram store;
    struct fwr_store_ram_record record;
    uint8_t room[ROOM];
    uint64_t now, random, pinged_at[2];
    bool searching, open[SLOTS], pinged[2];
    uint8_t tag[2];
} world;

static int random_bytes(void *ctx, void *buffer, size_t length)
{
    uint8_t *bytes = buffer;

    (void)ctx;
    while (length-- > 0) {
        world.random = world.random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        *bytes++ = (uint8_t)(world.random >> 56);
    }
    return FWR_OK;
}

static void start(void)
{
    memset(world.open, 0, sizeof(world.open));
    memset(world.pinged, 0, sizeof(world.pinged));
    world.searching = false;
    require(fwr_discover_storage() <= sizeof(storage));
    require(fwr_discover_init(&world.discover, storage, sizeof(storage), &world.config,
                              world.now) == FWR_OK);
}

static void act(void)
{
    struct fwr_discover_action action;

    for (unsigned i = 0; fwr_discover_next(world.discover, world.now, &action); i++) {
        require(world.searching && i < 100);
        if (action.kind == FWR_DISCOVER_PING) {
            require(action.interface < 2);
            /* Half the interval at least: the other half is drawn. */
            require(!world.pinged[action.interface] ||
                    world.now - world.pinged_at[action.interface] >= INTERVAL / 2);
            world.pinged[action.interface] = true;
            world.pinged_at[action.interface] = world.now;
            world.tag[action.interface] = action.ping[9];
            continue;
        }
        require(action.slot < SLOTS);
        require(world.open[action.slot] == (action.kind == FWR_DISCOVER_CLOSE));
        world.open[action.slot] = action.kind == FWR_DISCOVER_OPEN;
        if (action.kind == FWR_DISCOVER_OPEN)
            require(action.donor.interface < 2 && action.donor.address.bytes[0] > 0 &&
                    action.donor.address.bytes[0] < 224);
    }
}

static void answer(struct fwr_reader *input, bool genuine)
{
    uint8_t bytes[64], interface = fwr_reader_u8(input) % 2;
    struct fwr_discover_address from = {{10, 0, 0, fwr_reader_u8(input)}, 623};
    size_t length = FWR_RMCP_PONG_SIZE;
    int error;

    if (genuine) {
        fwr_rmcp_pong_encode(bytes, world.tag[interface]);
    } else {
        fwr_reader_copy(input, from.bytes, sizeof(from.bytes));
        from.port = fwr_reader_u16(input);
        length = fuzz_bytes(input, bytes, sizeof(bytes));
    }
    error = fwr_discover_receive(world.discover, world.now, interface, &from, bytes, length);
    require(error == FWR_OK || error == FWR_E_MALFORMED || error == FWR_E_STALE ||
            error == FWR_E_BUSY);
}

/* The store's content by the input, under a right checksum or not. */
static void harm_store(struct fwr_reader *input, bool seal)
{
    size_t length = fuzz_bytes(input, world.room, ROOM - 4);
    uint32_t crc = fwr_crc32(0, world.room, length);

    for (unsigned i = 0; i < 4 && seal; i++)
        world.room[length++] = (uint8_t)(crc >> 8 * i);
    world.record.used = true;
    world.record.kind = FWR_STORE_DONORS;
    world.record.slot = 0;
    world.record.length = length;
}

static void event(struct fwr_reader *input)
{
    uint8_t what = fwr_reader_u8(input), slot;

    switch (what % 10) {
    case 0:
        world.searching = !world.searching;
        fwr_discover_search(world.discover, world.now, world.searching);
        break;
    case 1:
        if (fwr_discover_next_timeout(world.discover) != FWR_NEVER &&
            fwr_discover_next_timeout(world.discover) > world.now)
            world.now = fwr_discover_next_timeout(world.discover);
        break;
    case 2:
        world.now += fwr_reader_u16(input);
        break;
    case 3:
    case 4:
        answer(input, true);
        break;
    case 5:
        answer(input, false);
        break;
    case 6:
        slot = fwr_reader_u8(input);
        fwr_discover_result(world.discover, world.now, slot % (SLOTS + 1),
                            slot & 0x80 ? FWR_OK : FWR_E_TIMEOUT);
        break;
    case 7:
        world.store.fail_writes = fwr_reader_u8(input) % 3;
        world.store.pending_calls = fwr_reader_u8(input) % 3;
        break;
    case 8:
        fwr_store_ram_power_on(&world.store);
        start();
        break;
    default:
        harm_store(input, (what & 0x80) != 0);
        fwr_store_ram_power_on(&world.store);
        start();
    }
    act();
    fwr_discover_step(world.discover);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fwr_discover_status status;
    struct fwr_reader input;

    memset(&world, 0, sizeof(world));
    fwr_reader_init(&input, data, size);
    world.now = 1;
    world.record.data = world.room;
    world.record.capacity = ROOM;
    fwr_store_ram_open(&world.store, &world.record, 1);
    world.platform = (struct fwr_platform){.size = sizeof(world.platform), .random = random_bytes};
    world.config = (struct fwr_discover_config){.size = sizeof(world.config),
                                                .platform = &world.platform,
                                                .store = &world.store.store,
                                                .interfaces = lines,
                                                .interface_count = 2,
                                                .slots = SLOTS,
                                                .configured_ms = fwr_reader_u8(&input),
                                                .interval_ms = INTERVAL};
    start();
    for (int i = 0; i < EVENTS_MAX && fwr_reader_left(&input) > 0; i++)
        event(&input);
    fwr_discover_status(world.discover, &status);
    require(status.places <= FWR_DISCOVER_PLACES_MAX);
    require(status.learned <= FWR_DISCOVER_LEARNED_MAX);
    return 0;
}
