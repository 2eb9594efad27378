# front: the web server's side.
noinst_LTLIBRARIES += libfront.la
libfront_la_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS)
libfront_la_LIBADD = $(EVENT_LIBS)
libfront_la_SOURCES = \
	src/front/fcgi_conn.c src/front/fcgi_conn.h \
	src/front/fcgi_ids.c src/front/fcgi_in.c src/front/fcgi_internal.h src/front/fcgi_out.c \
	src/front/fcgi_time.c \
	src/front/front.h \
	src/front/http_dev.c src/front/http_dev.h \
	src/front/http_dev_vars.c src/front/http_dev_vars.h
