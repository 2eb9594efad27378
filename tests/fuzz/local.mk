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
FUZZ_SOURCES = tests/fuzz/replay.c tests/fuzz/fuzz.h tests/fuzz/redis_rest.h
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

check_PROGRAMS += \
	tests/fuzz/allow_replay \
	tests/fuzz/back_url_replay \
	tests/fuzz/config_replay \
	tests/fuzz/control_replay \
	tests/fuzz/gate_answer_replay \
	tests/fuzz/gate_params_replay \
	tests/fuzz/http_head_replay \
	tests/fuzz/http_target_replay \
	tests/fuzz/link_replay \
	tests/fuzz/mariadb_text_replay \
	tests/fuzz/redis_command_replay \
	tests/fuzz/redis_slots_replay \
	tests/fuzz/request_replay \
	tests/fuzz/sqltext_replay \
	tests/fuzz/timeline_replay
TESTS += \
	tests/fuzz/allow_replay \
	tests/fuzz/back_url_replay \
	tests/fuzz/config_replay \
	tests/fuzz/control_replay \
	tests/fuzz/gate_answer_replay \
	tests/fuzz/gate_params_replay \
	tests/fuzz/http_head_replay \
	tests/fuzz/http_target_replay \
	tests/fuzz/link_replay \
	tests/fuzz/mariadb_text_replay \
	tests/fuzz/redis_command_replay \
	tests/fuzz/redis_slots_replay \
	tests/fuzz/request_replay \
	tests/fuzz/sqltext_replay \
	tests/fuzz/timeline_replay

tests_fuzz_allow_replay_SOURCES = tests/fuzz/allow.c src/server/allow.c $(FUZZ_SOURCES)
tests_fuzz_allow_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"allow"'
tests_fuzz_allow_replay_LDADD = libbase.la

tests_fuzz_back_url_replay_SOURCES = tests/fuzz/back_url.c $(FUZZ_SOURCES)
tests_fuzz_back_url_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"back_url"'
tests_fuzz_back_url_replay_LDADD = libback.la libbase.la

# It says itself what a good pool is, so it is built with the files and not the library.
tests_fuzz_config_replay_SOURCES = tests/fuzz/config.c src/server/config.c src/server/config_text.c src/server/sandbox.c src/server/allow.c src/back/url.c $(FUZZ_SOURCES)
tests_fuzz_config_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) $(CONFUSE_CFLAGS) $(SECCOMP_CFLAGS) -DFUZZ_TARGET='"config"'
tests_fuzz_config_replay_LDADD = libbase.la $(CONFUSE_LIBS) $(SECCOMP_LIBS)

tests_fuzz_control_replay_SOURCES = tests/fuzz/control.c $(FUZZ_SOURCES)
tests_fuzz_control_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"control"'
tests_fuzz_control_replay_LDADD = libserver.la libloop.la libfiber.la libbase.la

# It includes src/gate/answer.c, with reads and writes of its own.
tests_fuzz_gate_answer_replay_SOURCES = tests/fuzz/gate_answer.c src/gate/params.c $(FUZZ_SOURCES)
tests_fuzz_gate_answer_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"gate_answer"'
tests_fuzz_gate_answer_replay_LDADD = libbase.la

tests_fuzz_gate_params_replay_SOURCES = tests/fuzz/gate_params.c src/gate/params.c $(FUZZ_SOURCES)
tests_fuzz_gate_params_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"gate_params"'
tests_fuzz_gate_params_replay_LDADD = libwire.la libbase.la

tests_fuzz_http_head_replay_SOURCES = tests/fuzz/http_head.c src/back/http/http_head.c src/back/http/httptext.c $(FUZZ_SOURCES)
tests_fuzz_http_head_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"http_head"'
tests_fuzz_http_head_replay_LDADD = libbase.la

tests_fuzz_http_target_replay_SOURCES = tests/fuzz/http_target.c src/back/http/httptext.c $(FUZZ_SOURCES)
tests_fuzz_http_target_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"http_target"'
tests_fuzz_http_target_replay_LDADD = libbase.la

tests_fuzz_link_replay_SOURCES = tests/fuzz/link.c $(FUZZ_SOURCES)
tests_fuzz_link_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"link"'
tests_fuzz_link_replay_LDADD = libserver.la libloop.la libfiber.la libbase.la

tests_fuzz_mariadb_text_replay_SOURCES = tests/fuzz/mariadb_text.c src/back/mariadb/mariadb_text.c $(FUZZ_SOURCES)
tests_fuzz_mariadb_text_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"mariadb_text"'
tests_fuzz_mariadb_text_replay_LDADD = libbase.la

tests_fuzz_redis_command_replay_SOURCES = tests/fuzz/redis_command.c src/back/redis/redis_key.c src/back/redis/redis_rule.c src/back/redis/reply.c $(FUZZ_SOURCES)
tests_fuzz_redis_command_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"redis_command"'
tests_fuzz_redis_command_replay_LDADD = libbase.la

tests_fuzz_redis_slots_replay_SOURCES = tests/fuzz/redis_slots.c src/back/redis/redis_slots.c src/back/redis/redis_key.c src/back/redis/reply.c $(FUZZ_SOURCES)
tests_fuzz_redis_slots_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"redis_slots"'
tests_fuzz_redis_slots_replay_LDADD = libbase.la

tests_fuzz_request_replay_SOURCES = tests/fuzz/request.c $(FUZZ_SOURCES)
tests_fuzz_request_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"request"'
tests_fuzz_request_replay_LDADD = librequest.la libwire.la libfiber.la libbase.la

tests_fuzz_sqltext_replay_SOURCES = tests/fuzz/sqltext.c src/back/sql/sqltext.c $(FUZZ_SOURCES)
tests_fuzz_sqltext_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"sqltext"'
tests_fuzz_sqltext_replay_LDADD = libbase.la -lm

tests_fuzz_timeline_replay_SOURCES = tests/fuzz/timeline.c $(FUZZ_SOURCES)
tests_fuzz_timeline_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) -DFUZZ_TARGET='"timeline"'
tests_fuzz_timeline_replay_LDADD = librequest.la libwire.la libfiber.la libbase.la

if HAVE_REDIS
check_PROGRAMS += tests/fuzz/redis_reply_replay
TESTS += tests/fuzz/redis_reply_replay
tests_fuzz_redis_reply_replay_SOURCES = tests/fuzz/redis_reply.c src/back/redis/redis_reply.c src/back/redis/reply.c $(FUZZ_SOURCES)
tests_fuzz_redis_reply_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) $(REDIS_CFLAGS) -DFUZZ_TARGET='"redis_reply"'
tests_fuzz_redis_reply_replay_LDADD = libbase.la $(REDIS_LIBS)
check_PROGRAMS += tests/fuzz/redis_hear_replay
TESTS += tests/fuzz/redis_hear_replay
tests_fuzz_redis_hear_replay_SOURCES = tests/fuzz/redis_hear.c src/back/redis/redis_hear.c src/back/redis/redis_reply.c src/back/redis/reply.c $(FUZZ_SOURCES)
tests_fuzz_redis_hear_replay_CPPFLAGS = $(FUZZ_CPPFLAGS) $(REDIS_CFLAGS) -DFUZZ_TARGET='"redis_hear"'
tests_fuzz_redis_hear_replay_LDADD = libbase.la $(REDIS_LIBS)
endif
