/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least program that uses an installed libfwrecover; tests/build/installed builds it.
 */
#include <fwrecover/error.h>
#include <fwrecover/version.h>

#include <stdio.h>

int main(void)
{
    printf("%s: %s\n", FWR_VERSION, fwr_error_text(FWR_OK));
    return 0;
}
