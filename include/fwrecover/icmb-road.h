/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A road to one peer over ICMB: the node at a remote address, which is the peer's BMC itself. It
 * makes a bridge (icmb.h) into a struct fwr_link; several roads share one bridge. There are no
 * sessions: the road is open when the peer has said what it takes (Get Capabilities), and down,
 * for a growing pause, when it does not answer.
 *
 * `now` is in milliseconds of the bridge's clock: now_us / 1000. After a call that may have sent
 * something the bridge has characters (fwr_icmb_bridge_next_send). Requests are sent once: whoever
 * wants an answer repeats them; a repetition of one that has not gone out yet is not sent twice.
 */
#ifndef FWRECOVER_ICMB_ROAD_H
#define FWRECOVER_ICMB_ROAD_H

#include <stddef.h>
#include <stdint.h>

#include <fwrecover/icmb.h>
#include <fwrecover/link.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fwr_icmb_road;

/* Const, and kept by the caller until fwr_icmb_road_end. No callback may end the road. */
struct fwr_icmb_road_config {
    size_t size; /* sizeof(struct fwr_icmb_road_config) */
    struct fwr_icmb_bridge *bridge;
    uint16_t address;     /* the peer's */
    uint8_t command_base; /* FWR_COMMAND_BASE */
    uint32_t iana;        /* 24 bits; put into replies, which have none on this road */
    void *ctx;

    /* An answer to `command` (enum fwr_command), from the completion code on, with the IANA
     * number. */
    void (*reply)(void *ctx, uint8_t command, const uint8_t *reply, size_t length);
    /* The road opened (FWR_OK, with its limits), is worth another try (FWR_OK, NULL), or went
     * down: pass it on to fwr_recipient_peer. */
    void (*state)(void *ctx, int error, const struct fwr_link_limits *limits);
};

/* What a road over this bridge carries before the peer was asked. */
void fwr_icmb_road_limits(const struct fwr_icmb_bridge *bridge, struct fwr_link_limits *limits);

/* Bytes of storage for one road, aligned as max_align_t. */
size_t fwr_icmb_road_storage(void);

/* Makes a road that is closed. FWR_OK, FWR_E_ARGUMENT, FWR_E_NO_SPACE. */
int fwr_icmb_road_init(struct fwr_icmb_road **road, void *storage, size_t size,
                       const struct fwr_icmb_road_config *config);

/* Before the bridge's end. NULL is allowed. */
void fwr_icmb_road_end(struct fwr_icmb_road *road);

/* For fwr_oem_pump. */
const struct fwr_link *fwr_icmb_road_link(const struct fwr_icmb_road *road);

/* As the link's send. FWR_E_BUSY also while the road is being opened, and as long as as many
 * requests as allowed are on the bus. */
int fwr_icmb_road_send(struct fwr_icmb_road *road, uint64_t now, uint8_t command,
                       const uint8_t *data, size_t length);

/* A road that is down is worth another try now, whatever is left of its pause. */
void fwr_icmb_road_retry(struct fwr_icmb_road *road);

/* When _timeout wants to be called (ms); FWR_NEVER. The bridge has time-outs of its own. */
uint64_t fwr_icmb_road_next_timeout(const struct fwr_icmb_road *road);
void fwr_icmb_road_timeout(struct fwr_icmb_road *road, uint64_t now);

#ifdef __cplusplus
}
#endif

#endif
