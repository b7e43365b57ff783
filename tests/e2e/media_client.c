/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operation on a directory store or a flash file, for tests/e2e/media, which prepares the
 * file systems. Prints the error's name, and for `get` what was read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fwrecover/error.h>
#include <fwrecover/flash-file.h>
#include <fwrecover/store-dir.h>

static uint8_t record[65536];

static void make_record(size_t length, unsigned seed)
{
    for (size_t i = 0; i < length; i++)
        record[i] = (uint8_t)(seed + i * 13);
}

static int put(const struct fwr_store *store, size_t length, unsigned seed)
{
    make_record(length, seed);
    return store->write(store->ctx, FWR_STORE_GUARD, 0, record, length);
}

/* "ok LENGTH SEED" of a record that `put` made, "mixed" of any other. */
static void get(const struct fwr_store *store)
{
    static uint8_t found[sizeof(record)];
    size_t length = 0;
    int rc = store->read(store->ctx, FWR_STORE_GUARD, 0, found, sizeof(found), &length);

    if (rc != FWR_OK) {
        printf("%s\n", fwr_error_name(rc));
        return;
    }
    make_record(length, length > 0 ? found[0] : 0);
    if (memcmp(found, record, length) != 0)
        printf("mixed\n");
    else
        printf("ok %zu %u\n", length, record[0]);
}

/* Writes 1, 2, 3… and says each number once it is written, until it is killed. */
static int churn(const struct fwr_store *store)
{
    for (unsigned number = 1; number < 250; number++) {
        int rc = put(store, 3000 + number * 40, number);

        if (rc != FWR_OK)
            return rc;
        printf("%u\n", number);
        fflush(stdout);
    }
    return FWR_OK;
}

static int use_store(const char *path, const char *verb, const char *length, const char *seed)
{
    struct fwr_store_dir dir;
    int rc = fwr_store_dir_open(&dir, path);

    if (rc != FWR_OK)
        return rc;
    if (strcmp(verb, "get") == 0)
        get(&dir.store);
    else if (strcmp(verb, "drop") == 0)
        rc = dir.store.remove(dir.store.ctx, FWR_STORE_GUARD, 0);
    else if (strcmp(verb, "churn") == 0)
        rc = churn(&dir.store);
    else
        rc = put(&dir.store, strtoul(length, NULL, 10), (unsigned)strtoul(seed, NULL, 10));
    fwr_store_dir_close(&dir);
    return rc;
}

static int use_flash(const char *path, const char *verb)
{
    struct fwr_flash_file file;
    int rc = fwr_flash_file_open(&file, path, NULL, strcmp(verb, "read") == 0);
    uint32_t size;

    if (rc != FWR_OK)
        return rc;
    size = file.flash.geometry.size < sizeof(record) ? file.flash.geometry.size : sizeof(record);
    if (strcmp(verb, "erase") == 0)
        rc = file.flash.erase(file.flash.ctx, 0, size);
    else if (strcmp(verb, "program") == 0)
        rc = file.flash.program(file.flash.ctx, 0, record, size);
    else
        rc = file.flash.read(file.flash.ctx, 0, record, size);
    if (rc == FWR_OK)
        rc = file.flash.sync(file.flash.ctx);
    fwr_flash_file_close(&file);
    return rc;
}

int main(int argc, char **argv)
{
    int rc;

    if (argc < 4 || (strcmp(argv[3], "put") == 0 && argc < 6)) {
        fprintf(stderr, "usage: media_client store DIR put LENGTH SEED|get|drop|churn\n"
                        "       media_client flash FILE erase|program|read\n");
        return 2;
    }
    if (strcmp(argv[1], "store") == 0)
        rc = use_store(argv[2], argv[3], argc > 5 ? argv[4] : "", argc > 5 ? argv[5] : "");
    else
        rc = use_flash(argv[2], argv[3]);
    if (rc != FWR_OK || strcmp(argv[3], "get") != 0)
        printf("%s\n", fwr_error_name(rc));
    return rc == FWR_OK ? 0 : 1;
}
