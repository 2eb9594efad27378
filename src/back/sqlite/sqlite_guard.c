/* SPDX-License-Identifier: ISC */

/*
 * What keeps a statement on SQLite within bounds: waits for locks end at a
 * deadline or when nobody wants the outcome, pg_sleep likewise; other files are out of reach, and so are
 * settings and temporary tables, and transactions where the connection is not lent, since others have it too.
 */
#include "back/sqlite/sqlite.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#define SQLITE_SLICE (5 * USEC_PER_MSEC)	/* how late a wait notices that it is unwanted */

static void
sqlite_nap(usec length)
{
	struct timespec ts = { .tv_sec = length / USEC_PER_SEC, .tv_nsec = length % USEC_PER_SEC * 1000 };

	while (nanosleep(&ts, &ts) != 0 && errno == EINTR)
		;
}

/* Returns nonzero: try the lock again. */
static int
sqlite_on_busy(void *arg, int tries)
{
	struct sqlite *d = arg;
	usec left = d->ask.busy_until - clock_now(), nap = tries < 4 ? USEC_PER_MSEC : SQLITE_SLICE;

	if (left <= 0 || atomic_load(&d->unwanted))
		return 0;
	sqlite_nap(clock_min(left, nap));
	return 1;
}

/* pg_sleep(seconds): as PostgreSQL's, an empty text in the end. */
static void
sqlite_pg_sleep(sqlite3_context *ctx, int argc, sqlite3_value **argv)
{
	struct sqlite *d = sqlite3_user_data(ctx);
	double seconds = sqlite3_value_double(argv[0]);
	usec now = clock_now(), until;

	(void)argc;
	if (!(seconds > 0))
		seconds = 0;
	until = clock_add(now, seconds > 1e6 ? (usec)1e12 : (usec)(seconds * 1e6));
	for (; now < until; now = clock_now()) {
		if (atomic_load(&d->unwanted)) {
			sqlite3_result_error_code(ctx, SQLITE_INTERRUPT);
			return;
		}
		sqlite_nap(clock_min(until - now, SQLITE_SLICE));
	}
	sqlite3_result_text(ctx, "", 0, SQLITE_STATIC);
}

/* Pragmas that only tell, or tend the file; others set what the next request would find set. */
static int
sqlite_authorize_pragma(const char *name, const char *value)
{
	static const char *const harmless[] = {
		"application_id", "foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo",
		"integrity_check", "optimize", "quick_check", "table_info", "table_list", "table_xinfo", "user_version",
		"wal_checkpoint",
	};

	if (value == NULL)
		return SQLITE_OK;
	for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
		if (strcmp(name, harmless[i]) == 0)
			return SQLITE_OK;
	return SQLITE_DENY;
}

static int
sqlite_authorize(void *arg, int action, const char *a, const char *b, const char *database, const char *e)
{
	struct sqlite *d = arg;

	(void)e;
	if (d->trusted)
		return SQLITE_OK;
	switch (action) {
	case SQLITE_TRANSACTION:
	case SQLITE_SAVEPOINT:
		d->passing = true;
		return d->ask.lent ? SQLITE_OK : SQLITE_DENY;
	case SQLITE_ATTACH:
	case SQLITE_DETACH:
	case SQLITE_CREATE_TEMP_INDEX:
	case SQLITE_CREATE_TEMP_TABLE:
	case SQLITE_CREATE_TEMP_TRIGGER:
	case SQLITE_CREATE_TEMP_VIEW:
		return SQLITE_DENY;
	case SQLITE_CREATE_INDEX:
	case SQLITE_CREATE_TABLE:
	case SQLITE_CREATE_TRIGGER:
	case SQLITE_CREATE_VIEW:
	case SQLITE_CREATE_VTABLE:	/* "temp.name" */
		return database != NULL && strcmp(database, "temp") == 0 ? SQLITE_DENY : SQLITE_OK;
	case SQLITE_PRAGMA:
		return sqlite_authorize_pragma(a, b);
	case SQLITE_FUNCTION:
		return b != NULL && strcmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
	default:
		return SQLITE_OK;
	}
}

int
sqlite_guard(struct sqlite *d)
{
	int rc = sqlite3_busy_handler(d->db, sqlite_on_busy, d);

	if (rc == SQLITE_OK)
		rc = sqlite3_set_authorizer(d->db, sqlite_authorize, d);
	if (rc == SQLITE_OK)
		rc = sqlite3_create_function_v2(d->db, "pg_sleep", 1, SQLITE_UTF8 | SQLITE_DIRECTONLY, d, sqlite_pg_sleep,
		    NULL, NULL, NULL);
	return rc;
}

const char *
sqlite_code_name(int code)
{
	static const struct {
		int code;
		const char *name;
	} names[] = {
		{ SQLITE_CONSTRAINT_CHECK, "SQLITE_CONSTRAINT_CHECK" },
		{ SQLITE_CONSTRAINT_FOREIGNKEY, "SQLITE_CONSTRAINT_FOREIGNKEY" },
		{ SQLITE_CONSTRAINT_NOTNULL, "SQLITE_CONSTRAINT_NOTNULL" },
		{ SQLITE_CONSTRAINT_PRIMARYKEY, "SQLITE_CONSTRAINT_PRIMARYKEY" },
		{ SQLITE_CONSTRAINT_TRIGGER, "SQLITE_CONSTRAINT_TRIGGER" },
		{ SQLITE_CONSTRAINT_UNIQUE, "SQLITE_CONSTRAINT_UNIQUE" },
		{ SQLITE_CONSTRAINT_ROWID, "SQLITE_CONSTRAINT_ROWID" },
		{ SQLITE_CONSTRAINT_DATATYPE, "SQLITE_CONSTRAINT_DATATYPE" },
		{ SQLITE_BUSY_SNAPSHOT, "SQLITE_BUSY_SNAPSHOT" },
		{ SQLITE_ERROR, "SQLITE_ERROR" }, { SQLITE_INTERNAL, "SQLITE_INTERNAL" }, { SQLITE_PERM, "SQLITE_PERM" },
		{ SQLITE_ABORT, "SQLITE_ABORT" }, { SQLITE_BUSY, "SQLITE_BUSY" }, { SQLITE_LOCKED, "SQLITE_LOCKED" },
		{ SQLITE_NOMEM, "SQLITE_NOMEM" }, { SQLITE_READONLY, "SQLITE_READONLY" },
		{ SQLITE_INTERRUPT, "SQLITE_INTERRUPT" }, { SQLITE_IOERR, "SQLITE_IOERR" },
		{ SQLITE_CORRUPT, "SQLITE_CORRUPT" }, { SQLITE_FULL, "SQLITE_FULL" }, { SQLITE_CANTOPEN, "SQLITE_CANTOPEN" },
		{ SQLITE_PROTOCOL, "SQLITE_PROTOCOL" }, { SQLITE_SCHEMA, "SQLITE_SCHEMA" }, { SQLITE_TOOBIG, "SQLITE_TOOBIG" },
		{ SQLITE_CONSTRAINT, "SQLITE_CONSTRAINT" }, { SQLITE_MISMATCH, "SQLITE_MISMATCH" },
		{ SQLITE_MISUSE, "SQLITE_MISUSE" }, { SQLITE_NOLFS, "SQLITE_NOLFS" }, { SQLITE_AUTH, "SQLITE_AUTH" },
		{ SQLITE_RANGE, "SQLITE_RANGE" }, { SQLITE_NOTADB, "SQLITE_NOTADB" },
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].code == code)
			return names[i].name;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].code == (code & 0xff))
			return names[i].name;
	return "SQLITE_ERROR";
}
