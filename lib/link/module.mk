# SPDX-License-Identifier: Apache-2.0
fwr_file_sources += lib/link/tty.c
