/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapter to OpenIPMI over a connection that is a fake: what it hands to OpenIPMI, what it
 * makes of the answers, and that nothing is left behind. (tests/e2e/openipmi_adapter runs it
 * over a real one.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <OpenIPMI/ipmi_conn.h>
#include <OpenIPMI/ipmi_posix.h>
#include <OpenIPMI/ipmiif.h>
#include <OpenIPMI/os_handler.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>
#include <fwrecover/openipmi.h>

enum { IANA = 0x01d97e, SENT_MAX = 32 };

/* ---- the recipient ---- */

struct fwr_recipient {
    unsigned responses, changes;
    uint8_t peer, command;
    int error, reach;
    uint8_t data[512];
    size_t length;
    struct fwr_link_limits limits;
};

void fwr_recipient_response(struct fwr_recipient *recipient, uint64_t now, uint8_t peer,
                            uint8_t command, int error, const uint8_t *data, size_t length)
{
    assert_int_equal(now, 4711);
    recipient->responses++;
    recipient->peer = peer;
    recipient->command = command;
    recipient->error = error;
    recipient->length = length;
    if (length > 0)
        memcpy(recipient->data, data, length);
}

void fwr_recipient_peer(struct fwr_recipient *recipient, uint64_t now, uint8_t peer, int error,
                        const struct fwr_link_limits *limits)
{
    assert_int_equal(now, 4711);
    assert_int_equal(peer, 3);
    recipient->changes++;
    recipient->reach = error;
    recipient->limits = *limits;
}

/* The dispatcher knows them, the adapter does not. */
int fwr_recipient_request(struct fwr_recipient *recipient, uint64_t now,
                          const struct fwr_caller *caller, uint8_t command, const uint8_t *data,
                          size_t length, uint8_t *reply, size_t capacity)
{
    (void)recipient, (void)now, (void)caller, (void)command, (void)data, (void)length;
    (void)reply, (void)capacity;
    fail();
    return 0;
}

bool fwr_recipient_next_send(struct fwr_recipient *recipient, uint64_t now,
                             struct fwr_outgoing *message)
{
    (void)recipient, (void)now, (void)message;
    fail();
    return false;
}

void fwr_recipient_unsent(struct fwr_recipient *recipient, uint64_t now,
                          const struct fwr_outgoing *message, int error)
{
    (void)recipient, (void)now, (void)message, (void)error;
    fail();
}

/* ---- the connection ---- */

struct connection {
    ipmi_con_t con;
    int refuse; /* errno of the next send */
    unsigned sent;
    struct {
        ipmi_msgi_t *item;
        ipmi_ll_rsp_handler_t handler;
        uint8_t netfn, cmd, data[256];
        size_t length;
    } messages[SENT_MAX];
    ipmi_ll_con_changed_cb changed;
    void *changed_ctx;
    int refuse_handler;
};

static int fake_send(ipmi_con_t *con, const ipmi_addr_t *addr, unsigned int addr_len,
                     const ipmi_msg_t *message, ipmi_ll_rsp_handler_t handler, ipmi_msgi_t *item)
{
    struct connection *c = con->con_data;

    assert_int_equal(addr->addr_type, IPMI_SYSTEM_INTERFACE_ADDR_TYPE);
    assert_int_equal(addr->channel, IPMI_BMC_CHANNEL);
    assert_int_equal(addr_len, sizeof(ipmi_system_interface_addr_t));
    if (c->refuse != 0)
        return c->refuse;
    assert_true(c->sent < SENT_MAX && message->data_len <= 256);
    c->messages[c->sent].item = item;
    c->messages[c->sent].handler = handler;
    c->messages[c->sent].netfn = message->netfn;
    c->messages[c->sent].cmd = message->cmd;
    c->messages[c->sent].length = message->data_len;
    memcpy(c->messages[c->sent].data, message->data, message->data_len);
    c->sent++;
    return 0;
}

static int fake_add(ipmi_con_t *con, ipmi_ll_con_changed_cb handler, void *ctx)
{
    struct connection *c = con->con_data;

    if (c->refuse_handler != 0)
        return c->refuse_handler;
    c->changed = handler;
    c->changed_ctx = ctx;
    return 0;
}

static int fake_remove(ipmi_con_t *con, ipmi_ll_con_changed_cb handler, void *ctx)
{
    struct connection *c = con->con_data;

    assert_true(c->changed == handler && c->changed_ctx == ctx);
    c->changed = NULL;
    return 0;
}

/* OpenIPMI's side of a reply: hands the item over and frees it if it is let go of. */
static void answer(struct connection *c, unsigned number, const uint8_t *data, size_t length)
{
    ipmi_msgi_t *item = c->messages[number].item;

    assert_non_null(item);
    c->messages[number].item = NULL;
    item->msg.data = item->data;
    item->msg.data_len = (unsigned short)length;
    if (length <= sizeof(item->data))
        memcpy(item->data, data, length);
    assert_int_equal(c->messages[number].handler(&c->con, item), IPMI_MSG_ITEM_NOT_USED);
    ipmi_free_msg_item(item);
}

struct fixture {
    struct connection connection;
    struct fwr_recipient recipient;
    struct fwr_oem oem;
    struct fwr_openipmi adapter;
    unsigned received;
};

static uint64_t now(void *ctx)
{
    (void)ctx;
    return 4711;
}

static void received(void *ctx)
{
    ((struct fixture *)ctx)->received++;
}

static void fixture_init(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->connection.con.con_data = &f->connection;
    f->connection.con.send_command = fake_send;
    f->connection.con.add_con_change_handler = fake_add;
    f->connection.con.remove_con_change_handler = fake_remove;
    f->oem.size = sizeof(f->oem);
    f->oem.iana = IANA;
    f->oem.command_base = 0xd0;
    f->adapter.size = sizeof(f->adapter);
    f->adapter.con = &f->connection.con;
    f->adapter.oem = &f->oem;
    f->adapter.recipient = &f->recipient;
    f->adapter.peer = 3;
    f->adapter.medium = FWR_MEDIUM_WLAN;
    f->adapter.ctx = f;
    f->adapter.now = now;
    f->adapter.received = received;
}

static void fixture_up(struct fixture *f)
{
    fixture_init(f);
    assert_int_equal(fwr_openipmi_open(&f->adapter), FWR_OK);
    f->connection.changed(&f->connection.con, 0, 0, 1, f->connection.changed_ctx);
}

static int say(struct fixture *f, uint8_t cookie)
{
    const uint8_t data[3] = {cookie, 1, 2};

    return f->adapter.link.send(f->adapter.link.ctx, 0, FWR_CMD_READ_TREE, data, sizeof(data));
}

/* ---- tests ---- */

static void test_message_and_reply(void **state)
{
    const uint8_t asked[] = {IANA & 0xff, IANA >> 8 & 0xff, IANA >> 16, 0x55, 1, 2};
    const uint8_t reply[] = {0, IANA & 0xff, IANA >> 8 & 0xff, IANA >> 16, 0x55, 9};
    struct fixture f;

    (void)state;
    fixture_up(&f);
    assert_int_equal(say(&f, 0x55), FWR_OK);
    assert_int_equal(f.connection.messages[0].netfn, 0x2e);
    assert_int_equal(f.connection.messages[0].cmd, 0xd0 + FWR_CMD_READ_TREE);
    assert_int_equal(f.connection.messages[0].length, sizeof(asked));
    assert_memory_equal(f.connection.messages[0].data, asked, sizeof(asked));
    answer(&f.connection, 0, reply, sizeof(reply));
    assert_int_equal(f.recipient.responses, 1);
    assert_int_equal(f.recipient.peer, 3);
    assert_int_equal(f.recipient.command, FWR_CMD_READ_TREE);
    assert_int_equal(f.recipient.error, FWR_OK);
    assert_int_equal(f.recipient.length, 2);
    assert_memory_equal(f.recipient.data, reply + 4, 2);
    assert_int_equal(f.received, 2); /* the connection came up, and this */
    fwr_openipmi_close(&f.adapter);
}

/* Whatever a refusal leaves out, the engine gets the cookie of the request it belongs to. */
static void test_refusals(void **state)
{
    static const struct {
        uint8_t reply[5];
        size_t length;
        int error;
    } cases[] = {
        {{0xc1}, 1, FWR_E_UNKNOWN_COMMAND},
        {{0xc3}, 1, FWR_E_TIMEOUT}, /* OpenIPMI gave up */
        {{0xc0, IANA & 0xff, IANA >> 8 & 0xff, IANA >> 16, 0x01}, 5, FWR_E_BUSY},
        {{0}, 0, FWR_E_PEER},
    };
    struct fixture f;

    (void)state;
    fixture_up(&f);
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(say(&f, (uint8_t)(0x60 + i)), FWR_OK);
        answer(&f.connection, i, cases[i].reply, cases[i].length);
        assert_int_equal(f.recipient.responses, i + 1);
        assert_int_equal(f.recipient.error, cases[i].error);
        assert_int_equal(f.recipient.length, 1);
        assert_int_equal(f.recipient.data[0], 0x60 + i);
    }
    fwr_openipmi_close(&f.adapter);
}

/* A reply longer than OpenIPMI's field has done its harm there; here it is not even looked at. */
static void test_oversized(void **state)
{
    uint8_t reply[256] = {0, IANA & 0xff, IANA >> 8 & 0xff, IANA >> 16, 0x55};
    struct fixture f;

    (void)state;
    fixture_up(&f);
    assert_int_equal(say(&f, 0x55), FWR_OK);
    answer(&f.connection, 0, reply, 256);
    assert_int_equal(f.recipient.error, FWR_OK);
    assert_int_equal(f.recipient.length, 252);
    assert_int_equal(say(&f, 0x56), FWR_OK);
    answer(&f.connection, 1, reply, 257);
    assert_int_equal(f.recipient.error, FWR_E_PEER);
    assert_int_equal(f.recipient.length, 1);
    fwr_openipmi_close(&f.adapter);
}

static void test_window(void **state)
{
    const uint8_t reply[] = {0xc0};
    struct fixture f;

    (void)state;
    fixture_init(&f);
    f.adapter.window = 3;
    assert_int_equal(fwr_openipmi_open(&f.adapter), FWR_OK);
    assert_int_equal(say(&f, 0), FWR_E_SESSION_CLOSED);
    f.connection.changed(&f.connection.con, 0, 0, 1, f.connection.changed_ctx);
    for (uint8_t i = 0; i < 3; i++)
        assert_int_equal(say(&f, i), FWR_OK);
    assert_int_equal(say(&f, 3), FWR_E_BUSY);
    answer(&f.connection, 1, reply, 1);
    assert_int_equal(f.recipient.data[0], 1);
    assert_int_equal(say(&f, 3), FWR_OK);
    assert_int_equal(say(&f, 4), FWR_E_BUSY);
    answer(&f.connection, 3, reply, 1);
    assert_int_equal(f.recipient.data[0], 3);
    answer(&f.connection, 0, reply, 1);
    assert_int_equal(f.recipient.data[0], 0);
    answer(&f.connection, 2, reply, 1);
    assert_int_equal(f.recipient.data[0], 2);
    fwr_openipmi_close(&f.adapter);
}

static void test_changes(void **state)
{
    struct fixture f;

    (void)state;
    fixture_up(&f);
    assert_int_equal(f.recipient.changes, 1);
    assert_int_equal(f.recipient.reach, FWR_OK);
    assert_int_equal(f.recipient.limits.max_reply, FWR_OPENIPMI_REPLY_MAX);
    assert_int_equal(f.recipient.limits.max_request, FWR_OPENIPMI_REQUEST_MAX);
    assert_int_equal(f.recipient.limits.window, 8);
    assert_int_equal(f.recipient.limits.medium, FWR_MEDIUM_WLAN);
    /* One of two ports fails: the connection is still there. */
    f.connection.changed(&f.connection.con, 5, 1, 1, f.connection.changed_ctx);
    assert_int_equal(f.recipient.reach, FWR_OK);
    assert_int_equal(say(&f, 1), FWR_OK);
    f.connection.changed(&f.connection.con, 5, 0, 0, f.connection.changed_ctx);
    assert_int_equal(f.recipient.reach, FWR_E_SESSION_CLOSED);
    assert_int_equal(say(&f, 2), FWR_E_SESSION_CLOSED);
    answer(&f.connection, 0, (const uint8_t *)"\xc3", 1);
    assert_int_equal(f.recipient.error, FWR_E_TIMEOUT);
    fwr_openipmi_close(&f.adapter);
}

/* OpenIPMI takes nothing: the engine is told, the place is free again. */
static void test_send_fails(void **state)
{
    struct fixture f;
    uint8_t data[FWR_OPENIPMI_REQUEST_MAX + 1] = {0};

    (void)state;
    fixture_init(&f);
    f.adapter.window = 1;
    f.adapter.up = true; /* was up before the adapter came */
    assert_int_equal(fwr_openipmi_open(&f.adapter), FWR_OK);
    f.connection.refuse = 22;
    assert_int_equal(say(&f, 1), FWR_E_SESSION_CLOSED);
    f.connection.refuse = 0;
    assert_int_equal(f.adapter.link.send(&f.adapter, 0, 0, data, sizeof(data)), FWR_E_ARGUMENT);
    assert_int_equal(f.adapter.link.send(&f.adapter, 0, 0, data, 0), FWR_E_ARGUMENT);
    assert_int_equal(f.adapter.link.send(&f.adapter, 0, 0, data, sizeof(data) - 1), FWR_OK);
    answer(&f.connection, 0, (const uint8_t *)"\xc1", 1);
    fwr_openipmi_close(&f.adapter);
}

/* Replies that come after the adapter is gone touch nothing. */
static void test_close_with_requests_out(void **state)
{
    const uint8_t reply[] = {0, IANA & 0xff, IANA >> 8 & 0xff, IANA >> 16, 0x55};
    struct fixture f;

    (void)state;
    fixture_up(&f);
    assert_int_equal(say(&f, 0x55), FWR_OK);
    assert_int_equal(say(&f, 0x56), FWR_OK);
    fwr_openipmi_close(&f.adapter);
    assert_null(f.connection.changed);
    memset(&f.adapter, 0xdb, sizeof(f.adapter));
    answer(&f.connection, 0, reply, sizeof(reply));
    answer(&f.connection, 1, reply, sizeof(reply));
    assert_int_equal(f.recipient.responses, 0);
    assert_int_equal(f.received, 1);
}

static void test_open(void **state)
{
    struct fixture f;

    (void)state;
#define REFUSED(member, value)                                                                     \
    do {                                                                                           \
        fixture_init(&f);                                                                          \
        f.adapter.member = value;                                                                  \
        assert_int_equal(fwr_openipmi_open(&f.adapter), FWR_E_ARGUMENT);                           \
        assert_null(f.connection.changed);                                                         \
    } while (0)
    REFUSED(size, sizeof(f.adapter) - 1);
    REFUSED(con, NULL);
    REFUSED(oem, NULL);
    REFUSED(recipient, NULL);
    REFUSED(now, NULL);
    REFUSED(window, FWR_OPENIPMI_WINDOW_MAX + 1);
    REFUSED(max_reply, FWR_LINK_MIN_REPLY - 1);
    REFUSED(max_reply, FWR_OPENIPMI_REPLY_MAX + 1);
#undef REFUSED
    fixture_init(&f);
    f.connection.refuse_handler = 12;
    assert_int_equal(fwr_openipmi_open(&f.adapter), FWR_E_MEMORY);
    f.connection.refuse_handler = 0;
    f.adapter.received = NULL; /* nobody has to listen */
    assert_int_equal(fwr_openipmi_open(&f.adapter), FWR_OK);
    f.connection.changed(&f.connection.con, 0, 0, 1, f.connection.changed_ctx);
    assert_int_equal(say(&f, 1), FWR_OK);
    answer(&f.connection, 0, (const uint8_t *)"\xc1", 1);
    assert_int_equal(f.recipient.responses, 1);
    fwr_openipmi_close(&f.adapter);
}

/* OpenIPMI allocates its items through an OS handler. */
static int openipmi_begin(void **state)
{
    *state = ipmi_posix_setup_os_handler();
    return *state == NULL || ipmi_init(*state) != 0;
}

static int openipmi_end(void **state)
{
    os_handler_t *os = *state;

    ipmi_shutdown();
    os->free_os_handler(os);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_message_and_reply),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_oversized),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_send_fails),
        cmocka_unit_test(test_close_with_requests_out),
        cmocka_unit_test(test_open),
    };

    return cmocka_run_group_tests(tests, openipmi_begin, openipmi_end);
}
