/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An RMCP+ initiator whose peer knows the password and keeps to no rule: it answers log-ins
 * rightly, wrongly, twice or never, seals answers to requests that were made and to others, with
 * anything inside, replays and harms. Whatever happens, a session opens only after a right
 * proof, an answer is handed up for a request that waits for it, as it was sealed and once, and
 * what the initiator itself sends, an honest peer can open.
 */
#include "lib/link/rmcp/session.h"
#include "tests/fuzz/rmcp_hostile.h"

enum { REQUESTS = 64, EVENTS_MAX = 500 };

/* What we know of a request of the initiator's. */
struct asked {
    bool waiting;
    uint8_t netfn, command, sequence;
};

static struct world {
    struct hostile hostile;
    struct fwr_rmcp_initiator *initiator;
    uint64_t now, random;
    const struct fwr_rmcp_suite *suite;
    struct fwr_rmcp_mac mac;
    struct fwr_rmcp_rakp rakp;  /* of the handshake as we see it */
    enum fwr_rmcp_payload last; /* what the initiator said last in it, and its tag */
    uint8_t tag;
    struct fwr_rmcp_session session; /* our end of it */
    bool keyed;
    bool proven[2]; /* a right RAKP 2, and a right RAKP 4, were delivered in this handshake */
    uint32_t sequence;
    bool active; /* as it was seen last */
    unsigned asked_count;
    struct asked asked[REQUESTS];
    uint8_t privilege_sequence; /* of Set Session Privilege Level, which it asks by itself */
    bool privilege_asked;
} world;

/* Opens what the initiator sent: a command under our keys. The message's data stay in `bytes`. */
static void open_command(uint8_t *bytes, size_t length, const struct fwr_rmcp_packet *packet,
                         struct fwr_rmcp_message *message)
{
    struct fwr_rmcp_counters counters = {0};

    require(world.keyed && packet->session == world.rakp.managed);
    require(fwr_rmcp_session_open(&world.session, packet, bytes, length, message, &counters) ==
            FWR_OK);
    require(message->to == FWR_RMCP_ADDRESS_BMC && message->from == FWR_RMCP_ADDRESS_CONSOLE);
}

/* What the initiator says in a handshake tells us what the right answer would be. */
static void hear(uint8_t *bytes, size_t length)
{
    struct fwr_rmcp_packet packet;
    struct fwr_rmcp_open_request open;
    struct fwr_rmcp_message message;
    struct fwr_rmcp_rakp34 rakp3;
    struct fwr_rmcp_rakp1 rakp1;

    require(fwr_rmcp_packet_decode(&packet, bytes, length) == FWR_OK);
    require(packet.class == FWR_RMCP_CLASS_IPMI20);
    if (packet.session != 0) {
        open_command(bytes, length, &packet, &message);
        require(message.command == FWR_IPMI_SET_PRIVILEGE && world.proven[1]);
        world.privilege_sequence = message.sequence;
        world.privilege_asked = true;
        return;
    }
    world.last = (enum fwr_rmcp_payload)packet.payload_type;
    switch (packet.payload_type) {
    case FWR_RMCP_PAYLOAD_OPEN_REQUEST:
        require(fwr_rmcp_open_request_decode(&open, packet.payload, packet.length) == FWR_OK);
        world.tag = open.tag;
        world.rakp.console = open.console;
        world.proven[0] = world.proven[1] = false;
        break;
    case FWR_RMCP_PAYLOAD_RAKP1:
        require(fwr_rmcp_rakp1_decode(&rakp1, packet.payload, packet.length) == FWR_OK);
        world.tag = rakp1.tag;
        world.rakp.managed = rakp1.managed;
        world.rakp.role = rakp1.role;
        memcpy(world.rakp.console_random, rakp1.random, sizeof(rakp1.random));
        break;
    default:
        require(packet.payload_type == FWR_RMCP_PAYLOAD_RAKP3);
        require(fwr_rmcp_rakp34_decode(&rakp3, packet.payload, packet.length) == FWR_OK);
        require(rakp3.code != FWR_RMCP_CODE_OK || world.proven[0]);
        world.tag = rakp3.tag;
    }
}

static void hear_all(void)
{
    uint8_t bytes[256];
    size_t length;

    while (fwr_rmcp_initiator_next_send(world.initiator, world.now, bytes, sizeof(bytes),
                                        &length) == FWR_OK &&
           length > 0)
        hear(bytes, length);
}

static void check_always(void)
{
    struct fwr_rmcp_initiator_status status;
    unsigned waiting = 0;

    fwr_rmcp_initiator_status(world.initiator, &status);
    world.active = status.state == FWR_RMCP_ACTIVE;
    if (!world.active)
        memset(world.asked, 0, sizeof(world.asked)); /* forgotten with the session */
    for (unsigned i = 0; i < REQUESTS; i++)
        waiting += world.asked[i].waiting;
    require(status.outstanding == waiting && waiting <= status.window);
    require(status.state == FWR_RMCP_OPENING ||
            fwr_rmcp_initiator_next_timeout(world.initiator) == FWR_NEVER);
}

static void on_response(const struct fwr_rmcp_response *response, const struct sent *sent)
{
    struct asked *asked = &world.asked[response->token % REQUESTS];

    require(sent != NULL && (sent->kind == SENT_MESSAGE || sent->kind == SENT_RAW));
    require(!sent->accepted && response->token < REQUESTS && asked->waiting);
    require(response->netfn == asked->netfn && response->command == asked->command);
    require(response->length >= 1);
    if (sent->kind == SENT_MESSAGE) {
        require(sent->netfn == (asked->netfn | 1) && sent->command == asked->command);
        require(sent->sequence == asked->sequence && sent->data_length == response->length);
        require(memcmp(sent->data, response->reply, response->length) == 0);
    }
    asked->waiting = false;
}

static void deliver(const uint8_t *bytes, size_t length)
{
    static uint8_t copy[FWR_RMCP_DATAGRAM_MAX];
    struct sent *sent = hostile_find(&world.hostile, bytes, length);
    struct fwr_rmcp_response response;
    const bool opening = !world.active;

    if (length > 0)
        memcpy(copy, bytes, length);
    if (sent != NULL && sent->kind == SENT_PROOF)
        world.proven[sent->command == FWR_RMCP_PAYLOAD_RAKP4] = true;
    if (fwr_rmcp_initiator_receive(world.initiator, world.now, copy, length, &response) != FWR_OK) {
        require(response.kind == FWR_RMCP_EVENT_NONE);
        return;
    }
    if (response.kind == FWR_RMCP_EVENT_RESPONSE)
        on_response(&response, sent);
    if (response.kind == FWR_RMCP_EVENT_OPENED) /* by the last answer, under the session's keys */
        require(opening && sent != NULL && sent->kind >= SENT_MESSAGE && !sent->accepted);
    if (sent != NULL && sent->kind >= SENT_MESSAGE)
        require(!sent->accepted);
    if (sent != NULL)
        sent->accepted = true;
    hear_all();
    check_always();
}

/* ---- log-in ---- */

static size_t answer_open(uint8_t oddity, uint8_t *payload)
{
    struct fwr_rmcp_open_response response = {.tag = world.tag,
                                              .privilege = FWR_PRIVILEGE_USER,
                                              .console = world.rakp.console,
                                              .managed = 0x2000u + oddity / 16u,
                                              .algorithms = world.suite->algorithms};

    if (oddity & 1)
        response.code = oddity / 4;
    if (oddity & 2)
        response.algorithms.authentication = oddity / 16;
    return fwr_rmcp_open_response_encode(&response, payload);
}

/* Keeps a right proof in memory, also where a wrong one is sent: a changed one may become it. */
static void keep_proof(enum fwr_rmcp_payload type, const uint8_t *payload, size_t length)
{
    struct sent *sent = hostile_new(&world.hostile, SENT_PROOF);

    sent->command = (uint8_t)type;
    fwr_rmcp_prefix_encode(sent->bytes, (uint8_t)type, 0, 0, length);
    memcpy(sent->bytes + FWR_RMCP_PREFIX_SIZE, payload, length);
    sent->length = FWR_RMCP_PREFIX_SIZE + length;
}

static size_t answer_rakp1(uint8_t oddity, uint8_t *payload)
{
    struct fwr_rmcp_rakp2 reply = {
        .tag = world.tag, .console = world.rakp.console, .check_length = world.suite->digest_size};

    seeded_fill(&world.hostile.random, world.rakp.managed_random, FWR_RMCP_RANDOM_SIZE);
    memset(world.rakp.guid, 0xa5, sizeof(world.rakp.guid));
    memcpy(reply.random, world.rakp.managed_random, sizeof(reply.random));
    memcpy(reply.guid, world.rakp.guid, sizeof(reply.guid));
    require(fwr_rmcp_rakp2_code(&world.mac, &world.rakp, reply.check) == FWR_OK);
    keep_proof(FWR_RMCP_PAYLOAD_RAKP2, payload, fwr_rmcp_rakp2_encode(&reply, payload));
    if (oddity & 1)
        reply.code = oddity / 4;
    if (oddity & 2)
        reply.check[oddity / 8 % reply.check_length] ^= 1;
    return fwr_rmcp_rakp2_encode(&reply, payload);
}

static size_t answer_rakp3(uint8_t oddity, uint8_t *payload)
{
    struct fwr_rmcp_rakp34 reply = {
        .tag = world.tag, .session = world.rakp.console, .check_length = world.suite->check_size};
    uint8_t sik[FWR_RMCP_DIGEST_MAX], check[FWR_RMCP_DIGEST_MAX];

    require(fwr_rmcp_rakp_sik(&world.mac, &world.rakp, sik) == FWR_OK);
    require(fwr_rmcp_rakp4_code(&world.mac, &world.rakp, sik, check) == FWR_OK);
    memcpy(reply.check, check, sizeof(reply.check));
    fwr_rmcp_session_end(&world.session);
    require(fwr_rmcp_session_begin(&world.session, &world.mac, world.suite, sik, world.rakp.managed,
                                   world.rakp.console) == FWR_OK);
    world.keyed = true;
    world.sequence = 0;
    keep_proof(FWR_RMCP_PAYLOAD_RAKP4, payload, fwr_rmcp_rakp34_encode(&reply, payload));
    if (oddity & 1)
        reply.code = oddity / 4;
    if (oddity & 2)
        reply.check[oddity / 8 % reply.check_length] ^= 1;
    return fwr_rmcp_rakp34_encode(&reply, payload);
}

/* Answers what the initiator said last in its handshake: rightly when `oddity` is 0. */
static void answer_handshake(uint8_t oddity)
{
    uint8_t datagram[FWR_RMCP_PREFIX_SIZE + FWR_RMCP_HANDSHAKE_MAX];
    uint8_t *payload = datagram + FWR_RMCP_PREFIX_SIZE;
    struct sent *sent;
    size_t length;

    switch (world.last) {
    case FWR_RMCP_PAYLOAD_OPEN_REQUEST:
        length = answer_open(oddity, payload);
        break;
    case FWR_RMCP_PAYLOAD_RAKP1:
        length = answer_rakp1(oddity, payload);
        break;
    case FWR_RMCP_PAYLOAD_RAKP3:
        length = answer_rakp3(oddity, payload);
        break;
    default:
        return;
    }
    fwr_rmcp_prefix_encode(datagram, (uint8_t)(world.last + 1), 0, 0, length);
    length += FWR_RMCP_PREFIX_SIZE;
    if (hostile_find(&world.hostile, datagram, length) == NULL) {
        sent = hostile_new(&world.hostile, SENT_ANYTHING);
        memcpy(sent->bytes, datagram, length);
        sent->length = length;
    }
    deliver(datagram, length);
}

/* ---- in the session ---- */

static void seal(const struct fwr_rmcp_message *message)
{
    struct sent *sent = hostile_new(&world.hostile, SENT_MESSAGE);

    hostile_seal_message(&world.hostile, &world.session.keys, world.rakp.console, ++world.sequence,
                         message, sent);
    deliver(sent->bytes, sent->length);
}

static struct fwr_rmcp_message answer_to(uint8_t netfn, uint8_t command, uint8_t sequence,
                                         const uint8_t *data, size_t length)
{
    const struct fwr_rmcp_message message = {.to = FWR_RMCP_ADDRESS_CONSOLE,
                                             .netfn = netfn | 1,
                                             .from = FWR_RMCP_ADDRESS_BMC,
                                             .sequence = sequence,
                                             .command = command,
                                             .data = data,
                                             .length = length};

    return message;
}

static void grant_privilege(uint8_t oddity)
{
    uint8_t data[2] = {oddity & 1 ? oddity : 0, FWR_PRIVILEGE_USER};
    struct fwr_rmcp_message message;

    if (!world.keyed || !world.privilege_asked)
        return;
    message = answer_to(FWR_IPMI_NETFN_APP, FWR_IPMI_SET_PRIVILEGE, world.privilege_sequence, data,
                        oddity & 2 ? 1 : 2);
    seal(&message);
}

/* All of a log-in, as it should be. */
static void log_in(void)
{
    (void)fwr_rmcp_initiator_start(world.initiator, world.now);
    hear_all();
    for (int i = 0; i < 3; i++)
        answer_handshake(0);
    grant_privilege(0);
    check_always();
}

static void ask(struct fwr_reader *input)
{
    uint8_t choice = fwr_reader_u8(input), data[40], bytes[FWR_RMCP_DATAGRAM_MAX];
    const unsigned number = world.asked_count % REQUESTS;
    const struct fwr_rmcp_request request = {.netfn = choice & 0x3e,
                                             .command = fwr_reader_u8(input),
                                             .data = data,
                                             .length = fuzz_bytes(input, data, sizeof(data))};
    struct fwr_rmcp_message message;
    struct fwr_rmcp_packet packet;
    size_t length;

    if (world.asked[number].waiting ||
        fwr_rmcp_initiator_request(world.initiator, world.now, &request, number, bytes,
                                   sizeof(bytes), &length) != FWR_OK)
        return;
    require(fwr_rmcp_packet_decode(&packet, bytes, length) == FWR_OK);
    open_command(bytes, length, &packet, &message);
    require(message.netfn == request.netfn && message.command == request.command);
    require(message.length == request.length && memcmp(message.data, data, message.length) == 0);
    for (unsigned i = 0; i < REQUESTS; i++)
        require(!world.asked[i].waiting || world.asked[i].sequence != message.sequence);
    world.asked[number] = (struct asked){true, request.netfn, request.command, message.sequence};
    world.asked_count++;
}

/* An answer to one of the requests, or to one that nobody made. */
static void answer_request(struct fwr_reader *input)
{
    uint8_t choice = fwr_reader_u8(input), oddity = fwr_reader_u8(input), data[48];
    size_t length = fuzz_bytes(input, data, sizeof(data));
    const struct asked *asked = &world.asked[choice % REQUESTS];
    struct fwr_rmcp_message message;

    if (!world.keyed)
        return;
    message = answer_to(asked->netfn, asked->command, asked->sequence, data, length);
    if (oddity & 1)
        message.command ^= 1;
    if (oddity & 2)
        message.sequence = oddity >> 2;
    if (oddity & 64)
        message.netfn ^= 1;
    if (oddity & 128)
        message.to ^= oddity;
    seal(&message);
}

static void raw(struct fwr_reader *input)
{
    uint8_t plain[64] = {0}, trailer = fwr_reader_u8(input) % 16;
    size_t length = fuzz_bytes(input, plain, sizeof(plain)) / FWR_RMCP_BLOCK * FWR_RMCP_BLOCK;
    struct sent *sent;

    if (!world.keyed)
        return;
    sent = hostile_new(&world.hostile, SENT_RAW);
    hostile_seal(&world.hostile, &world.session.keys, world.rakp.console, ++world.sequence, plain,
                 length, trailer < 8 ? 0 : trailer, sent);
    deliver(sent->bytes, sent->length);
}

static void finish(uint8_t choice)
{
    uint8_t bytes[256];
    struct fwr_rmcp_packet packet;
    struct fwr_rmcp_message message;
    size_t length;

    (void)fwr_rmcp_initiator_close(world.initiator, choice & 1 ? bytes : NULL, sizeof(bytes),
                                   &length);
    if (length > 0) {
        require(fwr_rmcp_packet_decode(&packet, bytes, length) == FWR_OK);
        open_command(bytes, length, &packet, &message);
        require(message.command == FWR_IPMI_CLOSE_SESSION);
    }
    world.privilege_asked = false;
}

static void pass_time(struct fwr_reader *input)
{
    world.now += (uint64_t)fwr_reader_u8(input) << fwr_reader_u8(input) % 8;
    fwr_rmcp_initiator_timeout(world.initiator, world.now);
    hear_all();
    require(fwr_rmcp_initiator_next_timeout(world.initiator) > world.now);
}

static void event(struct fwr_reader *input)
{
    static uint8_t bytes[FWR_RMCP_DATAGRAM_MAX];
    uint8_t what = fwr_reader_u8(input);
    size_t length;

    switch (what % 14) {
    case 0:
        log_in();
        break;
    case 1:
    case 2:
        answer_handshake(fwr_reader_u8(input));
        break;
    case 3:
        grant_privilege(fwr_reader_u8(input));
        break;
    case 4:
    case 5:
        ask(input);
        break;
    case 6:
    case 7:
        answer_request(input);
        break;
    case 8:
        raw(input);
        break;
    case 9:
        if (hostile_repeat(&world.hostile, input, bytes, &length))
            deliver(bytes, length);
        break;
    case 10:
        length = fuzz_bytes(input, bytes, 255);
        deliver(bytes, length);
        break;
    case 11:
        pass_time(input);
        break;
    case 12: {
        uint8_t number = fwr_reader_u8(input) % REQUESTS;

        if (fwr_rmcp_initiator_forget(world.initiator, world.now, number) == FWR_OK) {
            require(world.asked[number].waiting);
            world.asked[number].waiting = false;
        }
        break;
    }
    default:
        finish(fwr_reader_u8(input));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t password[] = "password", kg[] = "the key of this BMC";
    static uint64_t storage[2048];
    const struct fwr_platform platform = {sizeof(platform), &world.random, hostile_random, NULL};
    struct fwr_rmcp_initiator_config config = {.size = sizeof(config),
                                               .platform = &platform,
                                               .user = "user",
                                               .password = password,
                                               .user_length = 4,
                                               .password_length = 8};
    struct fwr_reader input;
    uint8_t choice;

    memset(&world, 0, sizeof(world));
    world.hostile.random = 7;
    fwr_reader_init(&input, data, size);
    choice = fwr_reader_u8(&input);
    config.suite = choice & 1 ? FWR_RMCP_SUITE_SHA1 : FWR_RMCP_SUITE_SHA256;
    config.kg = choice & 2 ? kg : NULL;
    config.kg_length = choice & 2 ? sizeof(kg) - 1 : 0;
    config.window = choice >> 5;
    world.suite = fwr_rmcp_suite_by_id(config.suite);
    world.rakp = (struct fwr_rmcp_rakp){.suite = world.suite,
                                        .user = (const uint8_t *)config.user,
                                        .user_length = config.user_length,
                                        .password = password,
                                        .password_length = config.password_length,
                                        .kg = config.kg,
                                        .kg_length = config.kg_length};
    require(fwr_rmcp_initiator_storage() <= sizeof(storage));
    require(fwr_rmcp_initiator_init(&world.initiator, storage, sizeof(storage), &config) == FWR_OK);
    require(fwr_rmcp_mac_init(&world.mac) == FWR_OK);
    require(fwr_rmcp_session_init(&world.session) == FWR_OK);
    require(fwr_rmcp_initiator_start(world.initiator, world.now) == FWR_OK);
    hear_all();
    for (int i = 0; i < EVENTS_MAX && fwr_reader_left(&input) > 0; i++) {
        event(&input);
        check_always();
    }
    fwr_rmcp_session_free(&world.session);
    fwr_rmcp_mac_free(&world.mac);
    fwr_rmcp_initiator_end(world.initiator);
    return 0;
}
