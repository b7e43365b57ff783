# SPDX-License-Identifier: Apache-2.0
fwr_file_sources += lib/flash/file.c
fwr_emulator_sources += lib/flash/ramnor.c
