/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory store over a model of a disk: the power fails, or the disk does, at every single
 * call that makes something durable, and what was not yet durable is lost in part.
 *
 * The linker puts the functions below in the place of fdatasync, fsync, renameat and unlinkat.
 * Of a file whose fdatasync did not succeed, a power failure leaves rubbish; of the changes to the
 * directory since its last fsync, the first few (any number of them, in order) remain.
 */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/store-dir.h>

#include "scratch.h"

enum { CHANGES_MAX = 16, NEVER = 1000 };

/* One change to the directory that is not yet durable; `from` is NULL for an unlink. */
struct change {
    char from[32], to[32];
    char replaced[32]; /* where what was at `to` is kept, or empty */
};

static struct {
    int calls;   /* so far */
    int cut_at;  /* the power fails at this one… */
    bool done;   /* …after its effect */
    int fail_at; /* from this one on, `failures` calls answer EIO and the disk goes on */
    int failures;
    bool dead;
    bool torn[2]; /* whether copy a or b has bytes that are not durable */
    struct change changes[CHANGES_MAX];
    int change_count;
    int kept_count;
} disk;

int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __wrap_unlinkat(int dir, const char *name, int flags);
int __real_renameat(int from_dir, const char *from, int to_dir, const char *to);
int __real_unlinkat(int dir, const char *name, int flags);

/* Whether a call has its effect, and what it answers. */
static bool takes_effect(int *answer)
{
    bool effect = true;

    *answer = 0;
    if (disk.dead) {
        effect = false;
    } else {
        disk.calls++;
        if (disk.calls == disk.cut_at) {
            disk.dead = true;
            effect = disk.done;
        }
        if (disk.calls >= disk.fail_at && disk.calls < disk.fail_at + disk.failures)
            effect = false;
    }
    if (!effect || disk.dead) {
        *answer = -1;
        errno = EIO;
    }
    return effect;
}

/* Which copy a descriptor writes to: by the name it has now, or 2 for the temporary file. */
static int copy_of(int fd)
{
    struct stat mine, theirs;

    assert_int_equal(fstat(fd, &mine), 0);
    for (int i = 0; i < 2; i++) {
        if (stat(scratch_path(i == 0 ? "journal-0.a" : "journal-0.b"), &theirs) == 0 &&
            theirs.st_ino == mine.st_ino)
            return i;
    }
    return 2;
}

int __wrap_fdatasync(int fd)
{
    int answer;
    int copy = copy_of(fd);
    bool effect = takes_effect(&answer);

    /* The file was written whole just before: it is all durable now, or all in doubt. */
    if (copy < 2)
        disk.torn[copy] = !effect;
    return answer;
}

int __wrap_fsync(int fd)
{
    int answer;

    (void)fd;
    if (takes_effect(&answer)) {
        for (int i = 0; i < disk.change_count; i++) {
            if (disk.changes[i].replaced[0] != '\0')
                unlink(scratch_path(disk.changes[i].replaced));
        }
        disk.change_count = 0;
    }
    return answer;
}

/* Moves a file out of the way, remembering where it is. */
static void set_aside(int dir, const char *name, struct change *change)
{
    snprintf(change->replaced, sizeof(change->replaced), "kept-%d", disk.kept_count++);
    if (__real_renameat(dir, name, dir, change->replaced) != 0)
        change->replaced[0] = '\0';
}

static struct change *new_change(const char *from, const char *to)
{
    struct change *change = &disk.changes[disk.change_count++];

    assert_true(disk.change_count <= CHANGES_MAX);
    memset(change, 0, sizeof(*change));
    snprintf(change->from, sizeof(change->from), "%s", from);
    snprintf(change->to, sizeof(change->to), "%s", to);
    return change;
}

int __wrap_renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    int answer;

    if (takes_effect(&answer)) {
        struct change *change = new_change(from, to);

        set_aside(to_dir, to, change);
        assert_int_equal(__real_renameat(from_dir, from, to_dir, to), 0);
        disk.torn[strcmp(to, "journal-0.a") == 0 ? 0 : 1] = false;
    }
    return answer;
}

int __wrap_unlinkat(int dir, const char *name, int flags)
{
    int answer;

    if (faccessat(dir, name, F_OK, 0) != 0)
        return __real_unlinkat(dir, name, flags);
    if (takes_effect(&answer))
        set_aside(dir, name, new_change("", name));
    return answer;
}

static void undo(const struct change *change)
{
    if (change->from[0] != '\0')
        rename(scratch_path(change->to), scratch_path(change->from));
    if (change->replaced[0] != '\0')
        rename(scratch_path(change->replaced), scratch_path(change->to));
}

/* What the medium holds when the power comes back: `kept` of the directory's changes, and
 * rubbish in the middle of what was being written. */
static void power_on(int kept)
{
    for (int i = disk.change_count - 1; i >= kept; i--)
        undo(&disk.changes[i]);
    for (int copy = 0; copy < 2; copy++) {
        int fd = -1;

        if (disk.torn[copy])
            fd = open(scratch_path(copy == 0 ? "journal-0.a" : "journal-0.b"), O_WRONLY);
        if (fd >= 0) {
            assert_int_equal(pwrite(fd, "rubbish", 7, 20), 7);
            close(fd);
        }
    }
    disk.dead = false;
    disk.cut_at = NEVER;
    disk.fail_at = NEVER;
    disk.change_count = 0;
    memset(disk.torn, 0, sizeof(disk.torn));
}

static struct fwr_store_dir dir;
static const struct fwr_store *store = &dir.store;

/* A write of `text`, or a removal for NULL. */
static int apply(const char *text)
{
    if (!text)
        return store->remove(store->ctx, FWR_STORE_JOURNAL, 0);
    return store->write(store->ctx, FWR_STORE_JOURNAL, 0, text, strlen(text));
}

/* The record, NULL for none, or the name of the error. */
static const char *content(void)
{
    static char texts[2][64];
    static unsigned turn;
    char *text = texts[turn++ % 2];
    size_t length = 0;
    int rc = store->read(store->ctx, FWR_STORE_JOURNAL, 0, text, sizeof(texts[0]) - 1, &length);

    if (rc == FWR_E_NOT_FOUND)
        return NULL;
    if (rc != FWR_OK)
        return fwr_error_name(rc);
    text[length] = '\0';
    return text;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static void start(void)
{
    scratch_clear(scratch_dir);
    memset(&disk, 0, sizeof(disk));
    disk.cut_at = NEVER;
    disk.fail_at = NEVER;
    assert_int_equal(fwr_store_dir_open(&dir, scratch_dir), FWR_OK);
}

static void restart(int kept)
{
    fwr_store_dir_close(&dir);
    power_on(kept);
    assert_int_equal(fwr_store_dir_open(&dir, scratch_dir), FWR_OK);
}

/* Histories end in an operation under test; the ones before it are known to work. */
static const char *const histories[][6] = {
    {"first"},
    {"first", "second"},
    {"first", "second", "third and longest"},
    {"first", "second", "third", "4"},
    {"first", NULL},
    {"first", "second", NULL},
    {"first", "second", "third", NULL},
    {"first", "second", "third", NULL, "again"},
    {"first", "second", NULL, "again", "and again"},
};
static const int lengths[] = {1, 2, 3, 4, 2, 3, 4, 5, 5};

enum { HISTORIES = sizeof(lengths) / sizeof(lengths[0]) };

/* Plays all but the last operation and gives the record before it. */
static const char *play(int history)
{
    start();
    for (int i = 0; i < lengths[history] - 1; i++)
        assert_int_equal(apply(histories[history][i]), FWR_OK);
    disk.calls = 0;
    return lengths[history] > 1 ? histories[history][lengths[history] - 2] : NULL;
}

static void a_cut_anywhere_leaves_old_or_new(void **state)
{
    int cuts = 0, old_seen = 0, new_seen = 0;

    (void)state;
    for (int history = 0; history < HISTORIES; history++) {
        const char *new = histories[history][lengths[history] - 1];

        for (int at = 1; at < NEVER; at++) {
            bool reached = true;

            for (int variant = 0; reached && variant < 2 * 4; variant++) {
                const char *old = play(history);
                const char *found;

                disk.cut_at = at;
                disk.done = variant % 2 != 0;
                if (apply(new) == FWR_OK) {
                    assert_true(disk.calls < at);
                    reached = false;
                } else {
                    restart(variant / 2);
                    found = content();
                    if (!same(found, old) && !same(found, new))
                        fail_msg("history %d, cut at call %d, variant %d: found %s", history, at,
                                 variant, found ? found : "nothing");
                    old_seen += same(found, old);
                    new_seen += same(found, new);
                    cuts++;
                    assert_int_equal(apply("next"), FWR_OK);
                    assert_string_equal(content(), "next");
                }
                fwr_store_dir_close(&dir);
            }
            if (!reached)
                break;
        }
    }
    print_message("%d cuts: %d left the old record, %d the new\n", cuts, old_seen, new_seen);
    assert_true(old_seen > 50 && new_seen > 20);
}

/* What was answered with FWR_OK survives a power failure right after it. */
static void an_answered_operation_is_durable(void **state)
{
    (void)state;
    for (int history = 0; history < HISTORIES; history++) {
        const char *new = histories[history][lengths[history] - 1];

        for (int kept = 0; kept < 3; kept++) {
            play(history);
            assert_int_equal(apply(new), FWR_OK);
            restart(kept);
            assert_true(same(content(), new));
            fwr_store_dir_close(&dir);
        }
    }
}

/* One or two failures in the last operation of a history, one cut in the write after it.
 * Gives whether the cut came to pass, and in `failed` whether a failure did. */
static bool fail_then_cut(int history, int fail_at, int cut_at, int variant, bool *failed)
{
    const char *new = histories[history][lengths[history] - 1];
    const char *old = play(history);
    const char *found;
    bool cut;
    int rc;

    disk.fail_at = fail_at;
    disk.failures = 1 + variant / 2 % 2;
    rc = apply(new);
    *failed = disk.calls >= fail_at;
    disk.calls = 0;
    disk.fail_at = NEVER;
    disk.cut_at = cut_at;
    disk.done = variant % 2 != 0;
    if (apply("next") == FWR_OK)
        old = new = "next";
    cut = disk.calls >= cut_at;
    restart(variant / 4);
    found = content();
    if (!same(found, old) && !same(found, new) && !same(found, "next"))
        fail_msg("history %d, failure at call %d (%s), cut at call %d, variant %d: found %s",
                 history, fail_at, fwr_error_name(rc), cut_at, variant, found ? found : "nothing");
    assert_int_equal(apply("last"), FWR_OK);
    assert_string_equal(content(), "last");
    fwr_store_dir_close(&dir);
    return cut;
}

/* The disk fails one call and goes on; the operation after that is cut at any call. The failed
 * one may be there or not, but the record from before it is never lost to the next. */
static void a_failure_and_then_a_cut_lose_nothing(void **state)
{
    int pairs = 0;

    (void)state;
    for (int history = 0; history < HISTORIES; history++) {
        bool failed = true;

        for (int fail_at = 1; failed; fail_at++) {
            bool cut = true;

            for (int cut_at = 1; cut; cut_at++) {
                cut = false;
                for (int variant = 0; variant < 2 * 6; variant++, pairs++)
                    cut |= fail_then_cut(history, fail_at, cut_at, variant, &failed);
            }
        }
    }
    print_message("%d pairs of a failure and a cut\n", pairs);
    assert_true(pairs > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cut_anywhere_leaves_old_or_new),
        cmocka_unit_test(an_answered_operation_is_durable),
        cmocka_unit_test(a_failure_and_then_a_cut_lose_nothing),
    };

    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
