# unit tests of the SQL drivers
BACK_SERVER = tests/unit/back_server.c tests/unit/back_server.h
BACK_CUT = tests/unit/back_cut.c tests/unit/back_cut.h
BACK_MARIA = tests/unit/back_maria.c tests/unit/back_maria.h
# What is asserted of several databases alike (back_same.h).
BACK_SAME = tests/unit/back_same.c tests/unit/back_same.h tests/unit/back_parts_kit.h tests/unit/back_sql_kit.h $(BACK_CUT)
BACK_SAME_ASKS = tests/unit/back_same_answers.c tests/unit/back_same_connects.c tests/unit/back_same_losses.c tests/unit/back_same_waits.c $(BACK_SAME)
BACK_SAME_LEASES = tests/unit/back_same_lease.c tests/unit/back_same_transaction.c $(BACK_SAME)
check_PROGRAMS += tests/unit/back_rows
TESTS += tests/unit/back_rows
tests_unit_back_rows_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_back_rows_LDADD = $(UNIT_BACK)
if HAVE_POSTGRES
check_PROGRAMS += tests/unit/back_postgres
TESTS += tests/unit/back_postgres
tests_unit_back_postgres_SOURCES = tests/unit/back_postgres.c tests/unit/back_same_postgres.c $(BACK_SAME_ASKS) $(BACK_SERVER)
tests_unit_back_postgres_CPPFLAGS = $(UNIT_CPPFLAGS) $(POSTGRES_CFLAGS)
tests_unit_back_postgres_LDADD = $(UNIT_BACK)
check_PROGRAMS += tests/unit/back_postgres_hosts
TESTS += tests/unit/back_postgres_hosts
tests_unit_back_postgres_hosts_SOURCES = tests/unit/back_postgres_hosts.c tests/unit/back_sql_kit.h $(BACK_SERVER)
tests_unit_back_postgres_hosts_CPPFLAGS = $(UNIT_CPPFLAGS) $(POSTGRES_CFLAGS)
tests_unit_back_postgres_hosts_LDADD = $(UNIT_BACK)
check_PROGRAMS += tests/unit/back_hub_postgres
TESTS += tests/unit/back_hub_postgres
tests_unit_back_hub_postgres_SOURCES = tests/unit/back_hub_postgres.c tests/unit/back_hub_kit.h tests/unit/back_sql_kit.h \
	$(BACK_SERVER) $(BACK_SUPPORT)
tests_unit_back_hub_postgres_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)
tests_unit_back_hub_postgres_LDADD = $(UNIT_BACK)
check_PROGRAMS += tests/unit/back_lease_postgres
TESTS += tests/unit/back_lease_postgres
tests_unit_back_lease_postgres_SOURCES = tests/unit/back_lease_postgres.c tests/unit/back_same_postgres.c $(BACK_SAME_LEASES) $(BACK_SERVER)
tests_unit_back_lease_postgres_CPPFLAGS = $(UNIT_CPPFLAGS) $(POSTGRES_CFLAGS)
tests_unit_back_lease_postgres_LDADD = $(UNIT_BACK)
check_PROGRAMS += tests/unit/back_parts_postgres
TESTS += tests/unit/back_parts_postgres
tests_unit_back_parts_postgres_SOURCES = tests/unit/back_parts_postgres.c tests/unit/back_parts_kit.h tests/unit/back_sql_kit.h $(BACK_SERVER)
tests_unit_back_parts_postgres_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_back_parts_postgres_LDADD = $(UNIT_BACK)
check_PROGRAMS += tests/unit/back_hostile
TESTS += tests/unit/back_hostile
tests_unit_back_hostile_SOURCES = tests/unit/back_hostile.c tests/unit/back_parts_kit.h tests/unit/back_sql_kit.h $(BACK_LIAR)
tests_unit_back_hostile_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir) $(POSTGRES_CFLAGS)
tests_unit_back_hostile_LDADD = $(UNIT_BACK)
endif
if HAVE_MARIADB
check_PROGRAMS += tests/unit/back_mariadb
TESTS += tests/unit/back_mariadb
tests_unit_back_mariadb_SOURCES = tests/unit/back_mariadb.c tests/unit/back_same_mariadb.c $(BACK_SAME_ASKS) $(BACK_MARIA)
tests_unit_back_mariadb_CPPFLAGS = $(UNIT_CPPFLAGS) $(MARIADB_CFLAGS)
tests_unit_back_mariadb_LDADD = $(UNIT_BACK) $(MARIADB_LIBS)
check_PROGRAMS += tests/unit/back_lease_mariadb
TESTS += tests/unit/back_lease_mariadb
tests_unit_back_lease_mariadb_SOURCES = tests/unit/back_lease_mariadb.c tests/unit/back_same_mariadb.c $(BACK_SAME_LEASES) $(BACK_MARIA)
tests_unit_back_lease_mariadb_CPPFLAGS = $(UNIT_CPPFLAGS) $(MARIADB_CFLAGS)
tests_unit_back_lease_mariadb_LDADD = $(UNIT_BACK) $(MARIADB_LIBS)
check_PROGRAMS += tests/unit/back_parts_mariadb
TESTS += tests/unit/back_parts_mariadb
tests_unit_back_parts_mariadb_SOURCES = tests/unit/back_parts_mariadb.c tests/unit/back_parts_kit.h tests/unit/back_sql_kit.h $(BACK_MARIA)
tests_unit_back_parts_mariadb_CPPFLAGS = $(UNIT_CPPFLAGS) $(MARIADB_CFLAGS)
tests_unit_back_parts_mariadb_LDADD = $(UNIT_BACK) $(MARIADB_LIBS)
check_PROGRAMS += tests/unit/back_mariadb_text
TESTS += tests/unit/back_mariadb_text
tests_unit_back_mariadb_text_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_back_mariadb_text_LDADD = $(UNIT_BACK)
check_PROGRAMS += tests/unit/back_hostile_mariadb
TESTS += tests/unit/back_hostile_mariadb
tests_unit_back_hostile_mariadb_SOURCES = tests/unit/back_hostile_mariadb.c tests/unit/back_parts_kit.h tests/unit/back_sql_kit.h $(BACK_LIAR)
tests_unit_back_hostile_mariadb_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)
tests_unit_back_hostile_mariadb_LDADD = $(UNIT_BACK)
endif
if HAVE_SQLITE
check_PROGRAMS += tests/unit/back_sqlite
TESTS += tests/unit/back_sqlite
tests_unit_back_sqlite_SOURCES = tests/unit/back_sqlite.c tests/unit/back_sql_kit.h
tests_unit_back_sqlite_CPPFLAGS = $(UNIT_CPPFLAGS) $(SQLITE_CFLAGS)
tests_unit_back_sqlite_LDADD = $(UNIT_BACK) $(SQLITE_LIBS)
check_PROGRAMS += tests/unit/back_lease_sqlite
TESTS += tests/unit/back_lease_sqlite
tests_unit_back_lease_sqlite_SOURCES = tests/unit/back_lease_sqlite.c tests/unit/back_sql_kit.h
tests_unit_back_lease_sqlite_CPPFLAGS = $(UNIT_CPPFLAGS) $(SQLITE_CFLAGS)
tests_unit_back_lease_sqlite_LDADD = $(UNIT_BACK) $(SQLITE_LIBS)
check_PROGRAMS += tests/unit/back_parts_sqlite
TESTS += tests/unit/back_parts_sqlite
tests_unit_back_parts_sqlite_SOURCES = tests/unit/back_parts_sqlite.c tests/unit/back_parts_kit.h tests/unit/back_sql_kit.h
tests_unit_back_parts_sqlite_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_back_parts_sqlite_LDADD = $(UNIT_BACK)
check_PROGRAMS += tests/unit/back_hostile_sqlite
TESTS += tests/unit/back_hostile_sqlite
tests_unit_back_hostile_sqlite_SOURCES = tests/unit/back_hostile_sqlite.c tests/unit/back_sql_kit.h $(BACK_LIAR)
tests_unit_back_hostile_sqlite_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir) $(SQLITE_CFLAGS)
tests_unit_back_hostile_sqlite_LDADD = $(UNIT_BACK) $(SQLITE_LIBS)
endif
