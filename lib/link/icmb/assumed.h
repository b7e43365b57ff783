/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything about ICMB that was ASSUMED: the body of the ICMB bridge specification was not at
 * hand, so these constants stand on memory, on what is public about the bus, or on derivation.
 * Whoever has the specification needs to look here and nowhere else; what a site may have to
 * change without a compiler (bit rate, gaps, broadcast address, packet limit, time-outs) is in
 * struct fwr_icmb_config, and these are its defaults.
 */
#ifndef FWR_ICMB_ASSUMED_H
#define FWR_ICMB_ASSUMED_H

/* ---- characters: 8N1, least significant bit first ---- */
#define ICMB_BIT_RATE      FWR_ICMB_BIT_RATE /* icmb.h: 19,200 bit/s */
#define ICMB_BITS_PER_CHAR 10

/* ---- framing: the escapes of IPMI serial Basic Mode ---- */
#define ICMB_START  0xa0
#define ICMB_STOP   0xa5
#define ICMB_HAND   0xa6 /* never sent bare; Basic Mode's handshake */
#define ICMB_ESCAPE 0xaa
/* AAh and one of these stand for the character: B0h A0h, B5h A5h, B6h A6h, BAh AAh. */
#define ICMB_ESCAPED(c) ((uint8_t)((c) + 0x10))

/* ---- packet: destination, source (low byte first), type, sequence, command, data, checksum
 * (two's complement of the sum of all before it) ---- */
#define ICMB_HEADER        7
#define ICMB_CHECKSUM      1
#define ICMB_TYPE_REQUEST  0x00
#define ICMB_TYPE_RESPONSE 0x80

/* ---- addresses ---- */
#define ICMB_ALL_ONES  0xffff /* broadcast, unless configured to be 0000h; */
#define ICMB_ALL_ZEROS 0x0000 /* the other one is the source of a node that has no address */

/* ---- timing, in characters where nothing else is said ---- */
#define ICMB_GAP           4   /* silence before a request; */
#define ICMB_GAP_REPLY     2   /* a reply goes first, */
#define ICMB_GAP_BROADCAST 6   /* unasked packets for everybody last */
#define ICMB_REPLY_WAIT    12  /* more, while the reply to the last request may be on its way */
#define ICMB_SLOT          2   /* of the random back-off: one node's start is heard by all */
#define ICMB_ABANDON       40  /* silence inside a frame after which its sender is taken for gone */
#define ICMB_LEVEL_MAX     8   /* back-off of 2^level slots at most */
#define ICMB_SPREAD        128 /* slots over which nodes spread their answers to a broadcast */

/* ---- messages whose form was not known ----
 * Bridge Message (21h) from the own BMC: addrLo addrHi data…; on the bus a request with the data
 *   (rsSA, netFn/rsLUN, command, its data), answered with a completion code alone.
 * Event (33h) on the bus: a request with the event's code, to the event destination.
 * Error Report (FFh) on the bus: a request that nobody answers; it ends the request it is about.
 * Get ICMB Address to everybody is answered by those who are not discovered; nothing else is.
 * Probes of an address are Get ICMB Address from the address that stands for none. */

/* ---- events (Send ICMB Event Message): one byte of data; the others are in icmb.h ---- */
#define ICMB_EVENT_LAST 3

/* ---- Get ICMB Capabilities ---- */
#define ICMB_VERSION  0x01
#define ICMB_REVISION 0x00

/* ---- connector information: type/length as in SDR type/length bytes, 8-bit ASCII ---- */
#define ICMB_TYPE_ASCII 0xc0

#endif
