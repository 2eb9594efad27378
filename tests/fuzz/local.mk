# Fuzz targets: libFuzzer runs them by script/fuzz; here their seeds are replayed by whatever compiler builds the tree.
check_PROGRAMS += \
	tests/fuzz/cgi_head_replay \
	tests/fuzz/cookie_replay \
	tests/fuzz/fcgi_param_replay \
	tests/fuzz/fcgi_rx_replay \
	tests/fuzz/html_replay \
	tests/fuzz/urlencoded_replay
TESTS += \
	tests/fuzz/cgi_head_replay \
	tests/fuzz/cookie_replay \
	tests/fuzz/fcgi_param_replay \
	tests/fuzz/fcgi_rx_replay \
	tests/fuzz/html_replay \
	tests/fuzz/urlencoded_replay
EXTRA_DIST += script/fuzz tests/fuzz/seeds
FUZZ_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz.h
FUZZ_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_SEEDS='"$(abs_top_srcdir)/tests/fuzz/seeds"'

tests_fuzz_cgi_head_replay_SOURCES = tests/fuzz/cgi_head.c $(FUZZ_SOURCES)
tests_fuzz_cgi_head_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"cgi_head"'
tests_fuzz_cgi_head_replay_LDADD = libwire.la libbase.la

tests_fuzz_cookie_replay_SOURCES = tests/fuzz/cookie.c $(FUZZ_SOURCES)
tests_fuzz_cookie_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"cookie"'
tests_fuzz_cookie_replay_LDADD = libwire.la libbase.la

tests_fuzz_fcgi_param_replay_SOURCES = tests/fuzz/fcgi_param.c $(FUZZ_SOURCES)
tests_fuzz_fcgi_param_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"fcgi_param"'
tests_fuzz_fcgi_param_replay_LDADD = libwire.la libbase.la

tests_fuzz_fcgi_rx_replay_SOURCES = tests/fuzz/fcgi_rx.c $(FUZZ_SOURCES)
tests_fuzz_fcgi_rx_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"fcgi_rx"'
tests_fuzz_fcgi_rx_replay_LDADD = libwire.la libbase.la

tests_fuzz_html_replay_SOURCES = tests/fuzz/html.c $(FUZZ_SOURCES)
tests_fuzz_html_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"html"'
tests_fuzz_html_replay_LDADD = libwire.la libbase.la

tests_fuzz_urlencoded_replay_SOURCES = tests/fuzz/urlencoded.c $(FUZZ_SOURCES)
tests_fuzz_urlencoded_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"urlencoded"'
tests_fuzz_urlencoded_replay_LDADD = libwire.la libbase.la

check_PROGRAMS += tests/fuzz/router_replay
TESTS += tests/fuzz/router_replay
tests_fuzz_router_replay_SOURCES = tests/fuzz/router.c $(FUZZ_SOURCES)
tests_fuzz_router_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"router"'
tests_fuzz_router_replay_LDADD = librequest.la libwire.la libbase.la
