# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/source/file.c lib/source/flash.c
