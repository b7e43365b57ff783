/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A road over a connection that the program already has with OpenIPMI (ipmi_con_t), for stacks
 * built on that library. In a library of its own, libfwrecover-openipmi (pkg-config
 * fwrecover-openipmi), so that libfwrecover does not depend on OpenIPMI.
 *
 * NOT for donors that are not trusted with the process itself: OpenIPMI up to 2.0.33 copies a
 * reply of any length into a field of 256 bytes, before anybody else sees it. This adapter never
 * asks for more than fits, but a hostile peer may send more than was asked for and overwrite
 * memory. Nothing above OpenIPMI can prevent that; <fwrecover/rmcp.h> does not have the fault.
 * OpenIPMI has no cipher suite better than 3 either.
 *
 * OpenIPMI calls back from its own loop. With an OS handler that runs threads, all calls here
 * and into the recipient have to be serialised by the program.
 */
#ifndef FWRECOVER_OPENIPMI_H
#define FWRECOVER_OPENIPMI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/link.h>
#include <fwrecover/oem.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ipmi_con_s;      /* OpenIPMI's ipmi_con_t */
struct ipmi_msg_item_s; /* OpenIPMI's ipmi_msgi_t */

/* The longest reply data that fits OpenIPMI's field, and request data that ipmi_sim takes. */
#define FWR_OPENIPMI_REPLY_MAX   252
#define FWR_OPENIPMI_REQUEST_MAX 192
#define FWR_OPENIPMI_WINDOW_MAX  15

/* A request that OpenIPMI has taken. */
struct fwr_openipmi_request {
    struct ipmi_msg_item_s *item; /* NULL: free */
    uint8_t command;
    uint8_t cookie;
};

/* The caller's, zeroed and filled in before fwr_openipmi_open, kept until after
 * fwr_openipmi_close. Zero means the default in brackets. */
struct fwr_openipmi {
    size_t size;                     /* sizeof(struct fwr_openipmi) */
    struct ipmi_con_s *con;          /* the program's; started and closed by it */
    const struct fwr_oem *oem;       /* IANA number and command codes */
    struct fwr_recipient *recipient; /* who gets the replies */
    uint8_t peer;                    /* the recipient's number for this donor */
    uint8_t medium;                  /* enum fwr_medium */
    uint8_t window;                  /* requests given to OpenIPMI at once [8] */
    bool up;                         /* the connection is up already */
    uint16_t max_reply;              /* [FWR_OPENIPMI_REPLY_MAX], and never more */
    uint32_t round_trip_ms;          /* estimate to start with */
    void *ctx;
    uint64_t (*now)(void *ctx);  /* the recipient's clock */
    void (*received)(void *ctx); /* a reply or a change of the connection has been handed to
                                    the recipient: pump and step it. May be NULL */

    struct fwr_link link; /* set by open: for fwr_oem_pump */

    /* The adapter's own. */
    struct fwr_openipmi_request outstanding[FWR_OPENIPMI_WINDOW_MAX];
};

/* Sets up `link` and follows the connection going up and down, telling the recipient. The
 * connection's event loop may run before or after. FWR_OK; FWR_E_ARGUMENT; FWR_E_MEMORY. */
int fwr_openipmi_open(struct fwr_openipmi *adapter);

/* Lets go of the connection: replies that still come are dropped. Before the connection is
 * closed; not from inside `received`. */
void fwr_openipmi_close(struct fwr_openipmi *adapter);

#ifdef __cplusplus
}
#endif

#endif
