# app: modules, dispatch, status pages.  The exported API is linked into the
# program itself (WEFT_API_SOURCES), or the linker would leave out what only modules call.
noinst_LTLIBRARIES += libapp.la
libapp_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)
libapp_la_LIBADD = $(JANSSON_LIBS)
libapp_la_SOURCES = \
	src/app/app.c src/app/app.h \
	src/app/fail.c src/app/fail.h \
	src/app/module.c src/app/module.h \
	src/app/page.c src/app/page.h
WEFT_API_SOURCES = \
	src/app/api_back.c \
	src/app/api_call.c src/app/api_call.h \
	src/app/api_http.c \
	src/app/api_lease.c \
	src/app/api_request.c \
	src/app/api_response.c \
	src/app/api_script.c \
	src/app/api_stream.c \
	src/app/api_subscribe.c \
	src/app/api_wait.c
