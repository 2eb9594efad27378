# cli: weft and its verbs.
bin_PROGRAMS += weft
weft_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS) $(CURL_CFLAGS) -DWEFT_CONF_DEFAULT=\"$(sysconfdir)/weft/weft.conf\"
weft_SOURCES = src/cli/cli.h src/cli/serve.c src/cli/timeline.c src/cli/warm.c src/cli/weft.c $(WEFT_API_SOURCES)
weft_LDFLAGS = $(AM_LDFLAGS) -export-dynamic
weft_LDADD = libserver.la libapp.la libback.la libfront.la librequest.la libloop.la libfiber.la libwire.la libbase.la \
	$(JANSSON_LIBS) $(CURL_LIBS) -ldl
