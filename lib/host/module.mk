# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/host/null.c
fwr_emulator_sources += lib/host/recorder.c
