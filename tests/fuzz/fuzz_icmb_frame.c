/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ICMB receiver that hears anything. What it takes for a packet, sent again, is heard as the
 * same packet; it never keeps more than the longest one; and whatever it heard, the next whole
 * frame is understood.
 */
#include "tests/fuzz/fuzz.h"

#include "link/icmb/frame.h"

static void require_same(const struct fwr_icmb_packet *a, const struct fwr_icmb_packet *b)
{
    require(a->destination == b->destination && a->source == b->source && a->type == b->type);
    require(a->sequence == b->sequence && a->command == b->command && a->length == b->length);
    require(memcmp(a->data, b->data, a->length) == 0);
}

/* Through an encoder and another receiver. */
static void send_again(struct fwr_icmb_receiver *receiver, const struct fwr_icmb_packet *packet)
{
    static struct fwr_icmb_packet heard;
    static uint8_t frame[FWR_ICMB_FRAME_MAX];
    int length = fwr_icmb_frame_encode(packet, frame, sizeof(frame));

    require(length > 0);
    for (int i = 0; i < length; i++) {
        enum fwr_icmb_heard what = fwr_icmb_receiver_take(receiver, frame[i], &heard);

        require(i == length - 1
                    ? what == FWR_ICMB_HEARD_PACKET
                    : what == FWR_ICMB_HEARD_PART || (i == 0 && what == FWR_ICMB_HEARD_RESTART));
    }
    require_same(packet, &heard);
    require(!fwr_icmb_receiver_inside(receiver));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct fwr_icmb_receiver receiver, second;
    static struct fwr_icmb_packet packet;
    const struct fwr_icmb_packet known = {.destination = 1, .source = 2, .length = 2, .data = {3}};

    fwr_icmb_receiver_init(&receiver);
    fwr_icmb_receiver_init(&second);
    for (size_t i = 0; i < size; i++) {
        enum fwr_icmb_heard what = fwr_icmb_receiver_take(&receiver, data[i], &packet);

        require(receiver.length <= FWR_ICMB_PACKET_MAX);
        require(fwr_icmb_receiver_inside(&receiver) || what != FWR_ICMB_HEARD_RESTART);
        if (what == FWR_ICMB_HEARD_PACKET) {
            require(packet.length <= FWR_ICMB_DATA_MAX && data[i] == ICMB_STOP);
            send_again(&second, &packet);
        }
    }
    send_again(&receiver, &known);
    return 0;
}
