/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk in memory under the directory store, for tests that cut its power. The linker sends
 * the store's system calls here (disk_ldflags in module.mk); those on other files go on to the
 * system. Every call that reads or makes something durable asks the hook, as the flash and the
 * store in memory do. Being memory, it forks with the test.
 */
#ifndef FWR_TEST_DISK_H
#define FWR_TEST_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/fault.h>
#include <fwrecover/store-dir.h>

/* Formats the disk and opens a store on its only directory. Of the hook's events, `offset` is
 * the kind of the record (0: of none). False when the system refuses the folder that opening
 * needs for a moment. */
bool disk_open(struct fwr_store_dir *store, struct fwr_fault_hook hook);

/* Power again. What was not synced is there in part, as the seed says: of a file some bytes,
 * of the directory's changes the first few. */
void disk_power_on(struct fwr_store_dir *store, uint64_t seed);

/* The record as the store would read it, asking no hook; with `older` the copy that it would
 * fall back to. Its length, or -1 when no such copy is whole. */
long disk_record(enum fwr_store_kind kind, uint8_t slot, bool older, uint8_t *buffer,
                 size_t capacity);

/* Fills every copy of a record with rubbish; false when there is none. */
bool disk_spoil(enum fwr_store_kind kind, uint8_t slot);

/* Marginal files decay now. */
void disk_age(void);

#endif
