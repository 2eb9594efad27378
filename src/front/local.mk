# front: the web server's side.
noinst_LTLIBRARIES += libfront.la
libfront_la_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS)
libfront_la_LIBADD = $(EVENT_LIBS)
libfront_la_SOURCES = \
	src/front/fcgi_conn.c src/front/fcgi_conn.h \
	src/front/front.h \
	src/front/http_dev.c src/front/http_dev.h
