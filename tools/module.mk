# SPDX-License-Identifier: Apache-2.0
if TOOLS
bin_PROGRAMS += fwrecover
dist_bashcomp_DATA += tools/completion/fwrecover
endif
fwrecover_SOURCES = tools/fwrecover.c \
	tools/artifact.c tools/artifact.h \
	tools/files.c tools/files.h \
	tools/image.c tools/image.h tools/image-sign.c tools/image-show.c \
	tools/json.c tools/json.h \
	tools/key.c tools/key.h \
	tools/layout.c tools/layout.h \
	tools/number.c tools/number.h \
	tools/options.c tools/options.h \
	tools/say.c tools/say.h \
	tools/signing.c tools/signing.h \
	tools/trust.c tools/trust.h tools/trust-bmc.c tools/trust-bmc.h tools/trust-revoke.c \
	tools/trust-show.c tools/trust-sign.c
fwrecover_SOURCES += tools/net.c tools/net.h tools/secrets.c tools/secrets.h
fwrecover_SOURCES += tools/bmc.c tools/bmc.h tools/bmc-session.c tools/push.c \
	tools/scan.c tools/scan.h tools/listener.h
fwrecover_SOURCES += tools/peers.c tools/peers.h tools/progress.c tools/progress.h tools/road.c tools/road.h \
	tools/icmb-bus.c tools/icmb-bus.h tools/road-icmb.c tools/road-rmcp.c tools/road-serial.c tools/line.c tools/line.h \
	tools/outbox.c tools/outbox.h
if RECIPIENT
fwrecover_SOURCES += tools/recover.c tools/recover.h tools/donors.c tools/donors.h \
	tools/found.c tools/found.h
endif
if DONOR
fwrecover_SOURCES += tools/serve.c tools/serve.h tools/listener.c \
	tools/icmb-listener.c tools/icmb-listener.h \
	tools/serial-listener.c tools/serial-listener.h \
	tools/bluetooth-listener.c tools/bluetooth-listener.h
else
fwrecover_SOURCES += tools/listener-none.c
endif
fwrecover_CFLAGS = $(AM_CFLAGS) $(JSON_C_CFLAGS) $(CONFUSE_CFLAGS)
fwrecover_LDADD = libfwrecover.la $(CRYPTO_LIBS) $(JSON_C_LIBS) $(CONFUSE_LIBS)
