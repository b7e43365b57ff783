# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/banks/slots.c
