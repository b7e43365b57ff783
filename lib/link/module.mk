# SPDX-License-Identifier: Apache-2.0
fwr_file_sources += lib/link/lan.c
fwr_sources += lib/link/discover.c
