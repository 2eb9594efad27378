# request: one web request, whoever brought it.
noinst_LTLIBRARIES += librequest.la
librequest_la_SOURCES = \
	src/request/body.c src/request/body.h \
	src/request/input.c src/request/input.h \
	src/request/request.c src/request/request.h \
	src/request/response.c src/request/response.h \
	src/request/router.c src/request/router.h \
	src/request/timeline.c src/request/timeline.h \
	src/request/timeline_svg.c
