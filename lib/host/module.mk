# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/host/null.c lib/host/recorder.c
