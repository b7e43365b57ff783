/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recipient in a world that the input directs: replies of donors are changed, lost, repeated,
 * given to others and made up, requests of any kind come in, a console pushes truth and lies,
 * roads and power fail, devices wait and fail, time jumps. Whatever happens, nothing is
 * programmed that was not signed or there before, nothing inside `preserve`; half an image is
 * never bootable, the host is not released and no floor raised too early, and no floor falls.
 * When all is put right again, an honest donor in reach ends it: the flash is right.
 */
#include <fwrecover/command.h>
#include <fwrecover/error.h>

#include "lib/engine/engine.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/small_world.h"

enum {
    DONORS = 3,
    EVENTS_MAX = 400,
    HEALING_RUNS_MAX = 4 /* that may fail for what went before them */
};

static uint8_t trees[2][4096];
static uint32_t tree_sizes[2];
static uint8_t found[SIZE]; /* the flash before the first erase */

static struct {
    uint8_t cookie;
    uint32_t pushed; /* the transfer last granted to the console */
    uint32_t security_version;
    bool guarded; /* the guard is always used */
    bool erasing; /* an erase was begun: whether the power let it do anything is seen later */
    bool dirty;   /* changed since the flash was last right, or as it was found */
    bool proven;  /* the boot that followed */
    /* Somebody changed the flash or the world so that order of writing no longer proves much. */
    bool spoiled;
    uint64_t cut_at; /* this many device operations from now; 0 = no cut is due */
    enum fwr_fault_verdict how;
    uint32_t seed;
    bool dead; /* the cut has happened */
} now;

/* ---- what must hold at every operation on flash, store and host ---- */

static bool half_bootable(const struct given_image *of)
{
    return memcmp(w.cells + of->manifest.guard, of->bytes + of->manifest.guard, BLOCK) == 0 &&
           !body_right(of);
}

static void look(const struct fwr_fault_event *event)
{
    bool right = all_right(&image) || all_right(&newer);

    if (now.erasing && memcmp(w.cells, found, SIZE) != 0)
        now.dirty = true;
    if (right)
        now.dirty = now.erasing = false;
    if (now.guarded && now.dirty && !now.spoiled)
        require(!half_bootable(&image) && !half_bootable(&newer));
    if (event->operation == FWR_FAULT_HOST_RELEASE && !now.spoiled)
        require(!now.dirty);
    if (event->operation == FWR_FAULT_STORE_WRITE && event->offset == FWR_STORE_FLOORS)
        require(now.spoiled || (right && (now.proven || w.config.boot_proof_ms == 0)));
    if (event->operation == FWR_FAULT_FLASH_ERASE && !now.erasing) {
        memcpy(found, w.cells, SIZE);
        now.erasing = true;
        now.proven = false;
    }
}

static enum fwr_fault_verdict decide(void *ctx, struct fwr_fault_event *event)
{
    (void)ctx;
    look(event);
    if (now.cut_at == 0 || --now.cut_at > 0)
        return FWR_FAULT_NONE;
    event->seed = now.seed;
    event->decay_reads = now.seed % 8;
    now.dead = true;
    if (now.how == FWR_FAULT_MARGINAL)
        now.spoiled = true; /* what is right when it is looked at may decay behind it */
    return now.how;
}

static void check_always(void)
{
    const struct fwr_store_ram_record *floors =
        fwr_store_ram_find(&w.store, FWR_STORE_FLOORS, w.config.slot);
    uint32_t security_version = 0;

    require(w.strangers == 0);
    require(w.nor.counts.trespass == 0);
    require(w.nor.counts.refused == 0 || now.spoiled); /* "not erased" then */
    require(w.nor.counts.deserted == 0);
    require(w.host.violations == 0);
    if (floors != NULL) {
        struct fwr_reader reader;

        fwr_reader_init(&reader, floors->data, floors->length);
        fwr_reader_bytes(&reader, 1 + FWR_UUID_SIZE);
        security_version = fwr_reader_u32(&reader);
        require(!reader.failed);
    }
    require(security_version >= now.security_version);
    now.security_version = security_version;
}

/* ---- the world ---- */

static void make_tree(struct given_image *of, uint8_t *tree, uint32_t *size)
{
    uint8_t buffer[BLOCK], root[FWR_HASH_MAX];
    struct fwr_tree_input input = {given_tree_read, of, buffer, sizeof(buffer)};

    *size = (uint32_t)fwr_tree_size(fwr_manifest_leaf_count(&of->manifest),
                                    (uint8_t)fwr_hash_size(of->hash));
    require(*size <= sizeof(trees[0]));
    require(fwr_tree_of_image(&of->manifest, &input, tree, *size, root) == FWR_OK);
}

static void begin(struct fwr_reader *input)
{
    uint8_t choice = fwr_reader_u8(input), damage = fwr_reader_u8(input);

    memset(&now, 0, sizeof(now));
    world_init(&w, 1, &image, choice & 1 ? BLOCK : 2 * BLOCK);
    w.verbose = getenv("FUZZ_VERBOSE") != NULL; /* for a look at one input */
    w.expected[1] = &newer;
    w.config.rounds = 2;
    w.config.boot_proof_ms = choice & 2 ? 60000 : 0;
    w.config.guard = choice & 4 ? FWR_GUARD_UPDATE : FWR_GUARD_ALWAYS;
    w.config.batch = choice & 8 ? 1 : 0;
    now.guarded = w.config.guard == FWR_GUARD_ALWAYS;
    for (int i = 0; i < DONORS; i++)
        world_add_donor(&w, i == 1 && choice & 16 ? &newer : &image);
    for (int i = 0; i < DONORS; i++) {
        w.peers[i].limits.max_reply = choice & 32 ? 130 : 600;
        w.peers[i].limits.window = choice & 64 ? 1 : 4;
    }
    w.nor.pending_calls = w.store.pending_calls = w.host.pending_calls = choice >> 7;
    for (int i = 0; i < 8; i++)
        if (damage >> i & 1)
            world_damage(&w, (uint32_t)(i < 4 ? i : 8 + i) * BLOCK, BLOCK / 2);
    w.nor.hook.decide = w.store.hook.decide = w.host.hook.decide = decide;
    require(world_boot(&w) == FWR_OK);
}

/* The BMC starts again after a cut. As long as its store cannot be read it does not. */
static void boot(void)
{
    uint32_t failures = w.store.fail_reads;

    now.dead = false;
    now.cut_at = 0;
    world_cut(&w);
    while (world_boot(&w) != FWR_OK)
        require(w.recipient == NULL && failures-- > 0);
}

static void turn(void)
{
    world_turn(&w);
    if (now.dead)
        boot();
    else if (fwr_recipient_next_timeout(w.recipient) != FWR_NEVER)
        require(fwr_recipient_next_timeout(w.recipient) <= w.now + UINT64_C(24) * 3600 * 1000);
}

/* ---- replies ---- */

static struct world_message *choose(struct fwr_reader *input, bool reply)
{
    size_t count = 0, wanted;

    for (size_t i = 0; i < w.message_top; i++)
        count += w.messages[i].used && w.messages[i].reply == reply;
    wanted = fwr_reader_u8(input);
    if (count == 0)
        return NULL;
    wanted %= count;
    for (size_t i = 0;; i++)
        if (w.messages[i].used && w.messages[i].reply == reply && wanted-- == 0)
            return &w.messages[i];
}

static void change_reply(struct fwr_reader *input, uint8_t how)
{
    struct world_message *m = choose(input, true);
    uint16_t at = fwr_reader_u8(input);
    uint8_t bytes[64];
    size_t length;

    if (m == NULL || m->length == 0)
        return;
    switch (how % 6) {
    case 0: /* a byte; those of the answer's head are the first */
        m->bytes[at % m->length] = (uint8_t)(m->bytes[at % m->length] ^ fwr_reader_u8(input));
        break;
    case 1:
        m->length = (uint16_t)(at % m->length);
        break;
    case 2: /* longer, with rubbish */
        length = fuzz_bytes(input, bytes, sizeof(bytes));
        if (m->length + length <= sizeof(m->bytes)) {
            memcpy(m->bytes + m->length, bytes, length);
            m->length = (uint16_t)(m->length + length);
        }
        break;
    case 3: /* other data behind code, number and cookie */
        length = fuzz_bytes(input, bytes, sizeof(bytes));
        memcpy(m->bytes + 5, bytes, length);
        m->length = (uint16_t)(5 + length);
        break;
    case 4: /* from somebody else */
        m->peer = (uint8_t)(at % DONORS);
        break;
    default: /* lost */
        m->used = false;
    }
}

/* Twice, now or long after. */
static void repeat_reply(struct fwr_reader *input)
{
    const struct world_message *m = choose(input, true);
    uint32_t delay = fwr_reader_u8(input) * 16u;

    if (m != NULL)
        world_reply(&w, m->peer, m->command, m->bytes, m->length, delay);
}

/* An answer that no donor gave, to a request that is on its way. */
static void forge_reply(struct fwr_reader *input)
{
    const struct world_message *m = choose(input, false);
    uint8_t choice = fwr_reader_u8(input), bytes[80] = {0};
    size_t length;

    if (m == NULL)
        return;
    bytes[0] = choice & 1 ? fwr_reader_u8(input) : 0; /* completion code */
    memcpy(bytes + 1, m->bytes, FWR_IANA_SIZE + 1);
    length = 5 + fuzz_bytes(input, bytes + 5, 64);
    world_reply(&w, choice & 2 ? (uint8_t)(choice >> 2) % DONORS : m->peer, m->command, bytes,
                length, 0);
}

/* ---- requests ---- */

static const struct fwr_caller console = {.link = 9,
                                          .medium = FWR_MEDIUM_LAN,
                                          .privilege = FWR_PRIVILEGE_ADMIN,
                                          .security = FWR_SECURITY_SUITE,
                                          .session = 1,
                                          .max_reply = 240};

/* To the BMC: the reply's data and length, or 0 when it was refused. */
static size_t ask(const struct fwr_caller *caller, uint8_t command, const uint8_t *data,
                  size_t length, uint8_t reply[512])
{
    uint8_t bytes[300] = {(uint8_t)w.oem.iana, (uint8_t)(w.oem.iana >> 8), 0}, answer[512];
    size_t got;

    memcpy(bytes + FWR_IANA_SIZE, data, length);
    got = fwr_oem_handle(&w.oem, w.now, caller, (uint8_t)(w.oem.command_base + command), bytes,
                         length + FWR_IANA_SIZE, answer, sizeof(answer));
    require(got >= FWR_OEM_HEADER && got <= (size_t)FWR_OEM_HEADER + caller->max_reply);
    require(length == 0 || (got > FWR_OEM_HEADER && answer[FWR_OEM_HEADER] == data[0]));
    if (answer[0] != 0)
        return 0;
    memcpy(reply, answer + FWR_OEM_HEADER, got - FWR_OEM_HEADER);
    return got - FWR_OEM_HEADER;
}

static void any_request(struct fwr_reader *input)
{
    struct fwr_caller caller = console;
    uint8_t command = fwr_reader_u8(input), choice = fwr_reader_u8(input), data[48], reply[512];
    size_t length = fuzz_bytes(input, data, sizeof(data));

    caller.session = choice & 1;
    caller.privilege = choice & 2 ? FWR_PRIVILEGE_USER : FWR_PRIVILEGE_ADMIN;
    caller.max_reply = choice & 4 ? FWR_LINK_MIN_REPLY : 240;
    if (choice & 8 && length >= 5)
        memcpy(data + 1, &now.pushed, 4);
    (void)ask(&caller, command % 32, data, length, reply);
}

static void start(struct fwr_reader *input)
{
    uint8_t choice = fwr_reader_u8(input);

    if (choice & 128)
        (void)fwr_recipient_abort(w.recipient, w.now);
    else
        (void)fwr_recipient_start(w.recipient, w.now, (enum fwr_start_mode)(choice % 3),
                                  choice & 64 ? choice / 3u : 0);
}

static void offer(struct fwr_reader *input)
{
    struct fwr_offer_request request = {.cookie = ++now.cookie, .sequence = 9};
    struct fwr_offer_reply reply;
    uint8_t choice = fwr_reader_u8(input), data[64], answer[512];
    size_t got;

    memcpy(request.tag, choice & 1 ? newer.id : image.id, FWR_TAG_SIZE);
    request.tag[0] = (uint8_t)(request.tag[0] ^ choice >> 6);
    got = ask(&console, FWR_CMD_OFFER, data,
              (size_t)fwr_offer_request_encode(&request, data, sizeof(data)), answer);
    if (got == 0)
        return;
    require(fwr_offer_reply_decode(answer, got, &reply) == FWR_OK);
    if (reply.result == FWR_OFFER_ACCEPTED)
        now.pushed = reply.transfer;
}

static const uint8_t *object(bool other, uint8_t kind, size_t *size)
{
    const struct given_image *of = other ? &newer : &image;

    if (kind == FWR_OBJECT_MANIFEST) {
        *size = of->envelope_length;
        return of->envelope;
    }
    *size = kind == FWR_OBJECT_TREE ? tree_sizes[other] : SIZE;
    return kind == FWR_OBJECT_TREE ? trees[other] : of->bytes;
}

/* Brings what the BMC wants first: the true bytes, or others. */
static void bring(struct fwr_reader *input)
{
    struct fwr_get_wanted_request question = {.cookie = ++now.cookie, .transfer = now.pushed};
    struct fwr_write_data_request request = {.transfer = now.pushed};
    uint8_t choice = fwr_reader_u8(input), data[300], bytes[240], answer[512];
    struct fwr_get_wanted_reply wanted;
    const uint8_t *source;
    struct fwr_wanted range;
    size_t size;
    size_t got = ask(&console, FWR_CMD_GET_WANTED, data,
                     (size_t)fwr_get_wanted_request_encode(&question, data, sizeof(data)), answer);

    if (got == 0)
        return;
    require(fwr_get_wanted_reply_decode(answer, got, &wanted) == FWR_OK);
    if (wanted.count == 0)
        return;
    require(fwr_wanted_decode(wanted.ranges, FWR_WANTED_SIZE, &range) == FWR_OK);
    require(range.length > 0);
    source = object(choice & 1, range.object, &size);
    request.cookie = ++now.cookie;
    request.object = range.object;
    request.offset = range.offset;
    request.data = bytes;
    request.length = range.length < sizeof(bytes) ? range.length : sizeof(bytes);
    if (request.offset >= size)
        return;
    if (request.length > size - request.offset)
        request.length = size - request.offset;
    memcpy(bytes, source + range.offset, request.length);
    if (choice & 2) /* a lie */
        bytes[fwr_reader_u8(input) % request.length] ^= 1;
    if (choice & 4)
        request.length = 1 + choice % request.length;
    got = ask(&console, FWR_CMD_WRITE_DATA, data,
              (size_t)fwr_write_data_request_encode(&request, data, sizeof(data)), answer);
    require(got == 0 || got == 2);
}

/* ---- roads, devices, time ---- */

static void road(struct fwr_reader *input)
{
    uint8_t choice = fwr_reader_u8(input);
    struct fwr_link_limits limits = w.peers[0].limits;

    limits.max_reply = choice & 32 ? FWR_LINK_MIN_REPLY : 600;
    limits.window = (uint8_t)(choice & 16 ? fwr_reader_u8(input) : 4);
    fwr_recipient_peer(w.recipient, w.now, choice % (DONORS + 1),
                       choice & 64 ? FWR_E_SESSION_CLOSED : FWR_OK, choice & 8 ? NULL : &limits);
}

/* A link that does not take what the recipient wants to send. */
static void refuse_sending(struct fwr_reader *input)
{
    int error = fwr_reader_u8(input) & 1 ? FWR_E_BUSY : FWR_E_SESSION_CLOSED;
    struct fwr_outgoing message;

    for (int i = 0; i < 3 && fwr_recipient_next_send(w.recipient, w.now, &message); i++)
        fwr_recipient_unsent(w.recipient, w.now, &message, error);
}

static void harm_devices(struct fwr_reader *input)
{
    uint8_t choice = fwr_reader_u8(input), count = fwr_reader_u8(input) % 4;
    struct fwr_flash_ramnor_unit *unit = &w.units[(choice >> 4) % (BLOCKS / 2)];

    switch (choice % 10) {
    case 0:
        unit->fail_reads = count;
        break;
    case 1:
        unit->fail_erases = count;
        break;
    case 2:
        unit->fail_programs = count;
        break;
    case 3:
        unit->misprograms = count;
        break;
    case 4:
        w.nor.fail_syncs = count;
        break;
    case 5:
        w.store.fail_writes = count;
        w.store.write_error = choice & 16 ? FWR_E_STORE_FULL : FWR_E_STORE_IO;
        break;
    case 6:
        w.store.fail_reads = count;
        break;
    case 7:
        w.host.fail[choice / 10 % FWR_HOST_RECORDER_CALLS] = count;
        break;
    case 8:
        w.nor.pending_calls = w.store.pending_calls = w.host.pending_calls = count;
        break;
    default: /* the flash changes behind our back */
        w.cells[choice & 128 ? SIZE - 1 - count : count * BLOCK] ^= 4;
        now.spoiled = true;
    }
}

static void heal_devices(void)
{
    for (int i = 0; i < BLOCKS / 2; i++)
        w.units[i].fail_reads = w.units[i].fail_erases = w.units[i].fail_programs =
            w.units[i].misprograms = 0;
    w.nor.fail_syncs = 0;
    w.store.fail_writes = w.store.fail_reads = 0;
    w.nor.pending_calls = w.store.pending_calls = w.host.pending_calls = 0;
    memset(w.host.fail, 0, sizeof(w.host.fail));
    w.loss = w.duplication = w.corruption = 0;
    w.jitter_ms = 0;
}

static void pass_time(struct fwr_reader *input)
{
    uint8_t choice = fwr_reader_u8(input);

    w.now += (uint64_t)(choice & 15) << choice / 16;
    fwr_recipient_timeout(w.recipient, w.now);
}

static void plan_cut(struct fwr_reader *input)
{
    static const enum fwr_fault_verdict ways[] = {FWR_FAULT_BEFORE, FWR_FAULT_TORN, FWR_FAULT_AFTER,
                                                  FWR_FAULT_MARGINAL};

    now.cut_at = 1 + fwr_reader_u8(input);
    now.seed = fwr_reader_u8(input);
    now.how = ways[now.seed % 4];
}

static void trouble_network(struct fwr_reader *input)
{
    uint8_t choice = fwr_reader_u8(input);

    w.loss = choice & 1 ? 300 : 0;
    w.duplication = choice & 2 ? 300 : 0;
    w.corruption = choice & 4 ? 300 : 0;
    w.jitter_ms = choice & 8 ? 50 : 0;
}

static void prove_boot(void)
{
    if (world_status(&w).state != FWR_STATE_TRIAL)
        return;
    now.proven = true;
    fwr_recipient_boot_proven(w.recipient, w.now);
}

static void event(struct fwr_reader *input)
{
    uint8_t what = fwr_reader_u8(input);

    switch (what % 16) {
    case 0:
    case 1:
        for (int i = 0; i <= what / 16; i++)
            turn();
        break;
    case 2:
        change_reply(input, what / 16);
        break;
    case 3:
        repeat_reply(input);
        break;
    case 4:
        forge_reply(input);
        break;
    case 5:
        any_request(input);
        break;
    case 6:
        start(input);
        break;
    case 7:
        offer(input);
        break;
    case 8:
        bring(input);
        break;
    case 9:
        road(input);
        break;
    case 10:
        refuse_sending(input);
        break;
    case 11:
        harm_devices(input);
        break;
    case 12:
        pass_time(input);
        break;
    case 13:
        plan_cut(input);
        break;
    case 14:
        trouble_network(input);
        break;
    default:
        if (what & 128)
            boot();
        else if (what & 64)
            heal_devices();
        else
            prove_boot();
    }
    if (now.dead)
        boot();
}

/* ---- the end: all faults stop ---- */

static bool ended_right(void)
{
    struct fwr_status_page status = world_status(&w);

    return status.state == FWR_STATE_DONE && status.reason == 0 && !w.host.held &&
           w.recipient->mode == FWR_START_REPAIR && (all_right(&image) || all_right(&newer));
}

static void settle(void)
{
    heal_devices();
    now.cut_at = 0;
    for (uint8_t i = 0; i < DONORS; i++)
        fwr_recipient_peer(w.recipient, w.now, i, FWR_OK, &w.peers[i].limits);
    run_to_rest(turn, prove_boot);
    for (int i = 0; i < HEALING_RUNS_MAX && (now.spoiled || !ended_right()); i++) {
        /* A run number of the input's may be the last there is: then it goes round. */
        require(fwr_recipient_start(w.recipient, w.now, FWR_START_REPAIR, 0) == FWR_OK);
        run_to_rest(turn, prove_boot);
        if (ended_right())
            break;
    }
    check_always();
    require(ended_right() || policy_forbids());
    require(memcmp(w.cells + 8 * BLOCK, w.before + 8 * BLOCK, 4 * BLOCK) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fwr_reader input;

    if (image.bytes == NULL) {
        make_images();
        make_tree(&image, trees[0], &tree_sizes[0]);
        make_tree(&newer, trees[1], &tree_sizes[1]);
    }
    fwr_reader_init(&input, data, size);
    begin(&input);
    for (int i = 0; i < EVENTS_MAX && fwr_reader_left(&input) > 0; i++) {
        event(&input);
        check_always();
    }
    settle();
    world_free(&w);
    return 0;
}
