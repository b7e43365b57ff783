/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directory store: what is read back after a write was cut at every byte, after any bit
 * was lost, from a newer version, and from a directory that cannot be trusted.
 */
#include "config.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <cmocka.h>

#include <fwrecover/error.h>
#include <fwrecover/store-dir.h>

#include "scratch.h"
#include "wire/crc32.h"

enum { HEADER = 28, LARGE = 70000 };

static struct fwr_store_dir dir;
static const struct fwr_store *store = &dir.store;
static uint8_t buffer[LARGE];
static uint8_t large[LARGE];

static int fresh(void **state)
{
    scratch_empty(state);
    chmod(scratch_dir, 0700);
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (uint8_t)(i * 17 + i / 253);
    return fwr_store_dir_open(&dir, scratch_dir);
}

static int closed(void **state)
{
    (void)state;
    fwr_store_dir_close(&dir);
    fwr_store_dir_close(&dir);
    return 0;
}

static int put(const char *text)
{
    return store->write(store->ctx, FWR_STORE_JOURNAL, 0, text, strlen(text));
}

/* The journal's record as text, or the name of the error. */
static const char *get(void)
{
    static char text[64];
    size_t length = 0;
    int rc = store->read(store->ctx, FWR_STORE_JOURNAL, 0, text, sizeof(text) - 1, &length);

    if (rc != FWR_OK)
        return fwr_error_name(rc);
    text[length] = '\0';
    return text;
}

static int drop(void)
{
    return store->remove(store->ctx, FWR_STORE_JOURNAL, 0);
}

static void reopen(void)
{
    fwr_store_dir_close(&dir);
    assert_int_equal(fwr_store_dir_open(&dir, scratch_dir), FWR_OK);
}

static void keeps_every_record_apart(void **state)
{
    static const uint8_t slots[] = {0, 1, 255};
    uint8_t record[2];
    size_t length;

    (void)state;
    for (int kind = FWR_STORE_JOURNAL; kind <= FWR_STORE_DONORS; kind++) {
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(store->read(store->ctx, (enum fwr_store_kind)kind, slots[i], buffer,
                                         LARGE, &length),
                             FWR_E_NOT_FOUND);
            record[0] = (uint8_t)kind;
            record[1] = slots[i];
            assert_int_equal(store->write(store->ctx, (enum fwr_store_kind)kind, slots[i], record,
                                          sizeof(record)),
                             FWR_OK);
        }
    }
    reopen();
    for (int kind = FWR_STORE_JOURNAL; kind <= FWR_STORE_DONORS; kind++) {
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(store->read(store->ctx, (enum fwr_store_kind)kind, slots[i], buffer,
                                         LARGE, &length),
                             FWR_OK);
            assert_int_equal(length, 2);
            assert_int_equal(buffer[0], kind);
            assert_int_equal(buffer[1], slots[i]);
        }
    }
}

static void the_last_write_is_read(void **state)
{
    char text[16];

    (void)state;
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof(text), "%.*d", 1 + i % 5, i);
        assert_int_equal(put(text), FWR_OK);
        assert_string_equal(get(), text);
        if (i % 3 == 0)
            reopen();
        assert_string_equal(get(), text);
    }
}

static void takes_any_length(void **state)
{
    static const size_t lengths[] = {0, 1, 1023, 1024, 1025, 4096, 65536, LARGE};
    size_t length;

    (void)state;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(store->write(store->ctx, FWR_STORE_GUARD, 3, large, lengths[i]), FWR_OK);
        memset(buffer, 0, LARGE);
        assert_int_equal(store->read(store->ctx, FWR_STORE_GUARD, 3, buffer, lengths[i], &length),
                         FWR_OK);
        assert_int_equal(length, lengths[i]);
        assert_memory_equal(buffer, large, length);
        if (lengths[i] > 0)
            assert_int_equal(
                store->read(store->ctx, FWR_STORE_GUARD, 3, buffer, lengths[i] - 1, &length),
                FWR_E_NO_SPACE);
    }
#if SIZE_MAX > UINT32_MAX
    assert_int_equal(store->write(store->ctx, FWR_STORE_GUARD, 3, large, (size_t)UINT32_MAX),
                     FWR_E_ARGUMENT);
    assert_int_equal(store->write(store->ctx, FWR_STORE_GUARD, 3, large, (size_t)1 << 32),
                     FWR_E_ARGUMENT);
#endif
}

static void unknown_kinds_are_refused(void **state)
{
    size_t length;

    (void)state;
    assert_int_equal(store->read(store->ctx, (enum fwr_store_kind)0, 0, buffer, 1, &length),
                     FWR_E_ARGUMENT);
    assert_int_equal(
        store->write(store->ctx, (enum fwr_store_kind)(FWR_STORE_DONORS + 1), 0, buffer, 1),
        FWR_E_ARGUMENT);
    assert_int_equal(store->remove(store->ctx, (enum fwr_store_kind)99, 0), FWR_E_ARGUMENT);
}

static void remove_forgets_all(void **state)
{
    (void)state;
    assert_int_equal(drop(), FWR_OK);
    for (int writes = 1; writes <= 4; writes++) {
        for (int i = 0; i < writes; i++)
            assert_int_equal(put("something"), FWR_OK);
        assert_int_equal(drop(), FWR_OK);
        assert_string_equal(get(), "not-found");
        assert_int_equal(access(scratch_path("journal-0.a"), F_OK), -1);
        assert_int_equal(access(scratch_path("journal-0.b"), F_OK), -1);
    }
}

static void files_are_private(void **state)
{
    struct stat status;

    (void)state;
    assert_int_equal(put("one"), FWR_OK);
    assert_int_equal(put("two"), FWR_OK);
    assert_int_equal(stat(scratch_path("journal-0.a"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(stat(scratch_path("journal-0.b"), &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    assert_int_equal(access(scratch_path("journal-0.tmp"), F_OK), -1);
}

/* The bytes on the medium, so that a change of format is never an accident. */
static void the_format_is_the_written_one(void **state)
{
    static const uint8_t expected[] = {'F', 'W', 'R', 'S', 1, 0, 0xfe, 0xff, 5, 2, 0, 0,
                                       3,   0,   0,   0,   1, 0, 0,    0,    0, 0, 0, 0};
    uint8_t whole[27];
    uint32_t crc;

    (void)state;
    assert_int_equal(store->write(store->ctx, FWR_STORE_FLOORS, 2, "abc", 3), FWR_OK);
    assert_int_equal(scratch_read(scratch_path("floors-2.a"), buffer, LARGE), HEADER + 3);
    assert_memory_equal(buffer, expected, sizeof(expected));
    assert_memory_equal(buffer + HEADER, "abc", 3);
    memcpy(whole, expected, 24);
    memcpy(whole + 24, "abc", 3);
    crc = fwr_crc32(0, whole, 27);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(buffer[24 + i], crc >> 8 * i & 0xff);
}

/* A write in place, cut after every byte, the rest still as before: old or new, and the store
 * goes on from either. */
static void a_write_cut_anywhere_leaves_old_or_new(void **state)
{
    static const char *const thirds[] = {"3", "third", "third, and by far the longest of them"};
    uint8_t before[128], after[128], torn[128];

    for (size_t i = 0; i < 3; i++) {
        long old_length, new_length;
        int seen_new = 0;

        closed(state);
        fresh(state);
        assert_int_equal(put("first record"), FWR_OK);
        assert_int_equal(put("second"), FWR_OK);
        memset(before, 0, sizeof(before));
        old_length = scratch_read(scratch_path("journal-0.a"), before, sizeof(before));
        assert_int_equal(put(thirds[i]), FWR_OK);
        new_length = scratch_read(scratch_path("journal-0.a"), after, sizeof(after));
        assert_true(new_length >= old_length);

        for (long cut = 0; cut <= new_length; cut++) {
            memcpy(torn, before, sizeof(before));
            memcpy(torn, after, (size_t)cut);
            scratch_write(scratch_path("journal-0.a"), torn,
                          (size_t)(cut > old_length ? cut : old_length));
            reopen();
            if (memcmp(torn, after, (size_t)new_length) == 0) {
                assert_string_equal(get(), thirds[i]);
                seen_new++;
            } else {
                assert_string_equal(get(), "second");
            }
            if (cut % 7 == 0) {
                uint8_t newer[128];
                long length = scratch_read(scratch_path("journal-0.b"), newer, sizeof(newer));

                assert_int_equal(put("fourth"), FWR_OK);
                assert_string_equal(get(), "fourth");
                scratch_write(scratch_path("journal-0.b"), newer, (size_t)length);
            }
        }
        assert_true(seen_new >= 1);
    }
}

/* The other order: the tail arrived, the head did not. */
static void pages_may_arrive_in_any_order(void **state)
{
    static uint8_t before[3 * 4096], after[3 * 4096], torn[3 * 4096];
    const size_t length = sizeof(before) - HEADER;
    size_t got;

    (void)state;
    assert_int_equal(store->write(store->ctx, FWR_STORE_GUARD, 0, large, length), FWR_OK);
    assert_int_equal(store->write(store->ctx, FWR_STORE_GUARD, 0, large + 1, length), FWR_OK);
    scratch_read(scratch_path("guard-0.a"), before, sizeof(before));
    assert_int_equal(store->write(store->ctx, FWR_STORE_GUARD, 0, large + 2, length), FWR_OK);
    scratch_read(scratch_path("guard-0.a"), after, sizeof(after));
    for (unsigned pages = 0; pages < 8; pages++) {
        memcpy(torn, before, sizeof(before));
        for (unsigned i = 0; i < 3; i++)
            if (pages >> i & 1)
                memcpy(torn + 4096 * i, after + 4096 * i, 4096);
        scratch_write(scratch_path("guard-0.a"), torn, sizeof(torn));
        assert_int_equal(store->read(store->ctx, FWR_STORE_GUARD, 0, buffer, LARGE, &got), FWR_OK);
        assert_memory_equal(buffer, large + (pages == 7 ? 2 : 1), length);
    }
}

static void a_first_write_cut_is_no_record(void **state)
{
    uint8_t whole[64];
    long length;

    (void)state;
    assert_int_equal(put("first"), FWR_OK);
    length = scratch_read(scratch_path("journal-0.a"), whole, sizeof(whole));
    assert_int_equal(drop(), FWR_OK);
    for (long cut = 0; cut <= length; cut++) {
        scratch_write(scratch_path("journal-0.tmp"), whole, (size_t)cut);
        reopen();
        assert_string_equal(get(), "not-found");
    }
    assert_int_equal(put("again"), FWR_OK);
    assert_string_equal(get(), "again");
    assert_int_equal(access(scratch_path("journal-0.tmp"), F_OK), -1);
    scratch_write(scratch_path("journal-0.tmp"), whole, 5);
    assert_int_equal(put("second"), FWR_OK);
    assert_string_equal(get(), "second");
    scratch_write(scratch_path("journal-0.tmp"), whole, 5);
    assert_int_equal(drop(), FWR_OK);
    assert_int_equal(access(scratch_path("journal-0.tmp"), F_OK), -1);
}

/* Every single bit of the newer copy: the older one comes back. Then of both: damage. */
static void any_lost_bit_is_noticed(void **state)
{
    uint8_t older[64], newer[64];
    long older_length, newer_length;

    (void)state;
    assert_int_equal(put("old"), FWR_OK);
    assert_int_equal(put("new"), FWR_OK);
    older_length = scratch_read(scratch_path("journal-0.a"), older, sizeof(older));
    newer_length = scratch_read(scratch_path("journal-0.b"), newer, sizeof(newer));
    for (long bit = 0; bit < 8 * newer_length; bit++) {
        newer[bit / 8] ^= (uint8_t)(1u << bit % 8);
        scratch_write(scratch_path("journal-0.b"), newer, (size_t)newer_length);
        assert_string_equal(get(), "old");
        older[bit / 8] ^= (uint8_t)(1u << bit % 8);
        scratch_write(scratch_path("journal-0.a"), older, (size_t)older_length);
        assert_string_equal(get(), "store-corrupt");
        older[bit / 8] ^= (uint8_t)(1u << bit % 8);
        newer[bit / 8] ^= (uint8_t)(1u << bit % 8);
        scratch_write(scratch_path("journal-0.a"), older, (size_t)older_length);
    }
    scratch_write(scratch_path("journal-0.b"), newer, (size_t)newer_length);
    assert_string_equal(get(), "new");
}

static void a_damaged_record_can_be_written_again(void **state)
{
    (void)state;
    assert_int_equal(put("old"), FWR_OK);
    assert_int_equal(put("new"), FWR_OK);
    assert_int_equal(truncate(scratch_path("journal-0.a"), HEADER - 1), 0);
    assert_int_equal(truncate(scratch_path("journal-0.b"), HEADER + 2), 0);
    assert_string_equal(get(), "store-corrupt");
    assert_int_equal(put("fresh"), FWR_OK);
    assert_string_equal(get(), "fresh");
    /* A remnant with a high counter must be gone for good. */
    assert_int_equal(access(scratch_path("journal-0.b"), F_OK), -1);
    assert_int_equal(truncate(scratch_path("journal-0.a"), 0), 0);
    assert_string_equal(get(), "store-corrupt");
    assert_int_equal(drop(), FWR_OK);
    assert_string_equal(get(), "not-found");
}

static void the_counter_decides_and_not_the_name(void **state)
{
    uint8_t one[64], two[64];
    long length;

    (void)state;
    assert_int_equal(put("one"), FWR_OK);
    assert_int_equal(put("two"), FWR_OK);
    length = scratch_read(scratch_path("journal-0.a"), one, sizeof(one));
    scratch_read(scratch_path("journal-0.b"), two, sizeof(two));
    scratch_write(scratch_path("journal-0.a"), two, (size_t)length);
    scratch_write(scratch_path("journal-0.b"), one, (size_t)length);
    assert_string_equal(get(), "two");
    assert_int_equal(put("3rd"), FWR_OK);
    assert_string_equal(get(), "3rd");
    scratch_read(scratch_path("journal-0.a"), one, sizeof(one));
    assert_memory_equal(one, two, (size_t)length);
}

static void a_record_elsewhere_is_no_record(void **state)
{
    uint8_t bytes[64];
    long length;
    size_t got;

    (void)state;
    assert_int_equal(put("mine"), FWR_OK);
    length = scratch_read(scratch_path("journal-0.a"), bytes, sizeof(bytes));
    scratch_write(scratch_path("journal-1.a"), bytes, (size_t)length);
    scratch_write(scratch_path("floors-0.a"), bytes, (size_t)length);
    assert_int_equal(store->read(store->ctx, FWR_STORE_JOURNAL, 1, buffer, 64, &got),
                     FWR_E_STORE_CORRUPT);
    assert_int_equal(store->read(store->ctx, FWR_STORE_FLOORS, 0, buffer, 64, &got),
                     FWR_E_STORE_CORRUPT);
}

/* The software was set back: whichever copy is of a newer format, nothing is guessed or lost. */
static void a_newer_format_is_left_alone(void **state)
{
    static const uint8_t future[9] = {'F', 'W', 'R', 'S', 2, 0, 0xfd, 0xff, '!'};
    static const char *const names[] = {"journal-0.a", "journal-0.b"};
    uint8_t before[2][64], after[64];
    long lengths[2];

    for (size_t newer = 0; newer < 2; newer++) {
        closed(state);
        fresh(state);
        assert_int_equal(put("one"), FWR_OK);
        assert_int_equal(put("two"), FWR_OK);
        scratch_write(scratch_path(names[newer]), future, sizeof(future));
        for (size_t i = 0; i < 2; i++)
            lengths[i] = scratch_read(scratch_path(names[i]), before[i], 64);
        assert_string_equal(get(), "store-version");
        assert_int_equal(put("three"), FWR_E_STORE_VERSION);
        assert_int_equal(drop(), FWR_E_STORE_VERSION);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(scratch_read(scratch_path(names[i]), after, 64), lengths[i]);
            assert_memory_equal(after, before[i], (size_t)lengths[i]);
        }
    }
    /* Version 0 never was, and half a prefix is damage. */
    scratch_write(scratch_path(names[1]), "FWRS\0\0\xff\xff", 8);
    assert_string_equal(get(), "one");
    scratch_write(scratch_path(names[1]), future, 7);
    assert_string_equal(get(), "one");
}

static void cut_between_the_two_unlinks_keeps_the_newer(void **state)
{
    (void)state;
    assert_int_equal(put("one"), FWR_OK);
    assert_int_equal(put("two"), FWR_OK);
    assert_int_equal(put("three"), FWR_OK);
    /* What dir_remove does first. */
    assert_int_equal(unlink(scratch_path("journal-0.b")), 0);
    reopen();
    assert_string_equal(get(), "three");
    assert_int_equal(drop(), FWR_OK);
    assert_string_equal(get(), "not-found");
}

static int try_open(const char *path)
{
    struct fwr_store_dir other;
    int rc = fwr_store_dir_open(&other, path);

    if (rc == FWR_OK)
        fwr_store_dir_close(&other);
    else
        assert_int_equal(other.fd, -1);
    return rc;
}

static void only_a_directory_of_ours_is_opened(void **state)
{
    char longest[5000];
    char slashes[600];

    (void)state;
    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_int_equal(fwr_store_dir_open(NULL, "/"), FWR_E_ARGUMENT);
    assert_int_equal(try_open(NULL), FWR_E_ARGUMENT);
    assert_int_equal(try_open(""), FWR_E_ARGUMENT);
    assert_int_equal(try_open(longest), FWR_E_ARGUMENT);
    assert_int_equal(try_open(scratch_path("missing")), FWR_E_NOT_FOUND);
    scratch_write(scratch_path("file"), "x", 1);
    assert_int_equal(try_open(scratch_path("file")), FWR_E_CONFIG);

    assert_int_equal(mkdir(scratch_path("real"), 0700), 0);
    assert_int_equal(try_open(scratch_path("real")), FWR_OK);
    assert_int_equal(symlink("real", scratch_path("link")), 0);
    assert_int_equal(try_open(scratch_path("link")), FWR_E_PERMISSIONS);
    assert_int_equal(try_open(scratch_path("link//")), FWR_E_PERMISSIONS);
    snprintf(slashes, sizeof(slashes), "%s///", scratch_path("real"));
    assert_int_equal(try_open(slashes), FWR_OK);
    assert_int_equal(chmod(scratch_path("real"), 0770), 0);
    assert_int_equal(try_open(scratch_path("real")), FWR_E_PERMISSIONS);
    assert_int_equal(chmod(scratch_path("real"), 0702), 0);
    assert_int_equal(try_open(scratch_path("real")), FWR_E_PERMISSIONS);
    assert_int_equal(chmod(scratch_path("real"), 0755), 0);
    assert_int_equal(try_open(scratch_path("real")), FWR_OK);
    if (geteuid() == 0) {
        assert_int_equal(chown(scratch_path("real"), 65534, 65534), 0);
        assert_int_equal(try_open(scratch_path("real")), FWR_E_PERMISSIONS);
    }
}

static void a_second_opener_is_refused(void **state)
{
    (void)state;
    assert_int_equal(try_open(scratch_dir), FWR_E_BUSY);
    fwr_store_dir_close(&dir);
    assert_int_equal(try_open(scratch_dir), FWR_OK);
}

static void a_closed_store_answers(void **state)
{
    (void)state;
    assert_int_equal(put("x"), FWR_OK);
    fwr_store_dir_close(&dir);
    assert_string_equal(get(), "store-io");
    assert_int_equal(put("y"), FWR_E_STORE_IO);
    assert_int_equal(drop(), FWR_E_STORE_IO);
}

/* Links and pipes in a record's place are damage: not followed, not waited for. */
static void strange_files_are_damage(void **state)
{
    char outside[16] = {0};

    (void)state;
    scratch_write(scratch_path("outside"), "do not touch", 12);
    assert_int_equal(symlink("outside", scratch_path("journal-0.a")), 0);
    assert_string_equal(get(), "store-corrupt");
    assert_int_equal(mkfifo(scratch_path("journal-0.b"), 0600), 0);
    assert_string_equal(get(), "store-corrupt");
    assert_int_equal(put("whole"), FWR_OK);
    assert_string_equal(get(), "whole");
    assert_int_equal(symlink("outside", scratch_path("journal-0.tmp")), 0);
    assert_int_equal(put("again"), FWR_OK);
    assert_string_equal(get(), "again");
    assert_int_equal(scratch_read(scratch_path("outside"), outside, 16), 12);
    assert_string_equal(outside, "do not touch");
}

static void set_limit(rlim_t bytes)
{
    struct rlimit limit;

    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* A write that fails half-way, as a creation and in place: the old record stays, and the next
 * write never goes over the only whole copy. */
static void a_failed_write_keeps_the_old_record(void **state)
{
    (void)state;
    for (int writes = 1; writes <= 3; writes++) {
        for (int i = 0; i < writes; i++)
            assert_int_equal(put("kept"), FWR_OK);
        set_limit(HEADER + 10);
        assert_int_equal(put("much longer than ten bytes"), FWR_E_STORE_FULL);
        assert_string_equal(get(), "kept");
        assert_int_equal(put("also much longer than that"), FWR_E_STORE_FULL);
        assert_string_equal(get(), "kept");
        assert_int_equal(put("short"), FWR_OK);
        assert_string_equal(get(), "short");
        set_limit(RLIM_INFINITY);
        assert_int_equal(put("much longer than ten bytes"), FWR_OK);
        assert_string_equal(get(), "much longer than ten bytes");
        assert_int_equal(drop(), FWR_OK);
    }
}

static void a_directory_without_write_permission_is_read_only(void **state)
{
    uid_t user = geteuid();

    (void)state;
    assert_int_equal(put("kept"), FWR_OK);
    fwr_store_dir_close(&dir);
    assert_int_equal(chmod(scratch_path("journal-0.a"), 0444), 0);
    assert_int_equal(chmod(scratch_dir, 0555), 0);
    if (user == 0)
        assert_int_equal(seteuid(65534), 0);
    assert_int_equal(fwr_store_dir_open(&dir, scratch_dir), FWR_OK);
    assert_string_equal(get(), "kept");
    assert_int_equal(put("lost"), FWR_E_STORE_READ_ONLY);
    assert_int_equal(drop(), FWR_E_STORE_READ_ONLY);
    assert_string_equal(get(), "kept");
    assert_int_equal(seteuid(user), 0);
    assert_int_equal(chmod(scratch_dir, 0700), 0);
}

#define DIR_TEST(f) cmocka_unit_test_setup_teardown(f, fresh, closed)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(keeps_every_record_apart),
        DIR_TEST(the_last_write_is_read),
        DIR_TEST(takes_any_length),
        DIR_TEST(unknown_kinds_are_refused),
        DIR_TEST(remove_forgets_all),
        DIR_TEST(files_are_private),
        DIR_TEST(the_format_is_the_written_one),
        DIR_TEST(a_write_cut_anywhere_leaves_old_or_new),
        DIR_TEST(pages_may_arrive_in_any_order),
        DIR_TEST(a_first_write_cut_is_no_record),
        DIR_TEST(any_lost_bit_is_noticed),
        DIR_TEST(a_damaged_record_can_be_written_again),
        DIR_TEST(the_counter_decides_and_not_the_name),
        DIR_TEST(a_record_elsewhere_is_no_record),
        DIR_TEST(a_newer_format_is_left_alone),
        DIR_TEST(cut_between_the_two_unlinks_keeps_the_newer),
        DIR_TEST(only_a_directory_of_ours_is_opened),
        DIR_TEST(a_second_opener_is_refused),
        DIR_TEST(a_closed_store_answers),
        DIR_TEST(strange_files_are_damage),
        DIR_TEST(a_failed_write_keeps_the_old_record),
        DIR_TEST(a_directory_without_write_permission_is_read_only),
    };

    if (argc > 1) /* only what matches */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, scratch_make, scratch_remove);
}
