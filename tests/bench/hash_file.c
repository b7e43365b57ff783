/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The peer of a scan: SHA-256 of a file, read 64 KiB at a time, by the same libcrypto and by
 * nothing of ours. Called by the benchmark.
 *
 * usage: hash_file FILE
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <openssl/evp.h>

#define READ_SIZE 65536

static int die(const char *what)
{
    perror(what);
    return 1;
}

int main(int argc, char **argv)
{
    static uint8_t buffer[READ_SIZE];
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    unsigned length = 0;
    ssize_t got;
    int fd;

    if (argc != 2) {
        fprintf(stderr, "usage: %s FILE\n", argv[0]);
        return 2;
    }
    fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return die(argv[1]);
    if (context == NULL || EVP_DigestInit_ex2(context, EVP_sha256(), NULL) != 1)
        return die("SHA-256");
    while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
        if (EVP_DigestUpdate(context, buffer, (size_t)got) != 1)
            return die("SHA-256");
    }
    if (got < 0)
        return die(argv[1]);
    if (EVP_DigestFinal_ex(context, digest, &length) != 1)
        return die("SHA-256");
    for (unsigned i = 0; i < length; i++)
        printf("%02x", digest[i]);
    printf("\n");
    EVP_MD_CTX_free(context);
    close(fd);
    return 0;
}
