/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the rooms of the managed end share: responder (datagrams in, their kind decided), login
 * (handshakes) and active (sessions). Log-ins and active sessions have slots of their own, so a
 * flood of unfinished log-ins cannot take a session from anybody.
 */
#ifndef FWR_LINK_RMCP_RESPONDER_H
#define FWR_LINK_RMCP_RESPONDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <fwrecover/rmcp.h>

#include "crypto.h"
#include "packet.h"
#include "session.h"

enum login_stage {
    LOGIN_FREE,
    LOGIN_OPENED, /* Open Session answered */
    LOGIN_PROVEN, /* RAKP 1 answered: the user is known */
};

/* A handshake on its way. */
struct fwr_rmcp_login {
    uint8_t stage; /* enum login_stage */
    uint8_t privilege;
    uint8_t user;
    struct fwr_rmcp_peer peer;
    uint64_t began;
    uint64_t touched;
    struct fwr_rmcp_rakp rakp;
};

/* An active session, or room for one. */
struct fwr_rmcp_active {
    bool used;
    bool spoken;  /* a sealed packet has come: RAKP 4 has arrived */
    bool expired; /* ends at the next timeout, whatever comes until then */
    uint8_t user;
    uint8_t limit;     /* highest privilege */
    uint8_t privilege; /* now */
    uint64_t touched;
    struct fwr_rmcp_peer peer;
    struct fwr_rmcp_session session;
    struct fwr_rmcp_rakp34 rakp3; /* as it came, and our answer, in case that is lost */
    struct fwr_rmcp_rakp34 rakp4;
};

struct fwr_rmcp_responder {
    const struct fwr_rmcp_responder_config *config;
    struct fwr_rmcp_active *actives;
    struct fwr_rmcp_login *logins;
    uint8_t active_count;
    uint8_t login_count;
    uint64_t refusal_logged; /* when last; refusals come in floods */
    bool refusal_seen;
    uint64_t pongs_since; /* pongs are counted from then on, for a second */
    uint16_t pongs;
    struct fwr_rmcp_mac mac;
    struct fwr_rmcp_random random;
    struct fwr_rmcp_responder_status status;
};

/* One received datagram and what becomes of it. */
struct fwr_rmcp_exchange {
    uint64_t now;
    const struct fwr_rmcp_peer *from;
    uint8_t *datagram;
    size_t length;
    struct fwr_rmcp_packet packet;
    struct fwr_rmcp_event *event;
    uint8_t *reply;
    size_t *reply_length;
};

/* ---- responder.c -------------------------------------------------------------------------- */

bool fwr_rmcp_same_peer(const struct fwr_rmcp_peer *a, const struct fwr_rmcp_peer *b);
/* Whether it is one that a session can have: USER to ADMIN. */
bool fwr_rmcp_is_level(uint8_t privilege);
/* Puts the headers of a packet outside sessions before `length` bytes of payload, which stand in
 * the reply already. */
void fwr_rmcp_send_outside(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange,
                           enum fwr_rmcp_payload type, size_t length);

/* ---- login.c ------------------------------------------------------------------------------ */

/* Open Session Request, RAKP 1 and RAKP 3. */
int fwr_rmcp_login_open(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange);
int fwr_rmcp_login_rakp1(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange);
int fwr_rmcp_login_rakp3(struct fwr_rmcp_responder *responder, struct fwr_rmcp_exchange *exchange);
uint16_t fwr_rmcp_login_count(const struct fwr_rmcp_responder *responder);
/* When the first of them has stood still for too long, or FWR_NEVER; and the end of those. */
uint64_t fwr_rmcp_login_next_timeout(const struct fwr_rmcp_responder *responder);
void fwr_rmcp_login_timeout(struct fwr_rmcp_responder *responder, uint64_t now);

/* ---- active.c ----------------------------------------------------------------------------- */

/* NULL: no session has this id; every slot is taken. */
struct fwr_rmcp_active *fwr_rmcp_active_find(struct fwr_rmcp_responder *responder, uint32_t id);
struct fwr_rmcp_active *fwr_rmcp_active_free(struct fwr_rmcp_responder *responder);
/* When every slot is taken, the session that has been quiet for longest makes room, if it has
 * been quiet for long: it expires at the next timeout, and who repeats his question then gets in.
 * A fleet that holds its sessions open without using them must not lock the others out. False:
 * all are in use. */
bool fwr_rmcp_active_expire_quiet(struct fwr_rmcp_responder *responder, uint64_t now);
/* One packet of a session. */
int fwr_rmcp_active_receive(struct fwr_rmcp_responder *responder,
                            struct fwr_rmcp_exchange *exchange);
void fwr_rmcp_active_event(const struct fwr_rmcp_active *active, enum fwr_rmcp_event_kind kind,
                           struct fwr_rmcp_event *event);
/* A line in the log about a session of this user. */
void fwr_rmcp_active_note(const struct fwr_rmcp_responder *responder, const char *what,
                          uint8_t user, int error);
uint16_t fwr_rmcp_active_count(const struct fwr_rmcp_responder *responder);
uint64_t fwr_rmcp_active_next_timeout(const struct fwr_rmcp_responder *responder);
/* Ends one session that has expired, if there is one. */
void fwr_rmcp_active_timeout(struct fwr_rmcp_responder *responder, uint64_t now,
                             struct fwr_rmcp_event *event);

#endif
