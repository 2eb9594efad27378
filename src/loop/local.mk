# loop: the only room that knows libevent.
noinst_LTLIBRARIES += libloop.la
libloop_la_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS)
libloop_la_LIBADD = $(EVENT_LIBS)
libloop_la_SOURCES = \
	src/loop/child.c src/loop/child.h \
	src/loop/chunk.c src/loop/chunk.h \
	src/loop/fdpass.c src/loop/fdpass.h \
	src/loop/listen.c src/loop/listen.h \
	src/loop/listener.c \
	src/loop/loop.c src/loop/loop.h src/loop/loop_inside.h \
	src/loop/resolve.c src/loop/resolve.h \
	src/loop/signal.c \
	src/loop/stall.c src/loop/stall.h \
	src/loop/stream.c src/loop/stream.h src/loop/stream_inside.h \
	src/loop/stream_io.c \
	src/loop/thread.c src/loop/thread.h \
	src/loop/thread_run.c \
	src/loop/timer.c \
	src/loop/watch.c
