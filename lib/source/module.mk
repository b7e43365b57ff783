# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/source/flash.c
fwr_file_sources += lib/source/file.c
