# unit tests of src/back
BACK_TESTS = tests/unit/back_call tests/unit/back_http_head tests/unit/back_httptext tests/unit/back_lease tests/unit/back_pool tests/unit/back_url
BACK_SUPPORT = tests/unit/back_support.c tests/unit/back_support.h
BACK_LIAR = tests/unit/back_liar.c tests/unit/back_liar.h
BACK_WEB = tests/unit/back_web.c tests/unit/back_web.h $(BACK_LIAR)
BACK_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)
if HAVE_REDIS
BACK_TESTS += tests/unit/back_redis tests/unit/back_lease_redis tests/unit/back_hostile_redis
endif
if HAVE_CURL
BACK_TESTS += tests/unit/back_hostile_http tests/unit/back_http tests/unit/back_http_nginx tests/unit/back_http_stream
endif
check_PROGRAMS += $(BACK_TESTS)
TESTS += $(BACK_TESTS)
tests_unit_back_call_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_call_SOURCES = tests/unit/back_call.c $(BACK_SUPPORT)
tests_unit_back_call_LDADD = $(UNIT_BACK)
tests_unit_back_lease_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_lease_SOURCES = tests/unit/back_lease.c tests/unit/back_fake.c tests/unit/back_fake.h $(BACK_SUPPORT)
tests_unit_back_lease_LDADD = $(UNIT_BACK)
tests_unit_back_pool_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_pool_SOURCES = tests/unit/back_pool.c tests/unit/back_fake.c tests/unit/back_fake.h $(BACK_SUPPORT)
tests_unit_back_pool_LDADD = $(UNIT_BACK)
tests_unit_back_url_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_url_LDADD = $(UNIT_BACK)
tests_unit_back_http_head_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_http_head_LDADD = $(UNIT_BACK)
tests_unit_back_httptext_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_httptext_LDADD = $(UNIT_BACK)
tests_unit_back_redis_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_redis_SOURCES = tests/unit/back_redis.c $(BACK_SUPPORT)
tests_unit_back_redis_LDADD = $(UNIT_BACK)
tests_unit_back_lease_redis_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_lease_redis_SOURCES = tests/unit/back_lease_redis.c tests/unit/back_sql_kit.h
tests_unit_back_lease_redis_LDADD = $(UNIT_BACK)
tests_unit_back_hostile_redis_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_hostile_redis_SOURCES = tests/unit/back_hostile_redis.c $(BACK_SUPPORT) $(BACK_LIAR)
tests_unit_back_hostile_redis_LDADD = $(UNIT_BACK)
tests_unit_back_http_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_http_SOURCES = tests/unit/back_http.c $(BACK_WEB) $(BACK_SUPPORT)
tests_unit_back_http_LDADD = $(UNIT_BACK)
tests_unit_back_http_stream_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_http_stream_SOURCES = tests/unit/back_http_stream.c $(BACK_WEB) $(BACK_SUPPORT)
tests_unit_back_http_stream_LDADD = $(UNIT_BACK)
tests_unit_back_hostile_http_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_hostile_http_SOURCES = tests/unit/back_hostile_http.c $(BACK_WEB) $(BACK_SUPPORT)
tests_unit_back_hostile_http_LDADD = $(UNIT_BACK)
tests_unit_back_http_nginx_CPPFLAGS = $(BACK_CPPFLAGS)
tests_unit_back_http_nginx_SOURCES = tests/unit/back_http_nginx.c $(BACK_WEB) $(BACK_SUPPORT)
tests_unit_back_http_nginx_LDADD = $(UNIT_BACK)
