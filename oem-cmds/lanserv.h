/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adapter to OpenIPMI's lanserv, the BMC inside ipmi_sim: our messages go to the dispatcher
 * and the answers back, whatever their size. Called by the ipmi_sim module.
 *
 * lanserv's own way for OEM commands answers through a 36-byte buffer, so the adapter takes the
 * place of sys_data_t.csmi_send, which every channel gets a copy of, and answers from a buffer
 * of its own. Only messages that another controller bridges over IPMB come the stock way.
 */
#ifndef FWR_OEM_CMDS_LANSERV_H
#define FWR_OEM_CMDS_LANSERV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <OpenIPMI/lanserv.h>

#include <fwrecover/oem.h>

/* Reply data that lanserv carries without harm: over RMCP+, over LAN 1.5, and through its own
 * buffer. */
#define FWR_LANSERV_REPLY_RMCPP 960
#define FWR_LANSERV_REPLY_LAN15 244
#define FWR_LANSERV_REPLY_STOCK 31
/* Request data that reaches it: longer datagrams are dropped. */
#define FWR_LANSERV_REQUEST 197
/* Requests kept back while the engine is busy with what they ask for, and how long at most. */
#define FWR_LANSERV_DEFERRED 32
#define FWR_LANSERV_DEFER_MS 20

/* Random bytes drawn from lanserv's source at a time. */
#define FWR_LANSERV_RANDOM 512

/* A request that waits for its answer. */
struct fwr_lanserv_deferred {
    channel_t *channel;
    msg_t *message; /* NULL: free */
    uint64_t until; /* then it is answered, with "busy" if need be */
};

/* Numbers of roads (struct fwr_caller) from here on are not lanserv's channels. */
#define FWR_LANSERV_LINKS IPMI_MAX_CHANNELS

struct fwr_lanserv;

/* One message that came over a road lanserv knows nothing of: a serial line, a bridge. */
struct fwr_lanserv_message {
    struct fwr_caller caller; /* who asks; `link` from FWR_LANSERV_LINKS on */
    uint8_t target;           /* IPMB address of the controller asked; the BMC is 20h */
    uint8_t netfn;            /* a request's: even, at most 3Eh */
    uint8_t lun;
    uint8_t command;
    const uint8_t *data; /* copied */
    size_t length;       /* at most IPMI_SIM_MAX_MSG_LENGTH */

    /* The reply, from the completion code on: exactly once, during fwr_lanserv_inject or later
     * from the simulator's loop, for which `ctx` must live. It must not inject. */
    void (*reply)(void *ctx, uint32_t token, const uint8_t *reply, size_t length);
    void *ctx;
    uint32_t token; /* the asker's own number for this request */
};

/* A channel of the BMC; sessions are told apart by channel and session id. */
struct fwr_lanserv_road {
    struct fwr_lanserv *adapter;
    uint16_t number;
};

/* The caller's; filled in before attaching and kept as long as the simulator runs. */
struct fwr_lanserv {
    const struct fwr_oem *oem;
    bool allow_lan15; /* IPMI 1.5 sessions, and RMCP+ ones that are not on suite 3 */
    bool allow_ipmb;  /* bridged messages, as USER: IPMB knows no sessions */
    void *ctx;

    uint64_t (*now)(void *ctx);
    /* A message of ours was answered: engines may have something to do. */
    void (*served)(void *ctx);
    /* Sees every other message to the BMC before lanserv does. When it returns true it has
     * answered, with ipmi_handle_smi_rsp. */
    bool (*other)(void *ctx, channel_t *channel, msg_t *message);

    /* The adapter's own. */
    sys_data_t *sys;
    int (*stock_send)(channel_t *channel, msg_t *message);
    channel_t own; /* what injected messages come from */
    struct fwr_lanserv_road roads[IPMI_MAX_CHANNELS];
    struct fwr_lanserv_deferred deferred[FWR_LANSERV_DEFERRED];
    uint8_t reply[FWR_OEM_HEADER + FWR_LANSERV_REPLY_RMCPP];
    int (*stock_random)(lanserv_data_t *lan, void *data, int size);
    size_t random_left;
    uint8_t random[FWR_LANSERV_RANDOM];
};

/* From ipmi_sim_module_init, before the channels exist. lanserv gives its callbacks no context,
 * so there is one adapter in a process: FWR_E_STATE for a second one. FWR_E_BUSY: the IANA number
 * is somebody else's already. FWR_E_MEMORY. */
int fwr_lanserv_attach(struct fwr_lanserv *adapter, sys_data_t *sys);

/* From ipmi_sim_module_post_init, when the channels exist. Lets the privileges of the command
 * table count on every channel, where lanserv would ask for ADMIN; and draws lanserv's random
 * bytes in batches, where it would open /dev/urandom for the IV of every packet. */
void fwr_lanserv_permit(struct fwr_lanserv *adapter);

/* Who sent a message: from lanserv's session. For `other`. */
struct fwr_caller fwr_lanserv_caller(const struct fwr_lanserv *adapter, const channel_t *channel,
                                     const msg_t *message);

/* Hands a message to the BMC's own handlers: ours by the dispatcher, with all the room that
 * caller.max_reply gives; `other`; lanserv's for the rest, if its table of privileges lets this
 * caller ask that (D4h otherwise). FWR_OK: `reply` has been or will be called; FWR_E_ARGUMENT:
 * no request; FWR_E_LENGTH; FWR_E_NOT_FOUND: no controller at that address; FWR_E_MEMORY. */
int fwr_lanserv_inject(struct fwr_lanserv *adapter, const struct fwr_lanserv_message *message);

/* After the engines did some work: answers what was kept back, as far as that is possible now. */
void fwr_lanserv_again(struct fwr_lanserv *adapter);

/* Whether the asker of a message could still be answered: his session has not ended. */
bool fwr_lanserv_waits(const struct fwr_lanserv *adapter, channel_t *channel, const msg_t *message);

/* The late answer to a message that `other` has taken, from the completion code on; dropped when
 * nobody waits for it any more. */
void fwr_lanserv_answer(const struct fwr_lanserv *adapter, channel_t *channel, msg_t *message,
                        uint8_t *reply, size_t length);

/* When fwr_lanserv_again has to be called at the latest; FWR_NEVER when nothing waits. */
uint64_t fwr_lanserv_next_timeout(const struct fwr_lanserv *adapter);

#endif
