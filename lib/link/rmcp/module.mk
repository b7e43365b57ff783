# SPDX-License-Identifier: Apache-2.0
# The initiator is also a console's way to a BMC, so every build has it.
fwr_sources += \
	lib/link/rmcp/crypto.c lib/link/rmcp/crypto.h \
	lib/link/rmcp/initiator.c \
	lib/link/rmcp/packet.c lib/link/rmcp/packet.h \
	lib/link/rmcp/road.c \
	lib/link/rmcp/session.c lib/link/rmcp/session.h
if DONOR
fwr_sources += \
	lib/link/rmcp/answers.c lib/link/rmcp/answers.h \
	lib/link/rmcp/active.c lib/link/rmcp/login.c \
	lib/link/rmcp/responder.c lib/link/rmcp/responder.h
endif
