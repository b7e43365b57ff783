/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libFuzzer: any bytes as a manifest. Only signed bytes get this far, but a signature does not
 * make a parser right. What is taken has a legal map and at least one leaf, and encodes to
 * something that decodes to the same manifest; to the very same bytes if nothing was skipped.
 */
#include <fwrecover/error.h>
#include <fwrecover/manifest.h>

#include "tests/fuzz/fuzz.h"

static void check_leaves(const struct fwr_manifest *manifest)
{
    uint32_t leaves = fwr_manifest_leaf_count(manifest);
    uint32_t last, leaf;

    require(leaves > 0);
    last = fwr_manifest_leaf_address(manifest, leaves - 1);
    require(last < manifest->flash_size && last % manifest->block_size == 0);
    require(fwr_manifest_leaf_at(manifest, last, &leaf) && leaf == leaves - 1);
    require(fwr_manifest_leaf_address(manifest, leaves) == UINT32_MAX);
    require(!fwr_manifest_leaf_at(manifest, manifest->flash_size, &leaf));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t encoded[FWR_MANIFEST_MAX];
    struct fwr_manifest manifest, again;
    int length;

    if (fwr_manifest_decode(data, size, &manifest) != FWR_OK)
        return 0;
    require(fwr_region_map_check(&manifest.map, manifest.flash_size, manifest.block_size) ==
            FWR_OK);
    check_leaves(&manifest);
    length = fwr_manifest_encode(&manifest, encoded, sizeof(encoded));
    require(length > 0 && (size_t)length <= size);
    require(memcmp(encoded, data, (size_t)length) == 0);
    require(fwr_manifest_decode(encoded, (size_t)length, &again) == FWR_OK);
    require(memcmp(&manifest, &again, sizeof(manifest)) == 0);
    return 0;
}
