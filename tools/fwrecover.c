/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fwrecover command: finds the subcommand. Everything else is in the subcommands' files.
 */
#include <config.h>

#include <stdio.h>
#include <string.h>

#include <fwrecover/version.h>

#include "tools/bmc.h"
#include "tools/image.h"
#include "tools/key.h"
#include "tools/options.h"
#include "tools/recover.h"
#include "tools/say.h"
#include "tools/scan.h"
#include "tools/serve.h"
#include "tools/trust.h"

int main(int argc, char **argv)
{
    static const struct tool_command commands[] = {
        {"key", "make release keys", tool_key},
        {"trust", "say which keys must sign", tool_trust},
        {"image", "describe, sign, check and compare images", tool_image},
#if FWR_DONOR
        {"serve", "give images away", tool_serve},
#endif
#if FWR_RECIPIENT
        {"recover", "repair a flash file from donors", tool_recover},
#endif
        {"scan", "check a flash file against an image", tool_scan},
        {"status", "show a BMC's recovery", tool_status},
        {"start", "start a run on a BMC", tool_start},
        {"abort", "stop a run on a BMC", tool_abort},
        {"log", "print a BMC's log", tool_log},
        {"push", "bring an image to a BMC", tool_push},
        {NULL, NULL, NULL},
    };

    if (argc >= 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)) {
        printf("fwrecover %s (wire version %d)\n", FWR_VERSION, FWR_WIRE_VERSION);
        return TOOL_OK;
    }
    return tool_dispatch(commands, "", argc, argv);
}
