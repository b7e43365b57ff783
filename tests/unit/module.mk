# SPDX-License-Identifier: Apache-2.0
unit_tests += tests/unit/test_error
unit_tests += tests/unit/test_cursor
