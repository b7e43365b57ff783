/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is written down of a run, see box.h: one line an event, the last few hundred kept, and a
 * SHA-256 over all of them, messages' bytes included, by which two runs are compared.
 */
#include "tests/sim/box.h"

#include <stdarg.h>

#include <openssl/evp.h>

static const char *node_name(const struct box *box, uint8_t node)
{
    return node < box->node_count ? box->nodes[node].name : "world";
}

static void print_line(const struct box *box, const struct box_trace_line *l, FILE *out)
{
    static const char *const verbs[] = {"", "sends", "loses", "gets"};

    fprintf(out, "%9llu.%03llu  %-10s ", (unsigned long long)(l->at / 1000),
            (unsigned long long)(l->at % 1000), node_name(box, l->node));
    if (l->kind == BOX_TRACE_TEXT_LINE)
        fprintf(out, "%s\n", l->text);
    else
        fprintf(out, "%s %s%s, %u bytes, %s %s%s%02x, cookie %02x\n", verbs[l->kind],
                fwr_command_name((uint8_t)l->numbers[0]), l->numbers[1] ? " reply" : "",
                l->numbers[2], l->kind == BOX_TRACE_CAME ? "from" : "to",
                node_name(box, (uint8_t)l->numbers[3]), l->numbers[1] ? ": code " : ": command ",
                l->numbers[1] ? l->numbers[4] : l->numbers[0], l->numbers[5] & 0xff);
}

void box_trace_begin(struct box *box, FILE *out)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();

    if (context == NULL || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1)
        abort();
    box->trace.digest = context;
    box->trace.out = out;
}

void box_trace_end(struct box *box)
{
    EVP_MD_CTX *context = box->trace.digest;

    if (EVP_DigestFinal_ex(context, box->trace.result, NULL) != 1)
        abort();
    EVP_MD_CTX_free(context);
    box->trace.digest = NULL;
}

static struct box_trace_line *line(struct box *box, uint8_t node, enum box_trace_kind kind)
{
    struct box_trace_line *l = &box->trace.ring[box->trace.lines++ % BOX_TRACE_RING];

    memset(l, 0, offsetof(struct box_trace_line, text) + 1);
    l->at = box->now;
    l->node = node;
    l->kind = (uint8_t)kind;
    return l;
}

static void seal(struct box *box, const struct box_trace_line *l)
{
    size_t length = offsetof(struct box_trace_line, text) + strlen(l->text);

    EVP_DigestUpdate(box->trace.digest, l, length);
    if (box->trace.out)
        print_line(box, l, box->trace.out);
}

void box_say(struct box *box, const struct box_node *n, const char *format, ...)
{
    struct box_trace_line *l = line(box, n ? n->index : UINT8_MAX, BOX_TRACE_TEXT_LINE);
    va_list list;

    va_start(list, format);
    vsnprintf(l->text, sizeof(l->text), format, list);
    va_end(list);
    seal(box, l);
}

void box_trace_message(struct box *box, enum box_trace_kind kind, const struct box_message *m,
                       uint32_t number)
{
    bool came = kind == BOX_TRACE_CAME;
    struct box_trace_line *l = line(box, came ? m->to : m->from, kind);
    size_t header = m->reply ? FWR_OEM_HEADER : FWR_IANA_SIZE;

    l->numbers[0] = m->command;
    l->numbers[1] = m->reply;
    l->numbers[2] = m->length;
    l->numbers[3] = came ? m->from : m->to;
    l->numbers[4] = m->reply && m->length > 0 ? m->bytes[0] : number;
    l->numbers[5] = m->length > header ? m->bytes[header] : 0;
    EVP_DigestUpdate(box->trace.digest, m->bytes, m->length);
    seal(box, l);
}

void box_trace_print(const struct box *box, FILE *out, unsigned lines)
{
    uint64_t first = box->trace.lines > lines ? box->trace.lines - lines : 0;

    if (box->trace.lines - first > BOX_TRACE_RING)
        first = box->trace.lines - BOX_TRACE_RING;
    for (uint64_t i = first; i < box->trace.lines; i++)
        print_line(box, &box->trace.ring[i % BOX_TRACE_RING], out);
}
