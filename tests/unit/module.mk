# SPDX-License-Identifier: Apache-2.0
unit_tests += tests/unit/test_error
unit_tests += tests/unit/test_cursor
unit_tests += tests/unit/test_crc32 tests/unit/test_platform tests/unit/test_flash_ramnor
