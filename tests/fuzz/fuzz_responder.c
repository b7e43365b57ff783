/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An RMCP+ responder among consoles that know their passwords and keep to no rule: log-ins in
 * any order and with any field, sealed messages with anything inside, replays, harm, other
 * addresses, time. Whatever happens, a session opens only to a right proof, a command comes from
 * a datagram that was sealed for that session and at most once, nobody gets more privilege than
 * his user has, and no more sessions and log-ins are kept than configured.
 */
#include "tests/fuzz/rmcp_hostile.h"

enum { CONSOLES = 4, SESSIONS = 2, HALF_OPEN = 3, EVENTS_MAX = 500 };

static const struct fwr_rmcp_user users[2] = {
    {"user", (const uint8_t *)"password", 4, 8, FWR_PRIVILEGE_USER, true, true},
    {"admin", (const uint8_t *)"another password 20.", 5, 20, FWR_PRIVILEGE_ADMIN, false, true},
};

/* One of ours. Two share an address. */
struct console {
    const struct fwr_rmcp_suite *suite;
    struct fwr_rmcp_rakp rakp;
    uint8_t user;
    uint8_t tag;
    bool proven; /* RAKP 2 has come and was right */
    bool open;   /* keys are made */
    uint32_t sequence;
    uint32_t managed; /* of the session that `keys` are for */
    struct fwr_rmcp_keys keys;
};

static struct world {
    struct hostile hostile;
    struct fwr_rmcp_responder *responder;
    uint64_t now, random;
    struct console consoles[CONSOLES];
    struct fwr_rmcp_mac mac;
    unsigned open; /* sessions opened and not closed */
    bool waiting;  /* for an answer of ours */
    struct fwr_rmcp_command_id command;
    size_t reply_length; /* to the last datagram */
    uint8_t reply[FWR_RMCP_DATAGRAM_MAX];
} world;

static struct fwr_rmcp_peer address(uint8_t console)
{
    struct fwr_rmcp_peer peer = {.length = 1, .key = {console / 2}};

    return peer;
}

static void on_event(const struct fwr_rmcp_event *event, struct sent *sent,
                     const struct fwr_rmcp_peer *from)
{
    switch (event->kind) {
    case FWR_RMCP_EVENT_OPENED:
        require(sent != NULL && sent->kind == SENT_PROOF && !sent->accepted);
        require(event->user == world.consoles[sent->owner].user);
        world.open++;
        break;
    case FWR_RMCP_EVENT_CLOSED:
        require(world.open > 0);
        world.open--;
        break;
    case FWR_RMCP_EVENT_COMMAND:
        require(sent != NULL && (sent->kind == SENT_MESSAGE || sent->kind == SENT_RAW));
        require(!sent->accepted && event->session == sent->session);
        require(from->key[0] == address(sent->owner).key[0]);
        if (sent->kind == SENT_MESSAGE) {
            require(event->id.netfn == sent->netfn && event->id.command == sent->command);
            require(event->length == sent->data_length);
            require(event->length == 0 || memcmp(event->data, sent->data, event->length) == 0);
        }
        world.waiting = true;
        world.command = event->id;
        break;
    default:
        break;
    }
    if (event->kind != FWR_RMCP_EVENT_NONE)
        require(event->privilege <= users[event->user].privilege);
}

static void deliver(const uint8_t *bytes, size_t length, struct fwr_rmcp_peer from)
{
    static uint8_t copy[FWR_RMCP_DATAGRAM_MAX];
    struct sent *sent = hostile_find(&world.hostile, bytes, length);
    struct fwr_rmcp_event event;
    int error;

    if (length > 0)
        memcpy(copy, bytes, length);
    error = fwr_rmcp_responder_receive(world.responder, world.now, &from, copy, length, &event,
                                       world.reply, sizeof(world.reply), &world.reply_length);
    require(world.reply_length <= FWR_RMCP_DATAGRAM_IPV6);
    if (error != FWR_OK) {
        require(world.reply_length == 0 && event.kind == FWR_RMCP_EVENT_NONE);
        return;
    }
    on_event(&event, sent, &from);
    if (sent != NULL && sent->kind >= SENT_MESSAGE)
        require(!sent->accepted); /* a second time it is nobody's, answered here or above */
    if (sent != NULL)
        sent->accepted = true;
}

/* ---- log-ins ---- */

static void send_handshake(uint8_t k, enum fwr_rmcp_payload type, enum sent_kind kind,
                           const uint8_t *payload, size_t length)
{
    struct sent *sent = hostile_new(&world.hostile, kind);

    sent->owner = k;
    fwr_rmcp_prefix_encode(sent->bytes, (uint8_t)type, 0, 0, length);
    memcpy(sent->bytes + FWR_RMCP_PREFIX_SIZE, payload, length);
    sent->length = FWR_RMCP_PREFIX_SIZE + length;
    deliver(sent->bytes, sent->length, address(k));
}

static const uint8_t *answer_of(enum fwr_rmcp_payload type, size_t *length)
{
    static struct fwr_rmcp_packet packet;

    if (world.reply_length == 0 ||
        fwr_rmcp_packet_decode(&packet, world.reply, world.reply_length) != FWR_OK ||
        packet.class != FWR_RMCP_CLASS_IPMI20 || packet.payload_type != type)
        return NULL;
    *length = packet.length;
    return packet.payload;
}

static void open_session(uint8_t k, uint8_t oddity)
{
    struct console *c = &world.consoles[k];
    uint8_t payload[FWR_RMCP_HANDSHAKE_MAX];
    struct fwr_rmcp_open_request request = {.tag = ++c->tag};
    struct fwr_rmcp_open_response response;
    const uint8_t *answer;
    size_t length;

    c->suite = fwr_rmcp_suite_by_id(oddity & 1 ? FWR_RMCP_SUITE_SHA1 : FWR_RMCP_SUITE_SHA256);
    c->proven = false;
    memset(&c->rakp, 0, sizeof(c->rakp));
    c->rakp.suite = c->suite;
    c->rakp.console = 0x100u + k;
    request.console = c->rakp.console;
    request.privilege = oddity >> 5;
    request.algorithms = c->suite->algorithms;
    if (oddity & 2)
        request.algorithms.integrity ^= 1;
    if (oddity & 4)
        request.algorithms.confidentiality ^= 1;
    length = fwr_rmcp_open_request_encode(&request, payload);
    send_handshake(k, FWR_RMCP_PAYLOAD_OPEN_REQUEST, SENT_ANYTHING, payload, length);
    answer = answer_of(FWR_RMCP_PAYLOAD_OPEN_RESPONSE, &length);
    if (answer == NULL || fwr_rmcp_open_response_decode(&response, answer, length) != FWR_OK ||
        response.code != FWR_RMCP_CODE_OK)
        return;
    require((oddity & 6) == 0);
    require(response.tag == c->tag && response.console == c->rakp.console);
    c->rakp.managed = response.managed;
}

static void name_user(uint8_t k, uint8_t oddity)
{
    struct console *c = &world.consoles[k];
    uint8_t payload[FWR_RMCP_HANDSHAKE_MAX], code[FWR_RMCP_DIGEST_MAX];
    struct fwr_rmcp_rakp1 message = {.tag = ++c->tag, .managed = c->rakp.managed};
    struct fwr_rmcp_rakp2 reply;
    const struct fwr_rmcp_user *user;
    const uint8_t *answer;
    size_t length;

    if (c->suite == NULL)
        return;
    c->user = oddity & 1;
    user = &users[c->user];
    c->proven = false;
    seeded_fill(&world.hostile.random, message.random, sizeof(message.random));
    message.role = (uint8_t)(oddity & 2 ? oddity >> 2 : user->privilege | FWR_RMCP_ROLE_NAME_ONLY);
    message.user_length = user->name_length;
    memcpy(message.user, user->name, user->name_length);
    length = fwr_rmcp_rakp1_encode(&message, payload);
    if (oddity & 128)
        payload[27] = oddity; /* the name's length */
    send_handshake(k, FWR_RMCP_PAYLOAD_RAKP1, SENT_ANYTHING, payload, length);
    answer = answer_of(FWR_RMCP_PAYLOAD_RAKP2, &length);
    if (answer == NULL || fwr_rmcp_rakp2_decode(&reply, answer, length) != FWR_OK ||
        reply.code != FWR_RMCP_CODE_OK)
        return;
    memcpy(c->rakp.console_random, message.random, sizeof(message.random));
    memcpy(c->rakp.managed_random, reply.random, sizeof(reply.random));
    memcpy(c->rakp.guid, reply.guid, sizeof(reply.guid));
    c->rakp.role = message.role;
    c->rakp.user = (const uint8_t *)user->name;
    c->rakp.user_length = user->name_length;
    c->rakp.password = user->password;
    c->rakp.password_length = user->password_length;
    require(fwr_rmcp_rakp2_code(&world.mac, &c->rakp, code) == FWR_OK);
    require(reply.check_length == c->suite->digest_size &&
            memcmp(reply.check, code, reply.check_length) == 0);
    c->proven = true;
}

static void prove(uint8_t k, uint8_t oddity)
{
    struct console *c = &world.consoles[k];
    uint8_t payload[FWR_RMCP_HANDSHAKE_MAX], sik[FWR_RMCP_DIGEST_MAX];
    struct fwr_rmcp_rakp34 message = {.tag = ++c->tag, .session = c->rakp.managed}, reply;
    const uint8_t *answer;
    const unsigned before = world.open;
    size_t length;

    if (!c->proven)
        return;
    message.check_length = c->suite->digest_size;
    require(fwr_rmcp_rakp3_code(&world.mac, &c->rakp, message.check) == FWR_OK);
    if (oddity & 1)
        message.check[oddity / 8 % message.check_length] ^= 1;
    if (oddity & 2)
        message.code = oddity / 8;
    length = fwr_rmcp_rakp34_encode(&message, payload);
    send_handshake(k, FWR_RMCP_PAYLOAD_RAKP3,
                   oddity & 1 || message.code ? SENT_ANYTHING : SENT_PROOF, payload, length);
    if (world.open == before)
        return;
    require((oddity & 1) == 0 && message.code == FWR_RMCP_CODE_OK);
    answer = answer_of(FWR_RMCP_PAYLOAD_RAKP4, &length);
    require(answer != NULL && fwr_rmcp_rakp34_decode(&reply, answer, length) == FWR_OK);
    require(reply.code == FWR_RMCP_CODE_OK && reply.session == c->rakp.console);
    require(fwr_rmcp_rakp_sik(&world.mac, &c->rakp, sik) == FWR_OK);
    require(fwr_rmcp_keys_derive(&c->keys, &world.mac, c->suite, sik) == FWR_OK);
    c->managed = c->rakp.managed;
    c->sequence = 0;
    c->open = true;
    c->proven = false;
}

/* ---- in sessions ---- */

static void seal(uint8_t k, const struct fwr_rmcp_message *message, uint32_t sequence)
{
    struct console *c = &world.consoles[k];
    struct sent *sent = hostile_new(&world.hostile, SENT_MESSAGE);

    sent->owner = k;
    hostile_seal_message(&world.hostile, &c->keys, c->managed, sequence, message, sent);
    deliver(sent->bytes, sent->length, address(k));
}

/* Any command, the session's own ones often, with data from the stream. */
static void command(uint8_t k, struct fwr_reader *input)
{
    static const uint8_t own[] = {FWR_IPMI_GET_DEVICE_ID, FWR_IPMI_SET_PRIVILEGE,
                                  FWR_IPMI_CLOSE_SESSION, FWR_IPMI_GET_CHANNEL_AUTH,
                                  FWR_IPMI_GET_CIPHER_SUITES};
    struct console *c = &world.consoles[k];
    uint8_t choice = fwr_reader_u8(input), data[40];
    struct fwr_rmcp_message message = {.to = FWR_RMCP_ADDRESS_BMC,
                                       .netfn = 0x2e,
                                       .from = FWR_RMCP_ADDRESS_CONSOLE,
                                       .command = fwr_reader_u8(input),
                                       .data = data};

    if (!c->open)
        return;
    message.sequence = choice & 0x3f;
    message.length = fuzz_bytes(input, data, sizeof(data));
    if (choice & 64) {
        message.netfn = FWR_IPMI_NETFN_APP;
        message.command = own[message.command % sizeof(own)];
        if (message.command == FWR_IPMI_CLOSE_SESSION && message.length == 0) {
            fwr_rmcp_put32(data, c->managed);
            message.length = 4;
        }
    }
    if (choice & 128) { /* not to us, or an answer, or from far ahead or behind */
        uint8_t oddity = fwr_reader_u8(input);

        message.to = oddity & 1 ? 0x81 : message.to;
        message.netfn = (uint8_t)(message.netfn | (oddity >> 1 & 1));
        message.to_lun = oddity >> 6;
        c->sequence += oddity & 4 ? (uint32_t)1 << oddity / 8 : 0;
        c->sequence -= oddity & 32 ? oddity % 32u : 0;
    }
    seal(k, &message, ++c->sequence);
}

static void raw(uint8_t k, struct fwr_reader *input)
{
    struct console *c = &world.consoles[k];
    uint8_t plain[64] = {0}, trailer = fwr_reader_u8(input) % 16;
    struct sent *sent;
    size_t length = fuzz_bytes(input, plain, sizeof(plain)) / FWR_RMCP_BLOCK * FWR_RMCP_BLOCK;

    if (!c->open)
        return;
    sent = hostile_new(&world.hostile, SENT_RAW);
    sent->owner = k;
    hostile_seal(&world.hostile, &c->keys, c->managed, ++c->sequence, plain, length,
                 trailer < 8 ? 0 : trailer, sent);
    deliver(sent->bytes, sent->length, address(k));
}

static void answer_command(struct fwr_reader *input)
{
    uint8_t data[48] = {0}, datagram[FWR_RMCP_DATAGRAM_MAX];
    size_t length = 1 + fuzz_bytes(input, data + 1, sizeof(data) - 1), got;
    struct fwr_rmcp_peer to;

    if (!world.waiting)
        return;
    world.waiting = false;
    if (fwr_rmcp_responder_reply(world.responder, world.now, &world.command, data, length, &to,
                                 datagram, sizeof(datagram), &got) == FWR_OK)
        require(got > length && got <= sizeof(datagram) && to.length == 1);
}

/* ---- the stream ---- */

static void pass_time(struct fwr_reader *input)
{
    struct fwr_rmcp_event event;

    world.now += (uint64_t)fwr_reader_u8(input) << fwr_reader_u8(input) % 10;
    do {
        fwr_rmcp_responder_timeout(world.responder, world.now, &event);
        require(event.kind == FWR_RMCP_EVENT_NONE || event.kind == FWR_RMCP_EVENT_CLOSED);
        on_event(&event, NULL, NULL);
    } while (event.kind != FWR_RMCP_EVENT_NONE);
    require(fwr_rmcp_responder_next_timeout(world.responder) > world.now);
}

static void event(struct fwr_reader *input)
{
    static uint8_t bytes[FWR_RMCP_DATAGRAM_MAX];
    uint8_t what = fwr_reader_u8(input), k = what >> 4 & 3;
    size_t length;

    switch (what & 15) {
    case 0:
        open_session(k, fwr_reader_u8(input));
        break;
    case 1:
        name_user(k, fwr_reader_u8(input));
        break;
    case 2:
        prove(k, fwr_reader_u8(input));
        break;
    case 3: /* all of it, as it should be */
    case 4:
        open_session(k, 0);
        name_user(k, k & 1);
        prove(k, 0);
        break;
    case 5:
    case 6:
    case 7:
        command(k, input);
        break;
    case 8:
        raw(k, input);
        break;
    case 9:
    case 10:
        if (hostile_repeat(&world.hostile, input, bytes, &length))
            deliver(bytes, length, address((uint8_t)(what >> 6)));
        break;
    case 11:
        length = fuzz_bytes(input, bytes, 255);
        deliver(bytes, length, address(k));
        break;
    case 12:
        pass_time(input);
        break;
    default:
        answer_command(input);
    }
}

static void check_always(void)
{
    struct fwr_rmcp_responder_status status;

    fwr_rmcp_responder_status(world.responder, &status);
    require(status.sessions <= SESSIONS && status.half_open <= HALF_OPEN);
    require(status.sessions == world.open);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint64_t storage[4096];
    const struct fwr_platform platform = {sizeof(platform), &world.random, hostile_random, NULL};
    struct fwr_rmcp_responder_config config = {.size = sizeof(config),
                                               .platform = &platform,
                                               .users = users,
                                               .user_count = 2,
                                               .suite_sha1 = true,
                                               .suite_sha256 = true,
                                               .sessions = SESSIONS,
                                               .half_open = HALF_OPEN};
    struct fwr_reader input;

    memset(&world, 0, sizeof(world));
    world.hostile.random = 7;
    fwr_reader_init(&input, data, size);
    require(fwr_rmcp_responder_storage(&config) <= sizeof(storage));
    require(fwr_rmcp_responder_init(&world.responder, storage, sizeof(storage), &config) == FWR_OK);
    require(fwr_rmcp_mac_init(&world.mac) == FWR_OK);
    for (int k = 0; k < CONSOLES; k++)
        require(fwr_rmcp_keys_init(&world.consoles[k].keys) == FWR_OK);
    for (int i = 0; i < EVENTS_MAX && fwr_reader_left(&input) > 0; i++) {
        event(&input);
        check_always();
    }
    for (int k = 0; k < CONSOLES; k++)
        fwr_rmcp_keys_free(&world.consoles[k].keys);
    fwr_rmcp_mac_free(&world.mac);
    fwr_rmcp_responder_end(world.responder);
    return 0;
}
