# back: the back ends' side: one pool, one driver a file.
noinst_LTLIBRARIES += libback.la
libback_la_CPPFLAGS = $(AM_CPPFLAGS)
libback_la_LIBADD =
libback_la_SOURCES = \
	src/back/call.c src/back/call.h \
	src/back/channel.c src/back/channel.h \
	src/back/driver.c src/back/driver.h \
	src/back/hub.c src/back/hub.h \
	src/back/hub_conn.c src/back/hub_impl.h \
	src/back/lease.c src/back/lease.h \
	src/back/http_head.c src/back/http_head.h \
	src/back/http_stream.c src/back/http_stream.h \
	src/back/httptext.c src/back/httptext.h \
	src/back/pool.c src/back/pool.h \
	src/back/pool_conn.c src/back/pool_impl.h \
	src/back/pool_gone.c \
	src/back/pool_health.c \
	src/back/pool_open.c \
	src/back/pool_pace.c \
	src/back/pool_permit.c \
	src/back/pool_time.c \
	src/back/redis_key.c src/back/redis_key.h \
	src/back/redis_rule.c \
	src/back/redis_slots.c src/back/redis_slots.h \
	src/back/reply.c src/back/reply.h \
	src/back/rows.c src/back/rows.h \
	src/back/rows_draft.c src/back/rows_draft.h \
	src/back/sqltext.c src/back/sqltext.h \
	src/back/stmts.c src/back/stmts.h \
	src/back/url.c src/back/url.h
if HAVE_REDIS
libback_la_CPPFLAGS += $(REDIS_CFLAGS)
libback_la_LIBADD += $(REDIS_LIBS)
libback_la_SOURCES += src/back/redis.c src/back/redis_impl.h \
	src/back/redis_cluster.c src/back/redis_cluster.h \
	src/back/redis_hear.c src/back/redis_lease.c src/back/redis_map.c src/back/redis_node.c src/back/redis_reply.c src/back/redis_seek.c src/back/redis_url.c
endif
if HAVE_POSTGRES
libback_la_CPPFLAGS += $(POSTGRES_CFLAGS)
libback_la_LIBADD += $(POSTGRES_LIBS)
libback_la_SOURCES += \
	src/back/postgres.c src/back/postgres.h \
	src/back/postgres_cancel.c src/back/postgres_connect.c \
	src/back/postgres_gather.c src/back/postgres_gather.h \
	src/back/postgres_hear.c src/back/postgres_hosts.c src/back/postgres_lease.c \
	src/back/postgres_put.c src/back/postgres_stream.c src/back/postgres_take.c
endif
if HAVE_SQLITE
libback_la_CPPFLAGS += $(SQLITE_CFLAGS)
libback_la_LIBADD += $(SQLITE_LIBS)
libback_la_SOURCES += \
	src/back/sqlite.c src/back/sqlite.h \
	src/back/sqlite_guard.c src/back/sqlite_job.c
endif
if HAVE_CURL
libback_la_CPPFLAGS += $(CURL_CFLAGS)
libback_la_LIBADD += $(CURL_LIBS)
libback_la_SOURCES += \
	src/back/http.c src/back/http_impl.h \
	src/back/http_client.c src/back/http_easy.c src/back/http_sock.c
endif
if HAVE_MARIADB
libback_la_CPPFLAGS += $(MARIADB_CFLAGS)
libback_la_LIBADD += $(MARIADB_LIBS)
libback_la_SOURCES += \
	src/back/mariadb.c src/back/mariadb.h \
	src/back/mariadb_cancel.c src/back/mariadb_dial.c src/back/mariadb_ear.c src/back/mariadb_lease.c \
	src/back/mariadb_put.c src/back/mariadb_run.c src/back/mariadb_step.c src/back/mariadb_stream.c src/back/mariadb_take.c \
	src/back/mariadb_text.c src/back/mariadb_text.h
endif
