# server: configuration, master, workers, control socket.
noinst_LTLIBRARIES += libserver.la
libserver_la_CPPFLAGS = $(AM_CPPFLAGS) $(CONFUSE_CFLAGS) $(JANSSON_CFLAGS) $(SECCOMP_CFLAGS)
libserver_la_LIBADD = $(CONFUSE_LIBS) $(JANSSON_LIBS) $(SECCOMP_LIBS)
libserver_la_SOURCES = \
	src/server/allow.c src/server/allow.h \
	src/server/config.c src/server/config.h \
	src/server/config_text.c src/server/config_text.h \
	src/server/control.c src/server/control.h \
	src/server/gates.c src/server/gates.h \
	src/server/generation.c src/server/generation.h \
	src/server/link.c src/server/link.h \
	src/server/master.c src/server/master.h \
	src/server/master_gate.c src/server/master_own.h \
	src/server/master_socket.c src/server/master_verb.c \
	src/server/quota.c src/server/quota.h \
	src/server/sandbox.c src/server/sandbox.h \
	src/server/setup.c src/server/setup.h \
	src/server/share.c src/server/share.h \
	src/server/worker.c src/server/worker.h
