# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/wire/cursor.c lib/wire/cursor.h
