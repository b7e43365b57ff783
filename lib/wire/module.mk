# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/wire/command.c lib/wire/cursor.c lib/wire/cursor.h lib/wire/names.c
fwr_sources += lib/wire/crc32.c lib/wire/crc32.h
fwr_sources += lib/wire/record.c lib/wire/record.h
