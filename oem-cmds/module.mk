# SPDX-License-Identifier: Apache-2.0
fwr_sources += oem-cmds/table.c oem-cmds/table.h oem-cmds/dispatch.c
