# wire: bytes to values and back; pure.
noinst_LTLIBRARIES += libwire.la
libwire_la_SOURCES = \
	src/wire/cgi_head.c src/wire/cgi_head.h \
	src/wire/cookie.c src/wire/cookie.h \
	src/wire/fcgi_param.c src/wire/fcgi_param.h \
	src/wire/fcgi_record.c src/wire/fcgi_record.h \
	src/wire/fcgi_rx.c src/wire/fcgi_rx.h \
	src/wire/html.c src/wire/html.h \
	src/wire/urlencoded.c src/wire/urlencoded.h
