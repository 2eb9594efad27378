# request: one web request, whoever brought it.
noinst_LTLIBRARIES += librequest.la
librequest_la_SOURCES = \
	src/request/body.c src/request/body.h \
	src/request/input.c src/request/input.h \
	src/request/request.c src/request/request.h \
	src/request/request_own.h src/request/request_ready.c src/request/request_vars.c \
	src/request/response.c src/request/response.h \
	src/request/response_head.c src/request/response_head.h \
	src/request/router.c src/request/router.h \
	src/request/router_find.c src/request/router_own.h \
	src/request/timeline.c src/request/timeline.h \
	src/request/timeline_draw.c src/request/timeline_draw.h \
	src/request/timeline_json.c \
	src/request/timeline_svg.c \
	src/request/timeline_text.c \
	src/request/waitlist.c src/request/waitlist.h
