# SPDX-License-Identifier: Apache-2.0
fwr_file_sources += lib/store/dir.c
fwr_emulator_sources += lib/store/ram.c
