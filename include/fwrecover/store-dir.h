/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory as a store: each record is two files that are written in turn, so that the older
 * one is whole whatever happens to the newer. For Linux, or any POSIX system with flock.
 */
#ifndef FWRECOVER_STORE_DIR_H
#define FWRECOVER_STORE_DIR_H

#include <stdbool.h>

#include <fwrecover/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Owned by the caller and, while open, not to be moved. Hand out `&dir.store`. */
struct fwr_store_dir {
    struct fwr_store store;
    /* The backend's own. */
    int fd;      /* the directory, locked */
    bool broken; /* a write failed and could not be taken back: no more writing */
};

/* Opens an existing directory; creating it (mode 0700) is the caller's, because an empty store
 * that appears by itself would have forgotten the floors.
 *
 * The directory is locked against a second opener until close. A read-only file system is no
 * error here: records can be read, writing answers FWR_E_STORE_READ_ONLY. A full one answers
 * FWR_E_STORE_FULL and the old record stays. Records are files of mode 0600, named as
 * "journal-0.a"; they hold no secrets but what they say is trusted, so:
 *
 * FWR_E_PERMISSIONS: `path` is a symbolic link, or others than its owner may write to it, or
 * its owner is neither this user nor root. FWR_E_ARGUMENT: a NULL, or a path too long;
 * FWR_E_NOT_FOUND: no such directory; FWR_E_CONFIG: not a directory; FWR_E_ACCESS: the system
 * forbids it; FWR_E_BUSY: another process has it; FWR_E_IO. After an error there is nothing to
 * close. */
int fwr_store_dir_open(struct fwr_store_dir *dir, const char *path);

/* Gives up the lock. Closing twice is harmless. */
void fwr_store_dir_close(struct fwr_store_dir *dir);

#ifdef __cplusplus
}
#endif

#endif
