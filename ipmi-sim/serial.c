/* SPDX-License-Identifier: Apache-2.0 */
/* Lines that are answered: see serial.h. */
#include "ipmi-sim/serial.h"

#include <stdlib.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

#include "ipmi-sim/bmc.h"

#define CC_BUSY        0xc0
#define CC_TRUNCATED   0xca /* there is more than the line carries */
#define CC_UNSPECIFIED 0xff

static void answer(struct sim_serial *serial, const struct fwr_serial_command *id,
                   const uint8_t *reply, size_t length)
{
    static const uint8_t too_long = CC_TRUNCATED;

    if (fwr_serial_responder_reply(serial->responder, id, reply, length) == FWR_E_LENGTH)
        (void)fwr_serial_responder_reply(serial->responder, id, &too_long, sizeof(too_long));
}

static void on_reply(void *ctx, uint32_t token, const uint8_t *reply, size_t length)
{
    struct sim_serial *serial = ctx;

    serial->waits[token] = false;
    answer(serial, &serial->waiting[token], reply, length);
}

static void refuse(struct sim_serial *serial, const struct fwr_serial_command *id, uint8_t code)
{
    answer(serial, id, &code, sizeof(code));
}

/* ---- what the responder calls ---- */

static void transmit(void *ctx, const uint8_t *bytes, size_t length)
{
    (void)sim_port_send(&((struct sim_serial *)ctx)->port, bytes, length);
}

static void request(void *ctx, uint64_t now, const struct fwr_serial_command *id,
                    const uint8_t *data, size_t length)
{
    struct sim_serial *serial = ctx;
    const struct sim_serial_config *config = serial->config;
    struct fwr_lanserv_message message = {
        .caller = {.link = serial->link,
                   .medium = FWR_MEDIUM_SERIAL,
                   .privilege = config->privilege,
                   .security = FWR_SECURITY_NONE,
                   .session = id->stream,
                   .max_reply = (uint16_t)(fwr_serial_max_reply(config->mode, config->message) -
                                           FWR_IANA_SIZE)},
        .target = serial->bmc->sys->bmc_ipmb,
        .netfn = id->netfn,
        .lun = id->lun,
        .command = id->command,
        .data = data,
        .length = length,
        .reply = on_reply,
        .ctx = serial,
    };

    (void)now;
    serial->stream = id->stream;
    while (message.token < SIM_SERIAL_WAITING && serial->waits[message.token])
        message.token++;
    if (message.token == SIM_SERIAL_WAITING) {
        refuse(serial, id, CC_BUSY);
        return;
    }
    serial->waits[message.token] = true;
    serial->waiting[message.token] = *id;
    if (fwr_lanserv_inject(&serial->bmc->lanserv, &message) == FWR_OK)
        return;
    serial->waits[message.token] = false;
    refuse(serial, id, CC_UNSPECIFIED);
}

/* ---- what the port calls ---- */

static void on_opened(void *ctx, uint64_t now)
{
    struct sim_serial *serial = ctx;

    (void)now;
    fwr_serial_responder_reset(serial->responder);
    sim_bmc_log(serial->bmc, "serial %s: open", serial->config->name);
}

static void on_closed(void *ctx, uint64_t now, int error)
{
    struct sim_serial *serial = ctx;

    (void)now;
    sim_bmc_log(serial->bmc, "serial %s: %s: %s", serial->config->name, serial->config->device,
                sim_serial_lost(error));
    if (serial->bmc->donor != NULL)
        fwr_donor_session_closed(serial->bmc->donor, serial->link, serial->stream);
}

static void on_closing(void *ctx)
{
    sim_port_closing(&((struct sim_serial *)ctx)->port);
}

static void on_received(void *ctx, uint64_t now, const uint8_t *bytes, size_t length)
{
    fwr_serial_responder_receive(((struct sim_serial *)ctx)->responder, now, bytes, length);
}

const char *sim_serial_lost(int error)
{
    switch (error) {
    case FWR_E_NOT_FOUND:
        return "there is no such device now";
    case FWR_E_BUSY:
        return "another program has this device";
    case FWR_E_UNSUPPORTED:
        return "this is not a terminal";
    case FWR_E_IO:
        return "the device is gone";
    default:
        return fwr_error_text(error);
    }
}

/* ---- life ---- */

uint64_t sim_serial_next_timeout(const struct sim_serial *serial)
{
    return sim_port_next_timeout(&serial->port);
}

void sim_serial_timeout(struct sim_serial *serial, uint64_t now)
{
    sim_port_timeout(&serial->port, now);
}

int sim_serial_init(struct sim_serial *serial, struct sim_bmc *bmc,
                    const struct sim_serial_config *config, uint16_t link)
{
    serial->config = config;
    serial->bmc = bmc;
    serial->link = link;
    serial->port_config = (struct fwr_tty_port_config){
        .size = sizeof(serial->port_config),
        .path = config->device,
        .baud = config->baud,
        .ctx = serial,
        .opened = on_opened,
        .closed = on_closed,
        .received = on_received,
        .closing = on_closing,
    };
    serial->responder_config = (struct fwr_serial_responder_config){
        .size = sizeof(serial->responder_config),
        .mode = config->mode,
        .message = config->message,
        .ctx = serial,
        .transmit = transmit,
        .request = request,
    };
    sim_port_init(&serial->port, bmc->sys, &serial->port_config, sim_bmc_now, NULL, bmc);
    serial->storage = calloc(1, fwr_serial_responder_storage());
    if (serial->storage == NULL)
        return FWR_E_MEMORY;
    return fwr_serial_responder_init(&serial->responder, serial->storage,
                                     fwr_serial_responder_storage(), &serial->responder_config);
}

void sim_serial_end(struct sim_serial *serial)
{
    if (serial->bmc == NULL)
        return; /* never begun */
    sim_port_end(&serial->port);
    fwr_serial_responder_end(serial->responder);
    serial->responder = NULL;
    free(serial->storage);
    serial->storage = NULL;
}
