# cli: weft and its verbs.  What measures knows nothing of the server: it is a library of its own.
noinst_LTLIBRARIES += libbench.la
libbench_la_SOURCES = \
	src/cli/bench_answer.c src/cli/bench_answer.h \
	src/cli/bench_hist.c src/cli/bench_hist.h \
	src/cli/bench_load.c src/cli/bench_load.h \
	src/cli/bench_opts.c src/cli/bench_opts.h \
	src/cli/bench_request.c src/cli/bench_request.h \
	src/cli/bench_tree.c src/cli/bench_tree.h
bin_PROGRAMS += weft
weft_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(CURL_CFLAGS) -DWEFT_CONF_DEFAULT=\"$(sysconfdir)/weft/weft.conf\"
weft_SOURCES = src/cli/bench.c src/cli/cli.h src/cli/serve.c src/cli/timeline.c src/cli/warm.c src/cli/weft.c $(WEFT_API_SOURCES)
weft_LDFLAGS = $(WHOLE_LINK) -export-dynamic
weft_LDADD = libbench.la libserver.la libapp.la libback.la libfront.la librequest.la libloop.la libfiber.la libwire.la libbase.la \
	$(JANSSON_LIBS) $(CURL_LIBS) -ldl
