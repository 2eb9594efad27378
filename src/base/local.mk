# base: what every layer may use; libc only.
noinst_LTLIBRARIES += libbase.la
libbase_la_SOURCES = \
	src/base/arena.c src/base/arena.h \
	src/base/buf.c src/base/buf.h \
	src/base/clock.c src/base/clock.h \
	src/base/fault.c src/base/fault.h \
	src/base/log.c src/base/log.h \
	src/base/must.c src/base/must.h \
	src/base/span.h
