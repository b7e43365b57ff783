/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads passwords and keys for sessions. Every copy made on the way is wiped.
 */
#include "tools/secrets.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include <fwrecover/error.h>

#include "tools/files.h"
#include "tools/number.h"
#include "tools/say.h"

#define FILE_MAX 256

/* Hexadecimal digits after 0x, an even number of them. */
static bool take_hex(const char *text, size_t length, struct tool_secret *secret)
{
    if (length % 2 != 0 || length / 2 > TOOL_SECRET_MAX)
        return false;
    for (size_t i = 0; i < length / 2; i++) {
        char digits[4] = {'0', 'x', text[2 * i], text[2 * i + 1]};
        uint64_t value;

        if (!tool_number_span(digits, sizeof(digits), UINT8_MAX, &value))
            return false;
        secret->bytes[i] = (uint8_t)value;
    }
    secret->length = (uint8_t)(length / 2);
    return true;
}

static int take(const char *where, const char *text, size_t length, struct tool_secret *secret)
{
    secret->length = 0;
    if (length > 2 && text[0] == '0' && text[1] == 'x' && take_hex(text + 2, length - 2, secret))
        return TOOL_OK;
    if (length == 0 || length > TOOL_SECRET_MAX)
        return tool_usage("%s: a password or key has 1 to %d bytes, this one %zu", where,
                          TOOL_SECRET_MAX, length);
    memcpy(secret->bytes, text, length);
    secret->length = (uint8_t)length;
    return TOOL_OK;
}

int tool_secret_read(const char *path, struct tool_secret *secret)
{
    struct tool_bytes file;
    int status = tool_file_read(path, FILE_MAX, true, &file);

    if (status != TOOL_OK)
        return status;
    status = take(path, (const char *)file.data, strcspn((const char *)file.data, "\r\n"), secret);
    tool_bytes_free(&file);
    return status;
}

int tool_secret_password(const char *path, const char *argument, struct tool_secret *secret)
{
    const char *variable = getenv("FWRECOVER_PASSWORD");
    int status;

    if (path != NULL)
        return tool_secret_read(path, secret);
    if (argument == NULL) {
        if (variable == NULL)
            return tool_usage("no password: give --password-file FILE or set FWRECOVER_PASSWORD");
        return take("FWRECOVER_PASSWORD", variable, strlen(variable), secret);
    }
    status = take("--password", argument, strlen(argument), secret);
    OPENSSL_cleanse((char *)argument, strlen(argument)); /* argv's strings are ours to change */
    return status;
}

void tool_secret_wipe(struct tool_secret *secret)
{
    OPENSSL_cleanse(secret, sizeof(*secret));
}
