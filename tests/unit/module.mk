# SPDX-License-Identifier: Apache-2.0
unit_tests += tests/unit/test_error
check_scripts += tests/unit/headers tests/unit/exports
unit_tests += tests/unit/test_cursor
