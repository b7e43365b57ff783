/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes with which a responder answers the standard commands that need no session: who it
 * is and how one may log in. Pure functions of the configuration; called by the responder.
 */
#ifndef FWR_LINK_RMCP_ANSWERS_H
#define FWR_LINK_RMCP_ANSWERS_H

#include <stddef.h>
#include <stdint.h>

#include <fwrecover/rmcp.h>

#include "packet.h"

/* IPMI completion codes used by the session layer. */
#define FWR_IPMI_CC_OK                0x00
#define FWR_IPMI_CC_LEVEL_UNAVAILABLE 0x80 /* Set Session Privilege Level */
#define FWR_IPMI_CC_LEVEL_TOO_HIGH    0x81
#define FWR_IPMI_CC_SESSION_ID        0x87 /* Close Session */
#define FWR_IPMI_CC_LENGTH            0xc7
#define FWR_IPMI_CC_FIELD             0xcc

/* Longest answer, from the completion code on: Get Device ID's. */
#define FWR_RMCP_ANSWER_MAX FWR_RMCP_DEVICE_ANSWER

/* What anybody may ask: how to log in. FWR_E_STATE for everything else. */
int fwr_rmcp_answer_anybody(const struct fwr_rmcp_responder_config *config,
                            const struct fwr_rmcp_message *message, uint8_t *at, size_t *length);

#endif
