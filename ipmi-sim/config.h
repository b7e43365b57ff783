/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module's configuration file: what it may say is in fwrecover_sim.conf(5). Read once, at
 * start; anything unknown, impossible or unsafe is refused with file, line and reason.
 */
#ifndef FWR_IPMI_SIM_CONFIG_H
#define FWR_IPMI_SIM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/discover.h>
#include <fwrecover/donor.h>
#include <fwrecover/flash.h>
#include <fwrecover/manifest.h>
#include <fwrecover/policy.h>
#include <fwrecover/rfcomm.h>
#include <fwrecover/rmcp.h>

#define SIM_DONORS_MAX  32
#define SIM_PEERS_MAX   (SIM_DONORS_MAX + FWR_DISCOVER_SLOTS_MAX)
#define SIM_SERIALS_MAX 8
#define SIM_IMAGES_MAX  (FWR_DONOR_IMAGES_MAX - 1) /* besides the board's own flash */

/* A road to a donor. Passwords are read when the configuration is. */
struct sim_donor_config {
    char *name;
    char *device; /* a serial line; NULL: RMCP+ to `host` */
    uint32_t baud;
    uint8_t mode; /* enum fwr_serial_mode */
    bool bluetooth;
    struct fwr_rfcomm_address peer;
    char *host;
    char *interface; /* NULL: whichever leads there */
    char *user;
    uint16_t port;
    uint8_t suite;
    uint8_t medium; /* enum fwr_medium; FWR_MEDIUM_COUNT: what the interface is */
    uint16_t icmb;  /* address on the BMC's ICMB; then there is no host. 0: RMCP+ */
    uint8_t window;
    uint16_t max_reply;
    uint8_t password_length;
    uint8_t kg_length; /* 0: the donor has no K_g */
    uint8_t password[FWR_RMCP_PASSWORD_MAX];
    uint8_t kg[FWR_RMCP_KG_MAX];
};

/* A place on an ICMB. */
struct sim_icmb_config {
    char *device; /* NULL: none */
    uint32_t baud;
    uint32_t speed;   /* a simulated bus is so many times as fast */
    uint16_t address; /* 0: the one in the store, or a random one */
    uint16_t packet;
    bool broadcast_is_zero;
    uint8_t outstanding;
    uint8_t gap;
    uint8_t portion;
    uint8_t privilege; /* enum fwr_privilege of what comes from the bus */
    char *connector;   /* may be NULL */
};

/* A serial line at which the BMC answers. */
struct sim_serial_config {
    char *name;
    char *device;
    uint32_t baud;
    uint8_t mode;      /* enum fwr_serial_mode */
    uint8_t privilege; /* enum fwr_privilege, of whoever holds the other end */
    uint16_t message;  /* longest, see fwrecover/serial.h */
};

/* Where and how donors are searched for that are not configured. */
struct sim_discover_config {
    struct fwr_discover_interface interfaces[FWR_DISCOVER_INTERFACES_MAX];
    uint8_t interface_count; /* 0: there is no search */
    uint8_t max;
    uint16_t port;
    uint32_t interval_ms;
    struct sim_donor_config login; /* what the found are asked with; they have no name here */
};

/* An image in files, given away as it is. */
struct sim_image_config {
    char *image;
    char *envelope;
};

struct sim_config {
    bool recipient;
    bool donor;
    uint32_t iana;
    uint8_t command_base;
    char *log; /* NULL: standard error */

    struct fwr_board board;
    struct fwr_region_map preserve; /* the configured ranges only, in order */
    char *flash_file;
    struct fwr_flash_geometry geometry; /* size 0: that of the file */
    char *store;
    char *trust;     /* put into an empty store; may be NULL */
    char *installed; /* envelope of what the flash should hold, likewise */

    bool host_on;
    bool allow_lan15;
    bool allow_ipmb;
    uint32_t scan_interval; /* s, 0: never by itself */
    bool scan_at_start;
    bool repair_when_damaged;

    uint8_t lanes;
    uint8_t guard; /* enum fwr_guard_mode */
    uint8_t batch;
    uint8_t rounds;
    bool release_on_failure;
    uint32_t gather_ms;
    uint32_t min_rate;
    uint32_t backoff_ms;
    uint32_t start_jitter_ms;
    uint32_t boot_proof_ms;
    uint32_t log_size;
    uint32_t max_jump;
    struct fwr_policy_rules rules;

    uint8_t transfers;
    uint32_t bytes_per_second;
    uint8_t codecs; /* bit n: enum fwr_codec value n */

    struct sim_icmb_config icmb;

    uint8_t donor_count;
    struct sim_donor_config donors[SIM_DONORS_MAX];
    uint8_t serial_count;
    struct sim_serial_config serials[SIM_SERIALS_MAX];
    struct sim_discover_config discover;
    uint8_t image_count;
    struct sim_image_config images[SIM_IMAGES_MAX];
};

/* Reads the file at `path`; paths in it are relative to its folder. False after a complaint on
 * standard error; sim_config_free is due either way. */
bool sim_config_read(struct sim_config *config, const char *path);

/* Wipes the passwords and frees the strings. */
void sim_config_free(struct sim_config *config);

/* Reads a whole file of at most `capacity` bytes. FWR_OK with *length, an error as of
 * fwr_fileio_open, FWR_E_RANGE when it is longer. With `secret`, FWR_E_PERMISSIONS when others
 * than its owner may read or write it; without, when others may write it. */
int sim_file_read(const char *path, bool secret, void *buffer, size_t capacity, size_t *length);

#endif
