# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/store/dir.c lib/store/ram.c
