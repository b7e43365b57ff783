/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any text as the configuration of the ipmi_sim module. What is refused has been complained of;
 * what is taken lies within the bounds that fwrecover_sim.conf(5) gives.
 */
#define _GNU_SOURCE /* memfd_create */
#include <sys/mman.h>
#include <unistd.h>

#include <fwrecover/recipient.h>

#include "ipmi-sim/config.h"
#include "tests/fuzz/fuzz.h"

static int file = -1, complaints = -1;
static char path[64];

static void check(const struct sim_config *c)
{
    require(c->recipient || c->donor);
    require(c->iana >= 1 && c->iana <= 0xffffff);
    require(c->flash_file != NULL && c->store != NULL);
    require(c->geometry.erase_size >= 512 &&
            (c->geometry.erase_size & (c->geometry.erase_size - 1)) == 0);
    require(c->geometry.program_size >= 1 && c->geometry.program_size <= c->geometry.erase_size);
    require(c->lanes <= FWR_LANES_MAX && c->batch <= 64 && c->guard <= FWR_GUARD_NEVER);
    require(c->donor_count <= SIM_DONORS_MAX && c->image_count <= SIM_IMAGES_MAX);
    require(c->preserve.count < FWR_REGIONS_MAX);
    for (uint16_t i = 0; i < c->preserve.count; i++) {
        const struct fwr_region *r = &c->preserve.regions[i];

        require(r->length > 0);
        require(i == 0 || r[-1].offset + r[-1].length <= r->offset);
    }
    for (uint8_t i = 0; i < c->donor_count; i++) {
        const struct sim_donor_config *d = &c->donors[i];

        require(d->name != NULL && d->host != NULL && strlen(d->user) <= FWR_RMCP_USER_MAX);
        require(d->suite == FWR_RMCP_SUITE_SHA1 || d->suite == FWR_RMCP_SUITE_SHA256);
        require(d->window >= 1 && d->window <= FWR_RMCP_WINDOW_MAX && d->port > 0);
        require(d->medium < FWR_MEDIUM_COUNT && d->password_length > 0);
    }
    for (uint8_t i = 0; i < c->image_count; i++)
        require(c->images[i].image != NULL && c->images[i].envelope != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sim_config config;
    const int standard_error = dup(2);
    bool taken;

    if (file < 0) {
        file = memfd_create("config", 0);
        complaints = memfd_create("complaints", 0);
        require(file >= 0 && complaints >= 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    }
    require(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    require(ftruncate(complaints, 0) == 0 && lseek(complaints, 0, SEEK_SET) == 0);
    if (getenv("FUZZ_VERBOSE") == NULL) /* for a look at one input */
        require(dup2(complaints, 2) == 2);
    taken = sim_config_read(&config, path);
    require(dup2(standard_error, 2) == 2);
    close(standard_error);
    if (taken)
        check(&config);
    else
        require(lseek(complaints, 0, SEEK_END) > 0);
    sim_config_free(&config);
    return 0;
}
