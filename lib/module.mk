# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/error.c
fwr_sources += lib/platform.c
fwr_file_sources += lib/fileio.c lib/fileio.h
