/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor under every transfer over RMCP+: two processes that do only what no implementation
 * can leave out. One UDP datagram per request and per reply over 127.0.0.1, each with a fresh
 * IV, encrypted and authenticated as the suite wants it; the receiver checks and decrypts every
 * one, and the bytes end up in the asker's memory. No handshake, no engine, no hashing of
 * blocks, no files, no event loop.
 *
 * It uses libcrypto directly and none of the library's code, so that a slow spot of ours cannot
 * lower the floor it is measured against. Called by the benchmark; prints one line:
 * suite, reply bytes, window, bytes, seconds, MB/s.
 *
 * usage: floor_rmcp SUITE BYTES [REPLY [WINDOW]]   (SUITE 3 or 17; defaults 1024 and 16)
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define HEADER       16 /* RMCP and session headers */
#define BLOCK        16
#define OPAQUE       (HEADER + BLOCK) /* where the message begins */
#define REQUEST      25 /* header, IANA number, cookie, transfer, offset, length, codec: Read Blocks */
#define AROUND       12 /* IPMI header, completion code, IANA number, cookie and checksum of a reply */
#define MTU          1472
#define REPLY_MAX    1300
#define IVS          64
#define WAIT_SECONDS 5

struct end {
    int socket;
    size_t check;
    EVP_MAC_CTX *mac;
    EVP_CIPHER_CTX *encrypt;
    EVP_CIPHER_CTX *decrypt;
    unsigned iv;
    uint8_t ivs[IVS][BLOCK];
};

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void must(int done, const char *what)
{
    if (done != 1)
        die(what);
}

static void prepare(struct end *end, int suite)
{
    static const uint8_t key[32] = "the same fixed key on both ends";
    const char *digest = suite == 17 ? "SHA256" : "SHA1";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)digest, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);

    end->check = suite == 17 ? 16 : 12;
    end->iv = IVS;
    end->mac = EVP_MAC_CTX_new(hmac);
    must(EVP_MAC_init(end->mac, key, suite == 17 ? 32 : 20, parameters), "HMAC");
    end->encrypt = EVP_CIPHER_CTX_new();
    end->decrypt = EVP_CIPHER_CTX_new();
    must(EVP_CipherInit_ex2(end->encrypt, EVP_aes_128_cbc(), key, key, 1, NULL), "AES");
    must(EVP_CipherInit_ex2(end->decrypt, EVP_aes_128_cbc(), key, key, 0, NULL), "AES");
    EVP_CIPHER_CTX_set_padding(end->encrypt, 0);
    EVP_CIPHER_CTX_set_padding(end->decrypt, 0);
    EVP_MAC_free(hmac);
}

static void release(struct end *end)
{
    EVP_MAC_CTX_free(end->mac);
    EVP_CIPHER_CTX_free(end->encrypt);
    EVP_CIPHER_CTX_free(end->decrypt);
    close(end->socket);
}

static void crypt_blocks(EVP_CIPHER_CTX *context, const uint8_t *iv, uint8_t *data, size_t length)
{
    int written;

    must(EVP_CipherInit_ex2(context, NULL, NULL, iv, -1, NULL), "IV");
    must(EVP_CipherUpdate(context, data, &written, data, (int)length), "AES");
}

static void authenticate(struct end *end, const uint8_t *datagram, size_t length, uint8_t *code)
{
    size_t written;

    must(EVP_MAC_init(end->mac, NULL, 0, NULL), "HMAC");
    must(EVP_MAC_update(end->mac, datagram + 4, length - 4), "HMAC");
    must(EVP_MAC_final(end->mac, code, &written, 32), "HMAC");
}

/* Seals the message of `length` bytes that stands at OPAQUE, and sends it. */
static void put(struct end *end, uint8_t *datagram, size_t length)
{
    const size_t padded = (length + 1 + BLOCK - 1) / BLOCK * BLOCK;
    size_t total = OPAQUE + padded;
    uint8_t code[32];

    if (end->iv == IVS) {
        must(RAND_bytes(end->ivs[0], sizeof(end->ivs)), "random");
        end->iv = 0;
    }
    memset(datagram + OPAQUE + length, (int)(padded - length - 1), padded - length);
    memcpy(datagram + HEADER, end->ivs[end->iv++], BLOCK);
    crypt_blocks(end->encrypt, datagram + HEADER, datagram + OPAQUE, padded);
    memcpy(datagram + total, "\xff\xff\x02\x07", 4);
    total += 4;
    authenticate(end, datagram, total, code);
    memcpy(datagram + total, code, end->check);
    total += end->check;
    if (send(end->socket, datagram, total, 0) != (ssize_t)total)
        die("send");
}

/* Receives, checks and decrypts one message; false when the other end is gone. */
static int get(struct end *end, uint8_t *datagram, size_t *length)
{
    const ssize_t received = recv(end->socket, datagram, MTU, 0);
    uint8_t code[32];
    size_t total, padded;

    if (received < 0)
        return 0;
    if ((size_t)received < OPAQUE + BLOCK + 4 + end->check)
        die("short datagram");
    total = (size_t)received - end->check;
    authenticate(end, datagram, total, code);
    if (CRYPTO_memcmp(code, datagram + total, end->check) != 0)
        die("integrity");
    padded = total - 4 - OPAQUE;
    crypt_blocks(end->decrypt, datagram + HEADER, datagram + OPAQUE, padded);
    *length = padded - 1 - datagram[OPAQUE + padded - 1];
    return 1;
}

static void serve(struct end *end, const uint8_t *image)
{
    static uint8_t in[MTU], out[MTU];
    size_t length;

    while (get(end, in, &length)) {
        uint32_t offset, count;

        memcpy(&offset, in + OPAQUE, sizeof(offset));
        memcpy(&count, in + OPAQUE + 4, sizeof(count));
        if (count == 0)
            return;
        memcpy(out + OPAQUE, &offset, sizeof(offset));
        memcpy(out + OPAQUE + AROUND, image + offset, count);
        put(end, out, AROUND + count);
    }
}

static void ask(struct end *end, uint32_t offset, uint32_t count)
{
    static uint8_t out[MTU];

    memcpy(out + OPAQUE, &offset, sizeof(offset));
    memcpy(out + OPAQUE + 4, &count, sizeof(count));
    put(end, out, REQUEST);
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static void fetch(struct end *end, uint8_t *image, uint32_t bytes, uint32_t reply, unsigned window)
{
    static uint8_t in[MTU];
    uint32_t asked = 0, got = 0;

    for (unsigned i = 0; i < window && asked < bytes; i++) {
        ask(end, asked, smaller(reply, bytes - asked));
        asked += smaller(reply, bytes - asked);
    }
    while (got < bytes) {
        uint32_t offset;
        size_t length;

        if (!get(end, in, &length))
            die("no answer: a datagram was lost on loopback");
        memcpy(&offset, in + OPAQUE, sizeof(offset));
        memcpy(image + offset, in + OPAQUE + AROUND, length - AROUND);
        got += (uint32_t)(length - AROUND);
        if (asked < bytes) {
            ask(end, asked, smaller(reply, bytes - asked));
            asked += smaller(reply, bytes - asked);
        }
    }
    ask(end, 0, 0);
}

/* Two UDP sockets on free ports of 127.0.0.1, connected to each other. */
static void make_sockets(int sockets[2])
{
    const struct timeval wait = {.tv_sec = WAIT_SECONDS};
    struct sockaddr_in address[2];

    for (int i = 0; i < 2; i++) {
        socklen_t length = sizeof(address[i]);

        memset(&address[i], 0, sizeof(address[i]));
        address[i].sin_family = AF_INET;
        address[i].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        sockets[i] = socket(AF_INET, SOCK_DGRAM, 0);
        if (sockets[i] < 0 ||
            bind(sockets[i], (struct sockaddr *)&address[i], sizeof(address[i])) != 0 ||
            getsockname(sockets[i], (struct sockaddr *)&address[i], &length) != 0 ||
            setsockopt(sockets[i], SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) != 0)
            die("socket");
    }
    for (int i = 0; i < 2; i++) {
        if (connect(sockets[i], (struct sockaddr *)&address[1 - i], sizeof(address[0])) != 0)
            die("connect");
    }
}

static double seconds(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    const int suite = argc > 1 ? atoi(argv[1]) : 0;
    const uint32_t bytes = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 0;
    const uint32_t reply = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 0) : 1024;
    const unsigned window = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 0) : 16;
    struct end end = {0};
    uint8_t *source, *copy;
    int sockets[2], status;
    double began;
    pid_t child;

    if ((suite != 3 && suite != 17) || bytes == 0 || reply == 0 || reply > REPLY_MAX ||
        window == 0) {
        fprintf(stderr, "usage: %s 3|17 BYTES [REPLY [WINDOW]]\n", argv[0]);
        return 2;
    }
    source = malloc(bytes);
    copy = calloc(1, bytes);
    if (source == NULL || copy == NULL || RAND_bytes(source, (int)bytes) != 1)
        die("memory");
    make_sockets(sockets);
    child = fork();
    if (child < 0)
        die("fork");
    end.socket = sockets[child == 0];
    close(sockets[child != 0]);
    prepare(&end, suite);
    if (child == 0) {
        serve(&end, source);
        _exit(0);
    }
    began = seconds();
    fetch(&end, copy, bytes, reply, window);
    began = seconds() - began;
    if (waitpid(child, &status, 0) != child || status != 0 || memcmp(source, copy, bytes) != 0)
        die("the copy differs");
    printf("suite=%d reply=%u window=%u bytes=%u seconds=%.6f MBps=%.2f\n", suite, reply, window,
           bytes, began, bytes / began / 1e6);
    release(&end);
    free(source);
    free(copy);
    return 0;
}
