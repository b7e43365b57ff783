# SPDX-License-Identifier: Apache-2.0
fwr_sources += lib/image/compatible.c lib/image/envelope.c \
	lib/image/key.c lib/image/key.h lib/image/manifest.c \
	lib/image/sign.c lib/image/tlv.c lib/image/tlv.h lib/image/tree.c lib/image/trust.c
