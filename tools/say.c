/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error messages and exit statuses of the command line. Keeps no state, touches nothing but
 * standard error.
 */
#include "tools/say.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <fwrecover/error.h>

int tool_exit_of(int error)
{
    if (error >= FWR_OK)
        return TOOL_OK;
    switch (error) {
    case FWR_E_NOT_FOUND:
    case FWR_E_IO:
    case FWR_E_ACCESS:
    case FWR_E_MEMORY:
    case FWR_E_RANDOM:
    case FWR_E_CRYPTO:
    case FWR_E_BUSY:
    case FWR_E_RANGE:
        return TOOL_IO;
    case FWR_E_KEY:
    case FWR_E_UNPROVISIONED:
    case FWR_E_TRUST_SET:
    case FWR_E_ALGORITHM:
        return TOOL_USAGE;
    case FWR_E_FLASH_WORN:
    case FWR_E_BOOT_PROOF:
    case FWR_E_ABORTED:
        return TOOL_DAMAGED;
    default:
        break;
    }
    if (error <= FWR_E_ENVELOPE && error >= FWR_E_TRUST_SET)
        return TOOL_UNTRUSTED;
    if (error <= FWR_E_TREE_NODE && error >= FWR_E_ROOT)
        return TOOL_DAMAGED;
    if (error <= FWR_E_FLASH_READ && error >= FWR_E_HOST_RELEASE)
        return TOOL_IO;
    if (error == FWR_E_FLOOR_JUMP || error == FWR_E_PARTLY_SIGNED)
        return TOOL_UNTRUSTED;
    if (error == FWR_E_FLOOR || error == FWR_E_FLOOR_SPENT)
        return TOOL_IO;
    if (error == FWR_E_NO_ML_DSA)
        return TOOL_USAGE;
    if (error == FWR_E_INTERFACE || (error <= FWR_E_NO_BLUETOOTH && error >= FWR_E_REFUSED))
        return TOOL_NETWORK;
    if (error <= FWR_E_NO_DONOR && error >= FWR_E_SESSION_FULL)
        return error == FWR_E_NO_COMPATIBLE ? TOOL_UNTRUSTED : TOOL_NETWORK;
    return TOOL_USAGE;
}

int tool_error(int error, const char *where, const char *advice)
{
    fflush(stdout);
    fprintf(stderr, "fwrecover: %s: %s (%s)%s%s\n", where, fwr_error_text(error),
            fwr_error_name(error), advice != NULL ? "; " : "", advice != NULL ? advice : "");
    return tool_exit_of(error);
}

int tool_errorf(int error, const char *where, const char *format, ...)
{
    char advice[512];
    va_list values;

    va_start(values, format);
    vsnprintf(advice, sizeof(advice), format, values);
    va_end(values);
    return tool_error(error, where, advice);
}

static int error_of(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return FWR_E_NOT_FOUND;
    case EACCES:
    case EPERM:
    case EROFS:
        return FWR_E_ACCESS;
    case ENOMEM:
        return FWR_E_MEMORY;
    default:
        return FWR_E_IO;
    }
}

int tool_system_error(int number, const char *where, const char *doing)
{
    int error = error_of(number);

    fflush(stdout);
    fprintf(stderr, "fwrecover: %s: %s: %s (%s)\n", where, doing, strerror(number),
            fwr_error_name(error));
    return tool_exit_of(error);
}

int tool_usage(const char *format, ...)
{
    va_list values;

    fflush(stdout);
    fputs("fwrecover: ", stderr);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
    return TOOL_USAGE;
}

void tool_note(const char *format, ...)
{
    va_list values;

    fflush(stdout);
    fputs("fwrecover: note: ", stderr);
    va_start(values, format);
    vfprintf(stderr, format, values);
    va_end(values);
    fputc('\n', stderr);
}
