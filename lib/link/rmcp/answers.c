/* SPDX-License-Identifier: Apache-2.0 */
/* See answers.h. IPMI 2.0 sections 20.1, 22.13 and 22.15. */
#include <fwrecover/error.h>

#include "wire/cursor.h"

#include "answers.h"
#include "crypto.h"

#define CHANNEL               1 /* the LAN channel, whatever the asker called it */
#define EXTENDED_DATA         0x80
#define IPMI_VERSION          0x02 /* 2.0, digits swapped */
#define KG_SET                0x20
#define NON_NULL_USERS        0x04
#define RMCP_PLUS             0x02
#define SUITE_START           0xc0
#define SUITE_INTEGRITY       0x40
#define SUITE_CONFIDENTIALITY 0x80

static size_t only(uint8_t completion_code, uint8_t *at)
{
    at[0] = completion_code;
    return 1;
}

size_t fwr_rmcp_device_answer(const struct fwr_rmcp_device *device,
                              uint8_t at[FWR_RMCP_DEVICE_ANSWER])
{
    struct fwr_writer writer;

    fwr_writer_init(&writer, at, FWR_RMCP_DEVICE_ANSWER);
    fwr_writer_u8(&writer, FWR_IPMI_CC_OK);
    fwr_writer_u8(&writer, device->id);
    fwr_writer_u8(&writer, device->revision & 0x0f);
    fwr_writer_u8(&writer, device->firmware_major & 0x7f);
    fwr_writer_u8(&writer,
                  (uint8_t)(device->firmware_minor / 10 % 10 << 4 | device->firmware_minor % 10));
    fwr_writer_u8(&writer, IPMI_VERSION);
    fwr_writer_u8(&writer, 0); /* no sensors, no event log: nothing besides our commands */
    fwr_writer_u24(&writer, device->manufacturer & 0xfffff);
    fwr_writer_u16(&writer, device->product);
    fwr_writer_zeros(&writer, 4);
    return writer.length;
}

static size_t channel_auth(const struct fwr_rmcp_responder_config *config, const uint8_t *data,
                           size_t length, uint8_t *at)
{
    struct fwr_writer writer;

    if (length != 2)
        return only(FWR_IPMI_CC_LENGTH, at);
    fwr_writer_init(&writer, at, FWR_RMCP_ANSWER_MAX);
    fwr_writer_u8(&writer, FWR_IPMI_CC_OK);
    fwr_writer_u8(&writer, CHANNEL);
    /* No IPMI 1.5 authentication type at all, not even "none". */
    fwr_writer_u8(&writer, data[0] & EXTENDED_DATA);
    fwr_writer_u8(&writer, NON_NULL_USERS | (config->kg_length > 0 ? KG_SET : 0));
    fwr_writer_u8(&writer, (data[0] & EXTENDED_DATA) != 0 ? RMCP_PLUS : 0);
    fwr_writer_zeros(&writer, 4); /* OEM number and data */
    return writer.length;
}

static void put_suite(struct fwr_writer *writer, uint8_t id)
{
    const struct fwr_rmcp_suite *suite = fwr_rmcp_suite_by_id(id);

    fwr_writer_u8(writer, SUITE_START);
    fwr_writer_u8(writer, id);
    fwr_writer_u8(writer, suite->algorithms.authentication);
    fwr_writer_u8(writer, SUITE_INTEGRITY | suite->algorithms.integrity);
    fwr_writer_u8(writer, SUITE_CONFIDENTIALITY | suite->algorithms.confidentiality);
}

static size_t cipher_suites(const struct fwr_rmcp_responder_config *config, const uint8_t *data,
                            size_t length, uint8_t *at)
{
    struct fwr_writer writer;

    if (length != 3)
        return only(FWR_IPMI_CC_LENGTH, at);
    if (data[1] != FWR_RMCP_PAYLOAD_IPMI)
        return only(FWR_IPMI_CC_FIELD, at);
    fwr_writer_init(&writer, at, FWR_RMCP_ANSWER_MAX);
    fwr_writer_u8(&writer, FWR_IPMI_CC_OK);
    fwr_writer_u8(&writer, CHANNEL);
    /* Pages of 16 bytes: both records fit the first one. */
    if ((data[2] & 0x3f) == 0) {
        if (config->suite_sha256)
            put_suite(&writer, FWR_RMCP_SUITE_SHA256);
        if (config->suite_sha1)
            put_suite(&writer, FWR_RMCP_SUITE_SHA1);
    }
    return writer.length;
}

int fwr_rmcp_answer_anybody(const struct fwr_rmcp_responder_config *config,
                            const struct fwr_rmcp_message *message, uint8_t *at, size_t *length)
{
    if (message->netfn != FWR_IPMI_NETFN_APP)
        return FWR_E_STATE;
    if (message->command == FWR_IPMI_GET_CHANNEL_AUTH)
        *length = channel_auth(config, message->data, message->length, at);
    else if (message->command == FWR_IPMI_GET_CIPHER_SUITES)
        *length = cipher_suites(config, message->data, message->length, at);
    else
        return FWR_E_STATE;
    return FWR_OK;
}
