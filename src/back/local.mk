# back: the back ends' side: the pool, and a folder for each driver.
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
	src/back/pool.c src/back/pool.h src/back/pool_impl.h \
	src/back/pool_conn.c \
	src/back/pool_gone.c \
	src/back/pool_health.c \
	src/back/pool_open.c \
	src/back/pool_pace.c \
	src/back/pool_permit.c \
	src/back/pool_time.c \
	src/back/url.c src/back/url.h
# What handlers and fuzz targets see of drivers needs no client library.
libback_la_SOURCES += \
	src/back/http/http_head.c src/back/http/http_head.h \
	src/back/http/http_stream.c src/back/http/http_stream.h \
	src/back/http/httptext.c src/back/http/httptext.h \
	src/back/redis/redis_key.c src/back/redis/redis_key.h \
	src/back/redis/redis_rule.c \
	src/back/redis/redis_slots.c src/back/redis/redis_slots.h \
	src/back/redis/reply.c src/back/redis/reply.h \
	src/back/sql/rows.c src/back/sql/rows.h \
	src/back/sql/rows_draft.c src/back/sql/rows_draft.h \
	src/back/sql/sqltext.c src/back/sql/sqltext.h \
	src/back/sql/stmts.c src/back/sql/stmts.h
if HAVE_REDIS
libback_la_CPPFLAGS += $(REDIS_CFLAGS)
libback_la_LIBADD += $(REDIS_LIBS)
libback_la_SOURCES += \
	src/back/redis/redis.c src/back/redis/redis_impl.h \
	src/back/redis/redis_cluster.c src/back/redis/redis_cluster.h \
	src/back/redis/redis_dial.c src/back/redis/redis_hear.c src/back/redis/redis_lease.c \
	src/back/redis/redis_map.c src/back/redis/redis_node.c \
	src/back/redis/redis_reply.c src/back/redis/redis_seek.c src/back/redis/redis_url.c
endif
if HAVE_POSTGRES
libback_la_CPPFLAGS += $(POSTGRES_CFLAGS)
libback_la_LIBADD += $(POSTGRES_LIBS)
libback_la_SOURCES += \
	src/back/postgres/postgres.c src/back/postgres/postgres.h \
	src/back/postgres/postgres_cancel.c src/back/postgres/postgres_connect.c \
	src/back/postgres/postgres_gather.c src/back/postgres/postgres_gather.h \
	src/back/postgres/postgres_hear.c src/back/postgres/postgres_hosts.c src/back/postgres/postgres_lease.c \
	src/back/postgres/postgres_put.c src/back/postgres/postgres_stream.c src/back/postgres/postgres_take.c
endif
if HAVE_SQLITE
libback_la_CPPFLAGS += $(SQLITE_CFLAGS)
libback_la_LIBADD += $(SQLITE_LIBS)
libback_la_SOURCES += \
	src/back/sqlite/sqlite.c src/back/sqlite/sqlite.h \
	src/back/sqlite/sqlite_guard.c src/back/sqlite/sqlite_job.c
endif
if HAVE_CURL
libback_la_CPPFLAGS += $(CURL_CFLAGS)
libback_la_LIBADD += $(CURL_LIBS)
libback_la_SOURCES += \
	src/back/http/http.c src/back/http/http_impl.h \
	src/back/http/http_client.c src/back/http/http_easy.c src/back/http/http_sock.c
endif
if HAVE_MARIADB
libback_la_CPPFLAGS += $(MARIADB_CFLAGS)
libback_la_LIBADD += $(MARIADB_LIBS)
libback_la_SOURCES += \
	src/back/mariadb/mariadb.c src/back/mariadb/mariadb.h \
	src/back/mariadb/mariadb_cancel.c src/back/mariadb/mariadb_dial.c src/back/mariadb/mariadb_ear.c \
	src/back/mariadb/mariadb_lease.c src/back/mariadb/mariadb_put.c src/back/mariadb/mariadb_run.c \
	src/back/mariadb/mariadb_step.c src/back/mariadb/mariadb_stream.c src/back/mariadb/mariadb_take.c \
	src/back/mariadb/mariadb_text.c src/back/mariadb/mariadb_text.h
endif
