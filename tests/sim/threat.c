/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A world under attack: see threat.h.
 */
#include "tests/sim/threat.h"

#include <string.h>

#include <fwrecover/command.h>
#include <fwrecover/error.h>

struct world w;
struct given_image image;
struct threat threat;
struct liar liars[WORLD_DONORS_MAX];

int threat_set_up(void **state)
{
    (void)state;
    memset(&threat, 0, sizeof(threat));
    memset(&image, 0, sizeof(image));
    image.blocks = 24;
    image.security_version = 3;
    image.hardware_min = 2;
    return given_image_make(&image);
}

int threat_tear_down(void **state)
{
    (void)state;
    given_image_free(&image);
    return 0;
}

void threat_begin(uint64_t seed)
{
    world_init(&w, seed, &image, 0);
    memset(liars, 0, sizeof(liars));
    w.config.rounds = 1;
    world_damage(&w, 2 * BLOCK, 3 * BLOCK);
    world_damage(&w, 22 * BLOCK, 100);
}

/* What the liar says to a request, or what its engine would have said. */
static size_t speak(struct world *world, const struct world_message *m, uint8_t *reply,
                    size_t length)
{
    const struct liar *liar = &liars[m->peer];
    const uint8_t *data = m->bytes + FWR_IANA_SIZE;
    size_t given = m->length - FWR_IANA_SIZE;
    uint8_t command = (uint8_t)(m->command - world->oem.command_base);
    struct fwr_read_manifest_request asked;
    int made = -1;

    if (!liar->lies)
        return length;
    if (command == FWR_CMD_REQUEST_IMAGE) {
        struct fwr_request_image_reply offer = {
            .cookie = data[0], .result = FWR_IMAGE_OFFER, .count = 1, .sequence = liar->sequence};
        memcpy(offer.tag, liar->tag, FWR_TAG_SIZE);
        made = fwr_request_image_reply_encode(&offer, reply + FWR_OEM_HEADER,
                                              WORLD_MESSAGE_MAX - FWR_OEM_HEADER);
    } else if (command == FWR_CMD_READ_MANIFEST &&
               fwr_read_manifest_request_decode(data, given, &asked) == FWR_OK) {
        size_t left = asked.offset < liar->length ? liar->length - asked.offset : 0;
        struct fwr_data_reply slice = {.cookie = data[0],
                                       .data = liar->envelope + (left ? asked.offset : 0),
                                       .length = left < asked.length ? left : asked.length};
        made = fwr_data_reply_encode(&slice, reply + FWR_OEM_HEADER,
                                     WORLD_MESSAGE_MAX - FWR_OEM_HEADER);
    }
    if (made < 0)
        return length;
    reply[0] = 0;
    memcpy(reply + 1, m->bytes, FWR_IANA_SIZE);
    return FWR_OEM_HEADER + (size_t)made;
}

void threat_add_liar(const uint8_t *envelope, size_t length, const uint8_t *tag, uint32_t sequence)
{
    struct liar *liar = &liars[w.donor_count];

    world_add_donor(&w, &image);
    w.tamper = speak;
    liar->lies = true;
    liar->envelope = envelope;
    liar->length = length;
    liar->sequence = sequence;
    memcpy(liar->tag, tag, FWR_TAG_SIZE);
}

void threat_end_donors(void)
{
    if (w.recipient)
        fwr_recipient_end(w.recipient);
    w.recipient = w.slots[0] = NULL;
    for (uint8_t i = 0; i < w.donor_count; i++) {
        if (w.donors[i].engine)
            fwr_donor_end(w.donors[i].engine);
        free(w.donors[i].storage);
        free(w.donors[i].image.bytes);
        memset(&w.donors[i], 0, sizeof(w.donors[i]));
    }
    w.donor_count = w.config.peer_count = 0;
    memset(w.messages, 0, sizeof(w.messages));
    memset(liars, 0, sizeof(liars));
    free(w.storage); /* sized for the peers */
    w.storage = NULL;
}

size_t threat_sign(uint8_t key, const uint8_t *manifest, size_t length,
                   uint8_t envelope[GIVEN_ENVELOPE_MAX], uint8_t tag[FWR_TAG_SIZE])
{
    uint8_t id[FWR_ID_SIZE];
    int made = given_sign(key, manifest, length, envelope, GIVEN_ENVELOPE_MAX);

    assert_true(made > 0);
    assert_int_equal(fwr_manifest_id(manifest, length, id), FWR_OK);
    memcpy(tag, id, FWR_TAG_SIZE);
    return (size_t)made;
}

void threat_end(void)
{
    threat.operations += w.nor.counts.erases + w.nor.counts.programs;
    threat.strangers += w.strangers;
    assert_int_equal(w.nor.counts.trespass, 0);
    world_free(&w);
}

void threat_refused(int reason)
{
    assert_int_equal(world_boot(&w), FWR_OK);
    assert_int_equal(world_repair(&w), REASON(reason));
    assert_int_equal(world_status(&w).state, FWR_STATE_FAILED);
    assert_int_equal(w.nor.counts.erases + w.nor.counts.programs, 0);
    assert_false(w.host.held);
    threat.attacks += w.donor_count;
    threat_end();
}

void threat_say(unsigned number, const char *what)
{
    printf("# threat %02u %s: %llu attacks, %llu flash operations, %llu foreign blocks written\n",
           number, what, (unsigned long long)threat.attacks, (unsigned long long)threat.operations,
           (unsigned long long)threat.strangers);
}

void threat_nothing_foreign(unsigned number, const char *what)
{
    threat_say(number, what);
    assert_true(threat.attacks > 0);
    assert_int_equal(threat.strangers, 0);
}

void threat_nothing_written(unsigned number, const char *what)
{
    threat_nothing_foreign(number, what);
    assert_int_equal(threat.operations, 0);
}
