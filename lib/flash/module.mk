# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/flash/file.c lib/flash/ramnor.c
