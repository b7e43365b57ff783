/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A donor with bad manners on a real UDP socket. It is the honest donor of the library, with the
 * right image and the right password, but what it sends goes through one of the modes below:
 * noise comes besides honest datagrams, lies replace them, and some modes attack the log-in. It
 * prints its port, answers until its standard input ends, then prints how many attacks it made.
 *
 * usage: hostile_donor ADDRESS TRUST ENVELOPE RAW OTHER-RAW PASSWORD MODE [NUMBER]
 */
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

#include <fwrecover/command.h>
#include <fwrecover/donor.h>
#include <fwrecover/error.h>
#include <fwrecover/oem.h>
#include <fwrecover/rmcp.h>
#include <fwrecover/source-file.h>
#include <fwrecover/trust.h>
#include <fwrecover/version.h>

#include "link/rmcp/packet.h"
#include "udp.h"

#define HEADER       4 /* completion code and IANA number before a reply's body */
#define DATAGRAM_TOP 65507
#define HISTORY      64
#define CODE_AT      (FWR_RMCP_PREFIX_SIZE + 1) /* status code of a handshake message */
#define REFUSAL_SIZE (FWR_RMCP_PREFIX_SIZE + 8)
#define SLOW_NS      100000000L

struct enemy;

/* Changes a reply's body (command, completion code first) before it is sealed. */
typedef size_t twist(struct enemy *enemy, uint8_t command, uint8_t *reply, size_t length);
/* Sends one outgoing datagram, and whatever else comes to mind. */
typedef void delivery(struct enemy *enemy, const uint8_t *datagram, size_t length);

struct mode {
    const char *name;
    twist *twist;
    delivery *deliver;
};

struct enemy {
    const struct mode *mode;
    int socket, elsewhere;
    struct sockaddr_storage to;
    socklen_t to_length;
    unsigned number, turn, attacks;
    uint32_t address; /* of the blocks asked for */
    uint32_t console; /* of the log-in under way */
    bool ruined;      /* this log-in has been attacked */
    uint32_t seed;
    struct fwr_rmcp_responder *responder;
    struct fwr_oem oem;
    void *donor_storage, *responder_storage;
    uint8_t *other; /* another image of the same size */
    size_t other_size;
    struct {
        uint8_t bytes[FWR_RMCP_DATAGRAM_MAX];
        size_t length;
    } history[HISTORY];
};

static uint32_t draw(struct enemy *enemy, uint32_t below)
{
    enemy->seed = enemy->seed * 1664525 + 1013904223;
    return (uint32_t)(((uint64_t)enemy->seed * below) >> 32);
}

static void emit(struct enemy *enemy, int from, const uint8_t *datagram, size_t length)
{
    (void)sendto(from, datagram, length, 0, (struct sockaddr *)&enemy->to, enemy->to_length);
}

static void attack(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    enemy->attacks++;
    emit(enemy, enemy->socket, datagram, length);
}

static void honest(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    emit(enemy, enemy->socket, datagram, length);
}

/* ---- noise: comes besides what is honest ---- */

static void oversize(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    static const size_t sizes[] = {1473, 1500, 2048, 4096, 9000, 32768, DATAGRAM_TOP};
    static uint8_t large[DATAGRAM_TOP];
    const size_t size = sizes[enemy->turn++ % (sizeof(sizes) / sizeof(sizes[0]))];

    memcpy(large, datagram, length);
    attack(enemy, large, size);
    honest(enemy, datagram, length);
}

/* A few lengths for each datagram, in time all of them. */
static void truncated(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    for (size_t i = 0; i < 16; i++)
        attack(enemy, datagram, (enemy->turn * 7 + i * 91) % length);
    enemy->turn++;
    honest(enemy, datagram, length);
}

static void garbage(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    uint8_t bytes[FWR_RMCP_DATAGRAM_MAX];

    for (unsigned i = 0; i < 8; i++) {
        const size_t size = draw(enemy, sizeof(bytes));

        for (size_t at = 0; at < size; at++)
            bytes[at] = (uint8_t)draw(enemy, 256);
        /* Some with a good beginning. */
        memcpy(bytes, datagram, length < 4 * i ? length : 4 * i);
        attack(enemy, bytes, size < 4 * i ? 4 * i : size);
    }
    honest(enemy, datagram, length);
}

static void stranger(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    enemy->attacks++;
    emit(enemy, enemy->elsewhere, datagram, length);
    honest(enemy, datagram, length);
}

/* Another's session, other sequence numbers, other payload types: each breaks the integrity code,
 * or names nobody. */
static void foreign(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    uint8_t bytes[FWR_RMCP_DATAGRAM_MAX];

    for (size_t at = 4; at < FWR_RMCP_PREFIX_SIZE && at < length; at++) {
        memcpy(bytes, datagram, length);
        bytes[at] ^= (uint8_t)(1 << (enemy->turn % 8));
        attack(enemy, bytes, length);
    }
    enemy->turn++;
    honest(enemy, datagram, length);
}

static void replay(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    const unsigned now = enemy->turn++;

    memcpy(enemy->history[now % HISTORY].bytes, datagram, length);
    enemy->history[now % HISTORY].length = length;
    honest(enemy, datagram, length);
    attack(enemy, datagram, length);
    for (unsigned back = 1; back < HISTORY && back <= now; back *= 2)
        attack(enemy, enemy->history[(now - back) % HISTORY].bytes,
               enemy->history[(now - back) % HISTORY].length);
}

/* ---- lies: replace what is honest ---- */

static bool is_data(uint8_t command)
{
    return command == FWR_CMD_READ_MANIFEST || command == FWR_CMD_READ_TREE ||
           command == FWR_CMD_READ_BLOCKS;
}

/* One bit of everything that is read. */
static size_t lie(struct enemy *enemy, uint8_t command, uint8_t *reply, size_t length)
{
    const size_t head = HEADER + 1;

    if (is_data(command) && length > head) {
        reply[head + enemy->turn % (length - head)] ^= (uint8_t)(1 << (enemy->turn % 8));
        enemy->turn += 37;
        enemy->attacks++;
    }
    return length;
}

/* Honest about manifest and tree, and then blocks with one wrong bit. */
static size_t lie_blocks(struct enemy *enemy, uint8_t command, uint8_t *reply, size_t length)
{
    return command == FWR_CMD_READ_BLOCKS ? lie(enemy, command, reply, length) : length;
}

static size_t lie_tree(struct enemy *enemy, uint8_t command, uint8_t *reply, size_t length)
{
    return command == FWR_CMD_READ_TREE ? lie(enemy, command, reply, length) : length;
}

/* Blocks of another image. */
static size_t mix(struct enemy *enemy, uint8_t command, uint8_t *reply, size_t length)
{
    const size_t head = HEADER + 1;

    if (command == FWR_CMD_READ_BLOCKS && length > head &&
        enemy->address + length - head <= enemy->other_size) {
        memcpy(reply + head, enemy->other + enemy->address, length - head);
        enemy->attacks++;
    }
    return length;
}

/* From the reply of the given number on, each is cut short, or has one byte changed. */
static size_t cut(struct enemy *enemy, uint8_t command, uint8_t *reply, size_t length)
{
    (void)command, (void)reply;
    if (enemy->turn++ < enemy->number)
        return length;
    enemy->attacks++;
    return 1 + draw(enemy, (uint32_t)length - 1);
}

static size_t flip(struct enemy *enemy, uint8_t command, uint8_t *reply, size_t length)
{
    (void)command;
    if (enemy->turn++ < enemy->number)
        return length;
    reply[draw(enemy, (uint32_t)length)] ^= (uint8_t)(1 + draw(enemy, 255));
    enemy->attacks++;
    return length;
}

/* Data without end. */
static size_t endless(struct enemy *enemy, uint8_t command, uint8_t *reply, size_t length)
{
    const size_t most = fwr_rmcp_max_reply(FWR_RMCP_SUITE_SHA256, FWR_RMCP_DATAGRAM_IPV6);

    if (!is_data(command) || length <= HEADER + 1)
        return length;
    for (size_t at = length; at < most; at++)
        reply[at] = (uint8_t)at;
    enemy->attacks++;
    return most;
}

/* One byte, a long time after it was asked for. */
static size_t drip(struct enemy *enemy, uint8_t command, uint8_t *reply, size_t length)
{
    const struct timespec slow = {.tv_nsec = SLOW_NS};

    (void)reply;
    if (!is_data(command) || command == FWR_CMD_READ_MANIFEST || length <= HEADER + 2)
        return length;
    nanosleep(&slow, NULL);
    enemy->attacks++;
    return HEADER + 2;
}

static void mute(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    (void)datagram, (void)length;
    enemy->attacks++;
}

/* Falls silent in the middle of the transfer. */
static void silent(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    if (enemy->turn++ < 16)
        honest(enemy, datagram, length);
    else
        enemy->attacks++;
}

/* ---- attacks on the log-in ---- */

static void refuse(struct enemy *enemy, const uint8_t *datagram)
{
    uint8_t refusal[REFUSAL_SIZE];

    memcpy(refusal, datagram, sizeof(refusal));
    refusal[CODE_AT] = FWR_RMCP_CODE_RESOURCES;
    refusal[14] = 8;
    refusal[15] = 0;
    honest(enemy, refusal, sizeof(refusal));
}

/* Byte `number` of the log-in's three answers, counted through, is changed; before that comes
 * every truncation of the same answer. Once that is done this log-in gets no further. */
static void handshake(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    static const uint8_t types[] = {FWR_RMCP_PAYLOAD_OPEN_RESPONSE, FWR_RMCP_PAYLOAD_RAKP2,
                                    FWR_RMCP_PAYLOAD_RAKP4};
    static size_t before[3]; /* bytes of the answers before this one, as they come */
    uint8_t changed[FWR_RMCP_DATAGRAM_MAX];
    size_t which = 0, at;

    while (which < 3 && types[which] != (datagram[5] & 0x3f))
        which++;
    if (which == 3) {
        honest(enemy, datagram, length);
        return;
    }
    if (which < 2)
        before[which + 1] = before[which] + length;
    if (enemy->ruined) {
        refuse(enemy, datagram);
        return;
    }
    if (enemy->number < before[which] || enemy->number >= before[which] + length) {
        honest(enemy, datagram, length);
        return;
    }
    at = enemy->number - before[which];
    for (size_t part = 0; part < length; part++)
        attack(enemy, datagram, part);
    memcpy(changed, datagram, length);
    changed[at] ^= 0xa5;
    attack(enemy, changed, length);
    enemy->ruined = true;
}

/* Agrees to other algorithms than were asked for; number n of 215 such triples, then the next. */
static void weak(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    uint8_t changed[FWR_RMCP_DATAGRAM_MAX];
    const unsigned n = enemy->number + 7 * enemy->turn;

    if ((datagram[5] & 0x3f) != FWR_RMCP_PAYLOAD_OPEN_RESPONSE || length < 52) {
        honest(enemy, datagram, length);
        return;
    }
    enemy->turn++;
    memcpy(changed, datagram, length);
    changed[FWR_RMCP_PREFIX_SIZE + 16] = (uint8_t)(n % 6);
    changed[FWR_RMCP_PREFIX_SIZE + 24] = (uint8_t)(n / 6 % 6);
    changed[FWR_RMCP_PREFIX_SIZE + 32] = (uint8_t)(n / 36 % 6);
    if (memcmp(changed, datagram, length) == 0)
        changed[FWR_RMCP_PREFIX_SIZE + 32] = 0;
    attack(enemy, changed, length);
}

/* The password it was given is another one: RAKP 2 proves nothing. */
static void impostor(struct enemy *enemy, const uint8_t *datagram, size_t length)
{
    enemy->attacks += (datagram[5] & 0x3f) == FWR_RMCP_PAYLOAD_RAKP2;
    honest(enemy, datagram, length);
}

static const struct mode modes[] = {
    {"honest", NULL, honest},
    {"oversize", NULL, oversize},
    {"truncated", NULL, truncated},
    {"garbage", NULL, garbage},
    {"stranger", NULL, stranger},
    {"foreign", NULL, foreign},
    {"replay", NULL, replay},
    {"lie", lie, honest},
    {"lie-blocks", lie_blocks, honest},
    {"lie-tree", lie_tree, honest},
    {"mix", mix, honest},
    {"cut", cut, honest},
    {"flip", flip, honest},
    {"endless", endless, honest},
    {"drip", drip, honest},
    {"mute", NULL, mute},
    {"silent", NULL, silent},
    {"handshake", NULL, handshake},
    {"weak", NULL, weak},
    {"impostor", NULL, impostor},
    {"misnumbered", NULL, honest}, /* see answer() */
};

/* ---- the honest part ---- */

/* The same reply as to another request: other sequence number, command, session half. */
static void misnumber(struct enemy *enemy, const struct fwr_rmcp_command_id *id,
                      const uint8_t *reply, size_t length)
{
    for (unsigned i = 0; i < 3; i++) {
        struct fwr_rmcp_command_id other = *id;
        uint8_t datagram[FWR_RMCP_DATAGRAM_MAX];
        struct fwr_rmcp_peer to;
        size_t size;

        other.sequence = (uint8_t)((id->sequence + (i == 0)) & 0x3f);
        other.command = (uint8_t)(id->command + (i == 1));
        other.requester_lun = (uint8_t)((id->requester_lun + (i == 2)) & 3);
        if (fwr_rmcp_responder_reply(enemy->responder, udp_now(), &other, reply, length, &to,
                                     datagram, sizeof(datagram), &size) == FWR_OK)
            attack(enemy, datagram, size);
    }
}

static void answer(struct enemy *enemy, const struct fwr_rmcp_event *event)
{
    uint8_t reply[FWR_RMCP_DATAGRAM_MAX] = {0}, datagram[FWR_RMCP_DATAGRAM_MAX];
    const struct fwr_caller caller = {
        .medium = FWR_MEDIUM_LAN,
        .privilege = event->privilege,
        .security = FWR_SECURITY_SUITE,
        .session = event->session,
        .max_reply = (uint16_t)fwr_rmcp_max_reply(event->suite, FWR_RMCP_DATAGRAM_IPV6),
    };
    const uint8_t command = (uint8_t)(event->id.command - FWR_COMMAND_BASE);
    struct fwr_rmcp_peer to;
    size_t length = fwr_oem_handle(&enemy->oem, udp_now(), &caller, event->id.command, event->data,
                                   event->length, reply, sizeof(reply));

    /* Read Blocks: IANA number, cookie, transfer, then the address. */
    if (command == FWR_CMD_READ_BLOCKS && event->length >= 12)
        enemy->address = fwr_rmcp_get32(event->data + 8);
    if (enemy->mode->twist != NULL)
        length = enemy->mode->twist(enemy, command, reply, length);
    if (strcmp(enemy->mode->name, "misnumbered") == 0)
        misnumber(enemy, &event->id, reply, length);
    if (fwr_rmcp_responder_reply(enemy->responder, udp_now(), &event->id, reply, length, &to,
                                 datagram, sizeof(datagram), &length) == FWR_OK)
        enemy->mode->deliver(enemy, datagram, length);
}

static void on_datagram(struct enemy *enemy)
{
    uint8_t datagram[2048], reply[FWR_RMCP_DATAGRAM_MAX];
    struct fwr_rmcp_peer from = {0};
    struct fwr_rmcp_event event;
    size_t reply_length = 0;
    ssize_t length;

    memset(&enemy->to, 0, sizeof(enemy->to));
    enemy->to_length = sizeof(enemy->to);
    length = recvfrom(enemy->socket, datagram, sizeof(datagram), 0, (struct sockaddr *)&enemy->to,
                      &enemy->to_length);
    if (length < 0 || enemy->to_length > FWR_RMCP_PEER_MAX)
        return;
    if (length >= FWR_RMCP_PREFIX_SIZE + 8 && datagram[5] == FWR_RMCP_PAYLOAD_OPEN_REQUEST &&
        fwr_rmcp_get32(datagram + FWR_RMCP_PREFIX_SIZE + 4) != enemy->console) {
        enemy->console = fwr_rmcp_get32(datagram + FWR_RMCP_PREFIX_SIZE + 4);
        enemy->ruined = false;
    }
    from.length = (uint8_t)enemy->to_length;
    memcpy(from.key, &enemy->to, enemy->to_length);
    if (fwr_rmcp_responder_receive(enemy->responder, udp_now(), &from, datagram, (size_t)length,
                                   &event, reply, sizeof(reply), &reply_length) != FWR_OK)
        return;
    if (reply_length > 0)
        enemy->mode->deliver(enemy, reply, reply_length);
    if (event.kind == FWR_RMCP_EVENT_COMMAND)
        answer(enemy, &event);
}

static int serve(struct enemy *enemy)
{
    for (;;) {
        struct pollfd handles[] = {{enemy->socket, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
        const bool busy = fwr_donor_step(enemy->oem.donor, udp_now()) == FWR_PENDING;
        struct fwr_rmcp_event event;

        if (poll(handles, 2, busy ? 0 : 100) < 0)
            return 1;
        if ((handles[1].revents & (POLLIN | POLLHUP)) != 0)
            return 0;
        if ((handles[0].revents & POLLIN) != 0)
            on_datagram(enemy);
        fwr_donor_timeout(enemy->oem.donor, udp_now());
        do {
            fwr_rmcp_responder_timeout(enemy->responder, udp_now(), &event);
        } while (event.kind != FWR_RMCP_EVENT_NONE);
    }
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = NULL;

    *size = 0;
    if (file == NULL)
        return NULL;
    if (fseek(file, 0, SEEK_END) == 0) {
        *size = (size_t)ftell(file);
        rewind(file);
        bytes = malloc(*size + 1);
    }
    if (bytes != NULL && fread(bytes, 1, *size, file) != *size) {
        free(bytes);
        bytes = NULL;
    }
    fclose(file);
    return bytes;
}

static int make_donor(struct enemy *enemy, char **argv)
{
    static struct fwr_trust trust;
    static struct fwr_source_file file;
    static const struct fwr_source *source = &file.source;
    static struct fwr_donor_config config = {
        .size = sizeof(config),
        .platform = &fwr_platform_default,
        .trust = &trust,
        .image_count = 1,
        .images = &source,
        .max_transfers = 16,
    };
    size_t size;
    uint8_t *bytes = read_file(argv[2], &size);
    int error = bytes == NULL ? FWR_E_IO : fwr_trust_decode(bytes, size, &trust);

    free(bytes);
    if (error == FWR_OK)
        error = fwr_source_file_open(&file, argv[4], argv[3]);
    if (error != FWR_OK)
        return error;
    config.max_leaves = (uint32_t)(file.image_size / FWR_BLOCK_SIZE_MIN);
    enemy->other = read_file(argv[5], &enemy->other_size);
    size = fwr_donor_storage(&config);
    enemy->oem = (struct fwr_oem){
        .size = sizeof(enemy->oem),
        .iana = FWR_IANA_DEFAULT,
        .command_base = FWR_COMMAND_BASE,
        .max_request = (uint16_t)fwr_rmcp_max_request(FWR_RMCP_SUITE_SHA256, 1452),
        .max_reply = (uint16_t)fwr_rmcp_max_reply(FWR_RMCP_SUITE_SHA256, 1452),
        .window = FWR_RMCP_WINDOW_MAX,
    };
    enemy->donor_storage = malloc(size);
    return fwr_donor_init(&enemy->oem.donor, enemy->donor_storage, size, &config, udp_now());
}

static int make_responder(struct enemy *enemy, const char *password)
{
    static struct fwr_rmcp_user user = {
        .name = "fetch",
        .name_length = 5,
        .privilege = FWR_PRIVILEGE_ADMIN,
        .suite_sha1 = true,
        .suite_sha256 = true,
    };
    static struct fwr_rmcp_responder_config config = {
        .size = sizeof(config),
        .platform = &fwr_platform_default,
        .users = &user,
        .user_count = 1,
        .guid = "a-hostile-donor",
        .device = {.id = 0x23, .firmware_major = 1, .manufacturer = 32473},
        .suite_sha1 = true,
        .suite_sha256 = true,
    };
    size_t size;

    user.password = (const uint8_t *)password;
    user.password_length = (uint8_t)strlen(password);
    size = fwr_rmcp_responder_storage(&config);
    enemy->responder_storage = malloc(size);
    return fwr_rmcp_responder_init(&enemy->responder, enemy->responder_storage, size, &config);
}

int main(int argc, char **argv)
{
    static struct enemy enemy;
    unsigned port = 0, elsewhere;
    int result;

    for (size_t i = 0; argc >= 8 && i < sizeof(modes) / sizeof(modes[0]); i++) {
        if (strcmp(argv[7], modes[i].name) == 0)
            enemy.mode = &modes[i];
    }
    if (enemy.mode == NULL) {
        fprintf(stderr, "usage: %s ADDRESS TRUST ENVELOPE RAW OTHER-RAW PASSWORD MODE [NUMBER]\n",
                argv[0]);
        return 2;
    }
    enemy.number = enemy.seed = argc > 8 ? (unsigned)atoi(argv[8]) : 1;
    if (make_donor(&enemy, argv) != FWR_OK || make_responder(&enemy, argv[6]) != FWR_OK)
        return 2;
    while (fwr_donor_step(enemy.oem.donor, udp_now()) == FWR_PENDING)
        continue;
    enemy.socket = udp_bind(argv[1], &port);
    enemy.elsewhere = udp_bind(argv[1], &elsewhere);
    printf("%u\n", port);
    fflush(stdout);
    result = enemy.socket < 0 || enemy.elsewhere < 0 ? 2 : serve(&enemy);
    printf("%u\n", enemy.attacks);
    fwr_rmcp_responder_end(enemy.responder);
    fwr_donor_end(enemy.oem.donor);
    free(enemy.responder_storage);
    free(enemy.donor_storage);
    free(enemy.other);
    return result;
}
