/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Joins ptys to one multi-drop bus, in real time, a multiple of it, or as fast as they write: the
 * program fwrecover_icmb_bus, see icmb-bus.h and fwrecover_icmb_bus(1).
 */
// NOLINTNEXTLINE(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): glibc reads it
#define _GNU_SOURCE /* ppoll */
#include "ipmi-sim/icmb-bus.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <fwrecover/version.h>

#include "tools/number.h"

#define LOOK_MS 20 /* how soon the opening of a pty is noticed while nothing else happens */

static volatile sig_atomic_t told_to_end;
static struct bus bus;

static const char help[] =
    "usage: fwrecover_icmb_bus --nodes N [OPTION]...\n"
    "Joins N ptys to one half-duplex bus on which every node hears every character, its own too.\n"
    "  --link DIR        links DIR/node0, DIR/node1, ... to the ptys\n"
    "  --baud RATE       bits in a second [19200]; a character has 10\n"
    "  --speed TIMES     how often as fast as real time [1], or \"virtual\": without waiting\n"
    "  --seed NUMBER     of the noise [1]\n"
    "  --noise C[,S[,X]] chances in a million: a character wrong for all, for one receiver only,\n"
    "                    or coming from nowhere\n"
    "  --cut LIST[@T]    the nodes listed are cut off from the others, after T seconds\n"
    "  --heal T          the wire is whole again\n"
    "  --stuck LIST[@T]  they drive the bus for ever\n"
    "  --babble LIST[@T] they send without end\n"
    "  --free LIST@T     they stop that\n"
    "  --json            statistics as one line of JSON\n"
    "  --help, --version\n"
    "Orders on standard input: cut LIST, heal, noise C[,S[,X]], stuck LIST, babble LIST, free "
    "LIST,\n"
    "stats, quit. Each is answered by \"ok\" or, on standard error, by what is wrong with it.\n";

static void on_signal(int number)
{
    (void)number;
    told_to_end = 1;
}

/* ---- options ---- */

static bool usage(const char *option, const char *what)
{
    fprintf(stderr, "fwrecover_icmb_bus: --%s: %s; see --help\n", option, what);
    return false;
}

/* Seconds with up to six decimals. */
static bool seconds(const char *text, uint64_t *us)
{
    char *end;
    double value;

    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    value = strtod(text, &end);
    if (*end != 0 || errno != 0 || !(value < 1e9))
        return false;
    *us = (uint64_t)(value * 1e6 + 0.5);
    return true;
}

/* "LIST@T" or "T" after --heal: an order for later. It is checked when the nodes are known. */
static bool plan(const char *name, const char *value)
{
    char text[BUS_ORDER_TEXT];
    const char *at = strrchr(value, '@');
    uint64_t at_us = 0;
    bool heal = strcmp(name, "heal") == 0;
    int length = (int)(at != NULL ? (size_t)(at - value) : strlen(value));

    if (heal ? !seconds(value, &at_us) : at != NULL && !seconds(at + 1, &at_us))
        return usage(name, "a time is a number of seconds");
    if (heal)
        snprintf(text, sizeof(text), "heal");
    else if (snprintf(text, sizeof(text), "%s %.*s", name, length, value) >= (int)sizeof(text))
        return usage(name, "too long");
    return bus_order_later(&bus, at_us, text);
}

static bool take_number(const char *name, const char *value, uint64_t min, uint64_t max,
                        uint64_t *number)
{
    if (tool_number(value, max, number) && *number >= min)
        return true;
    fprintf(stderr, "fwrecover_icmb_bus: --%s: a number from %llu to %llu is wanted, not \"%s\"\n",
            name, (unsigned long long)min, (unsigned long long)max, value);
    return false;
}

static bool take_speed(const char *value)
{
    char *end;

    if (strcmp(value, "virtual") == 0)
        return bus.virtual_time = true;
    bus.speed = strtod(value, &end);
    if (value[0] >= '0' && value[0] <= '9' && *end == 0 && bus.speed >= 0.001 && bus.speed <= 10000)
        return true;
    return usage("speed", "a number from 0.001 to 10000 is wanted, or \"virtual\"");
}

static bool take_option(const char *name, const char *value)
{
    uint64_t number = 0;
    bool ok = true;

    if (strcmp(name, "nodes") == 0) {
        ok = take_number(name, value, 1, BUS_NODES_MAX, &number);
        bus.nodes = (uint16_t)number;
    } else if (strcmp(name, "baud") == 0) {
        ok = take_number(name, value, 50, 4000000, &number);
        bus.config.baud = (uint32_t)number;
    } else if (strcmp(name, "seed") == 0) {
        ok = take_number(name, value, 0, UINT64_MAX, &bus.config.seed);
    } else if (strcmp(name, "speed") == 0) {
        ok = take_speed(value);
    } else if (strcmp(name, "link") == 0) {
        bus.link = value;
    } else if (strcmp(name, "json") == 0) {
        bus.json = true;
    } else {
        ok = plan(name, value);
    }
    return ok;
}

/* False: return *status. */
static bool options(int argc, char **argv, int *status)
{
    static const struct option table[] = {
        {"nodes", required_argument, NULL, 0},
        {"link", required_argument, NULL, 0},
        {"baud", required_argument, NULL, 0},
        {"speed", required_argument, NULL, 0},
        {"seed", required_argument, NULL, 0},
        {"noise", required_argument, NULL, 0},
        {"cut", required_argument, NULL, 0},
        {"heal", required_argument, NULL, 0},
        {"stuck", required_argument, NULL, 0},
        {"babble", required_argument, NULL, 0},
        {"free", required_argument, NULL, 0},
        {"json", no_argument, NULL, 0},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {NULL, 0, NULL, 0},
    };
    int which, index = 0;

    *status = BUS_USAGE;
    bus.config.baud = WIRE_BAUD;
    bus.config.seed = 1;
    bus.speed = 1;
    while ((which = getopt_long(argc, argv, "", table, &index)) != -1) {
        if (which == 'h' || which == 'v') {
            fputs(which == 'h' ? help : "fwrecover_icmb_bus " FWR_VERSION "\n", stdout);
            *status = BUS_OK;
            return false;
        }
        if (which != 0 || !take_option(table[index].name, optarg))
            return false;
    }
    if (optind < argc)
        return usage(argv[optind], "not an option");
    if (bus.nodes == 0)
        return usage("nodes", "how many?");
    for (size_t i = 0; i < bus.order_count; i++)
        if (!bus_order_check(&bus, bus.orders[i].text))
            return false;
    return true;
}

/* ---- time ---- */

static double monotonic(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The wire's time, were it as late as it is. */
static uint64_t clock_us(void)
{
    return (uint64_t)((monotonic() - bus.started) * bus.speed * 1e6);
}

/* Seconds until the wire's time is `at_us`; the deadline counts from the start, so that nothing
 * adds up. */
static double until(uint64_t at_us)
{
    double left = bus.started + ((double)at_us / 1e6) / bus.speed - monotonic();

    return left > 0 ? left : 0;
}

/* ---- the loop ---- */

static void note_lateness(uint64_t due_us)
{
    double late = monotonic() - bus.started - ((double)due_us / 1e6) / bus.speed;

    if (!bus.virtual_time && late * 1e6 > (double)bus.latest_us)
        bus.latest_us = (uint64_t)(late * 1e6);
}

static void deliver(uint64_t until_us)
{
    struct wire_heard h;

    while (wire_hear(&bus.wire, until_us, &h)) {
        if (h.node < bus.nodes) {
            bus_port_heard(&bus, &h);
            continue;
        }
        bus_listen(&bus, &h);
        note_lateness(h.at_us);
    }
}

/* Everything until now: orders and characters in the order of their time. */
static void run_until(uint64_t now_us)
{
    while (bus.order_count > 0 && bus.orders[0].at_us <= now_us) {
        struct bus_order order = bus.orders[0];
        memmove(&bus.orders[0], &bus.orders[1], --bus.order_count * sizeof(order));
        deliver(order.at_us);
        bus.now_us = order.at_us > bus.now_us ? order.at_us : bus.now_us;
        bus_order_obey(&bus, order.text);
    }
    deliver(now_us);
    bus.now_us = now_us;
    bus_ports_write(&bus);
}

static bool somebody_sends(void)
{
    for (uint16_t i = 0; i < bus.nodes; i++)
        if (!wire_is_idle(&bus.wire, i))
            return true;
    return false;
}

/* In virtual time the next character's; and no time passes while nobody sends. */
static uint64_t next_now(void)
{
    uint64_t next;

    if (!bus.virtual_time)
        return clock_us();
    next = somebody_sends() ? wire_next(&bus.wire) : WIRE_NEVER;
    return next == WIRE_NEVER || next < bus.now_us ? bus.now_us : next;
}

/* Waits for a pty, an order, or the next moment of the wire. */
static void wait_for_something(bool with_input, bool *input)
{
    struct pollfd fds[1 + BUS_NODES_MAX];
    nfds_t count = bus_ports_watch(&bus, fds + 1);
    uint64_t next = wire_next(&bus.wire);
    double wait = bus_ports_missing(&bus) ? LOOK_MS / 1e3 : 60;
    struct timespec timeout;
    sigset_t none;

    fds[0] = (struct pollfd){.fd = with_input ? STDIN_FILENO : -1, .events = POLLIN};
    if (bus.virtual_time) {
        wait = somebody_sends() ? 0 : wait;
    } else {
        if (bus.order_count > 0 && bus.orders[0].at_us < next)
            next = bus.orders[0].at_us;
        if (next != WIRE_NEVER && until(next) < wait)
            wait = until(next);
    }
    timeout.tv_sec = (time_t)wait;
    timeout.tv_nsec = (long)((wait - (double)timeout.tv_sec) * 1e9);
    sigemptyset(&none);
    *input = ppoll(fds, 1 + count, &timeout, &none) > 0 && fds[0].revents != 0;
}

/* Orders, a line each. False when there will be no more. */
static bool take_input(void)
{
    static char line[BUS_ORDER_TEXT];
    static size_t length;
    char bytes[256];
    ssize_t got = read(STDIN_FILENO, bytes, sizeof(bytes));

    for (ssize_t i = 0; i < got; i++) {
        if (bytes[i] != '\n') {
            line[length] = bytes[i];
            length += length + 1 < sizeof(line);
            continue;
        }
        line[length] = 0;
        length = 0;
        if (line[0] != 0 && bus_order_obey(&bus, line))
            puts("ok");
        fflush(stdout);
        fflush(stderr);
    }
    return got > 0;
}

static void loop(void)
{
    bool with_input = true, input = false;

    while (!bus.quit && !told_to_end) {
        if (!bus.virtual_time)
            run_until(clock_us());
        bus_ports_read(&bus);
        run_until(next_now());
        if (input)
            with_input = take_input();
        input = false;
        if (!bus.quit)
            wait_for_something(with_input, &input);
    }
}

static bool prepare(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t ours;

    sigemptyset(&ours);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGTERM);
    sigprocmask(SIG_BLOCK, &ours, NULL); /* they come while it waits */
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    bus.config.nodes = (uint16_t)(bus.nodes + 1); /* the last one listens */
    if (!wire_init(&bus.wire, &bus.config)) {
        fprintf(stderr, "fwrecover_icmb_bus: no such wire\n");
        return false;
    }
    return bus_ports_open(&bus);
}

int main(int argc, char **argv)
{
    int status;

    if (!options(argc, argv, &status))
        return status;
    if (!prepare()) {
        bus_ports_close(&bus);
        return BUS_IO;
    }
    puts("ready");
    fflush(stdout);
    bus.started = monotonic();
    loop();
    bus_report(&bus, stdout);
    bus_ports_close(&bus);
    return ferror(stdout) ? BUS_IO : BUS_OK;
}
