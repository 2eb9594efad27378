/* SPDX-License-Identifier: ISC */

/*
 * SQLite, on a thread: open a database, run one statement, or a part of it, roll back, close it.
 *
 * A connection begins with WAL (unless it only reads), foreign keys on, and no
 * trust in what a database file brings with it (trusted_schema off, defensive).
 * Statements are kept prepared by their text; SQLite prepares them anew by itself
 * when the schema has changed.  Every value of a result becomes text (blobs stay bytes).
 */
#include "back/sqlite/sqlite.h"

#include <stdio.h>
#include <string.h>

#include "back/sql/sqltext.h"

/* ---- outcomes ---- */

static void
sqlite_answer_set(struct sqlite *d, enum weft_rc rc, const char *code, const char *text)
{
	d->answer.rc = rc;
	snprintf(d->answer.code, sizeof d->answer.code, "%s", code);
	snprintf(d->answer.text, sizeof d->answer.text, "%s", text);
}

static void
sqlite_answer_invalid(struct sqlite *d, const char *text)
{
	sqlite_answer_set(d, WEFT_INVALID, "", text);
}

/* Tell SQLite's last error; after some, a connection is better opened anew. */
static void
sqlite_answer_error(struct sqlite *d)
{
	int code = sqlite3_extended_errcode(d->db);

	sqlite_answer_set(d, code == SQLITE_NOMEM ? WEFT_SYSTEM : WEFT_REFUSED, sqlite_code_name(code), sqlite3_errmsg(d->db));
	switch (code & 0xff) {
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_IOERR:
	case SQLITE_CANTOPEN:
		d->answer.broken = true;
		break;
	default:
		d->answer.broken = code == SQLITE_READONLY_DBMOVED;
		break;
	}
}

static void
sqlite_answer_clear(struct sqlite_answer *a)
{
	struct rows_draft rows = a->rows;

	*a = (struct sqlite_answer){ .rc = WEFT_OK, .rows = rows };
	rows_draft_clear(&a->rows);
}

/* ---- the end of a statement ---- */

static void
sqlite_let_go(sqlite3_stmt *s, bool kept)
{
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	if (!kept)
		sqlite3_finalize(s);
}

static void
sqlite_end_half(struct sqlite *d)
{
	if (d->half != NULL)
		sqlite_let_go(d->half, d->half_kept);
	d->half = NULL;
}

/* ---- opening and closing ---- */

static int
sqlite_set_up(struct sqlite *d)
{
	int rc = sqlite_guard(d);

	sqlite3_db_config(d->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(d->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(d->db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
	sqlite3_limit(d->db, SQLITE_LIMIT_LENGTH, SQLITE_RESULT_MAX);
	sqlite3_limit(d->db, SQLITE_LIMIT_ATTACHED, 0);
	/* The first use of the file: whether it is a database at all shows here. */
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(d->db, d->read_only ? "PRAGMA schema_version" : "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
	return rc;
}

void
sqlite_job_open(void *arg)
{
	struct sqlite *d = arg;
	int flags = d->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;

	sqlite_answer_clear(&d->answer);
	if (d->refused) {
		sqlite_answer_invalid(d, "a database in memory is its connection's own: it needs a pool with max = 1");
		return;
	}
	d->trusted = true;
	if (sqlite3_open_v2(d->path, &d->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK || sqlite_set_up(d) != SQLITE_OK) {
		if (d->db == NULL)
			sqlite_answer_set(d, WEFT_SYSTEM, "SQLITE_NOMEM", "out of memory");
		else
			sqlite_answer_error(d);
		sqlite3_close(d->db);
		d->db = NULL;
	}
	d->trusted = false;
}

void
sqlite_job_close(void *arg)
{
	struct sqlite *d = arg;
	struct stmt *t;

	sqlite_end_half(d);
	while ((t = TAILQ_FIRST(&d->stmts.used)) != NULL) {
		sqlite3_finalize(t->data);
		stmts_remove(&d->stmts, t);
	}
	sqlite3_close(d->db);
	d->db = NULL;
}

/* ---- preparing ---- */

/* Is there nothing but blanks, comments and ';' in what follows a statement? */
static bool
sqlite_tail_is_empty(struct sqlite *d, const char *tail)
{
	char word[SQL_WORD_MAX];
	sqlite3_stmt *more;

	sql_first_word(tail, word);
	if (word[0] != '\0')
		return false;
	while (*tail != '\0') {
		const char *from = tail;

		if (sqlite3_prepare_v2(d->db, from, -1, &more, &tail) != SQLITE_OK || more != NULL) {
			sqlite3_finalize(more);
			return false;
		}
		if (tail == from)
			break;
	}
	return true;
}

/* Keep a prepared statement for the next time.  Returns false when it is not kept. */
static bool
sqlite_keep(struct sqlite *d, const char *sql, sqlite3_stmt *s)
{
	struct stmt *t = stmts_surplus(&d->stmts);

	if (t != NULL) {
		sqlite3_finalize(t->data);
		stmts_remove(&d->stmts, t);
	}
	t = stmts_add(&d->stmts, sql, sql_hash(sql), 0);
	if (t != NULL)
		t->data = s;
	return t != NULL;
}

/* Returns the statement; *kept says that it is not to be finalized.  NULL: answer says why. */
static sqlite3_stmt *
sqlite_prepare(struct sqlite *d, const char *sql, bool *kept)
{
	struct stmt *t = stmts_find(&d->stmts, sql, sql_hash(sql), 0);
	sqlite3_stmt *s = NULL;
	const char *tail;

	*kept = t != NULL;
	if (t != NULL)
		return t->data;
	d->passing = false;
	if (sqlite3_prepare_v3(d->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s, &tail) != SQLITE_OK) {
		sqlite_answer_error(d);
		return NULL;
	}
	if (s == NULL) {
		sqlite_answer_invalid(d, "the statement is empty");
		return NULL;
	}
	if (!sqlite_tail_is_empty(d, tail)) {
		sqlite3_finalize(s);
		sqlite_answer_invalid(d, "more than one statement");
		return NULL;
	}
	*kept = !d->passing && sqlite_keep(d, sql, s);
	return s;
}

/* ---- values ---- */

/* Which value, from 0, stands for parameter p: $3 and ?3 the third, a bare ? that of its own place; else -1. */
static int
sqlite_value_index(sqlite3_stmt *s, int p)
{
	const char *name = sqlite3_bind_parameter_name(s, p);
	int n = 0;

	if (name == NULL)
		return p - 1;
	if ((name[0] != '$' && name[0] != '?') || name[1] == '\0')
		return -1;
	for (const char *at = name + 1; *at != '\0'; at++) {
		if (*at < '0' || *at > '9' || n > SQLITE_VALUES)
			return -1;
		n = n * 10 + (*at - '0');
	}
	return n - 1;
}

static int
sqlite_bind_value(sqlite3_stmt *s, int p, const struct value *v)
{
	/* SQLITE_STATIC: ask outlives the statement's run, and bindings are cleared after it. */
	switch (v->kind) {
	case VALUE_INT:
		return sqlite3_bind_int64(s, p, v->as.integer);
	case VALUE_REAL:
		return sqlite3_bind_double(s, p, v->as.real);
	case VALUE_TEXT:
		return sqlite3_bind_text64(s, p, v->as.bytes.at, v->as.bytes.len, SQLITE_STATIC, SQLITE_UTF8);
	case VALUE_BYTES:
		return sqlite3_bind_blob64(s, p, v->as.bytes.at, v->as.bytes.len, SQLITE_STATIC);
	case VALUE_NULL:
		break;
	}
	return sqlite3_bind_null(s, p);
}

/* Returns false with answer set. */
static bool
sqlite_bind(struct sqlite *d, sqlite3_stmt *s)
{
	int highest = 0;

	for (int p = 1; p <= sqlite3_bind_parameter_count(s); p++) {
		int i = sqlite_value_index(s, p);

		/* "?5" makes parameters 1 to 4 that the text does not name. */
		if (i >= (int)d->ask.nvalues || i < 0) {
			sqlite_answer_invalid(d, i < 0 ? "parameters are written $1, $2 and so on" : "fewer values than parameters");
			return false;
		}
		highest = i + 1 > highest ? i + 1 : highest;
		if (sqlite_bind_value(s, p, &d->ask.values[i]) != SQLITE_OK) {
			sqlite_answer_error(d);
			return false;
		}
	}
	if (highest == (int)d->ask.nvalues)
		return true;
	sqlite_answer_invalid(d, "more values than parameters");
	return false;
}

/* ---- results ---- */

static void
sqlite_add_value(struct rows_draft *r, sqlite3_stmt *s, int column)
{
	static const enum value_kind kinds[] = { [SQLITE_INTEGER] = VALUE_INT, [SQLITE_FLOAT] = VALUE_REAL, [SQLITE_TEXT] = VALUE_TEXT,
		[SQLITE_BLOB] = VALUE_BYTES, [SQLITE_NULL] = VALUE_NULL };
	int type = sqlite3_column_type(s, column);
	char number[SQL_REAL_MAX];
	const char *at;

	rows_draft_add_kind(r, kinds[type]);
	switch (type) {
	case SQLITE_INTEGER:
		rows_draft_add(r, (struct span){ number, sql_integer(sqlite3_column_int64(s, column), number) });
		break;
	case SQLITE_FLOAT:
		sql_real(sqlite3_column_double(s, column), number);
		rows_draft_add(r, span_str(number));
		break;
	case SQLITE_TEXT:
		at = (const char *)sqlite3_column_text(s, column);
		rows_draft_add(r, (struct span){ at, (size_t)sqlite3_column_bytes(s, column) });
		break;
	case SQLITE_BLOB:
		at = sqlite3_column_blob(s, column);
		/* An empty one is no NULL. */
		rows_draft_add(r, at == NULL ? span_str("") : (struct span){ at, (size_t)sqlite3_column_bytes(s, column) });
		break;
	default:
		rows_draft_add(r, (struct span){ NULL, 0 });
		break;
	}
}

/* Known only after the first step: SQLite may have prepared anew. */
static void
sqlite_add_names(struct rows_draft *r, sqlite3_stmt *s)
{
	r->columns = (unsigned)sqlite3_column_count(s);
	for (unsigned i = 0; i < r->columns; i++) {
		const char *name = sqlite3_column_name(s, (int)i);

		rows_draft_add(r, span_str(name == NULL ? "" : name));
	}
}

/* sqlite3_changes() is of the last statement that changed rows, which may not be this one. */
static long long
sqlite_affected(struct sqlite *d, sqlite3_stmt *s)
{
	static const char *const verbs[] = { "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH" };
	char word[SQL_WORD_MAX];

	if (sqlite3_stmt_readonly(s))
		return 0;
	sql_first_word(d->ask.bytes.at, word);
	for (size_t i = 0; i < sizeof verbs / sizeof *verbs; i++)
		if (strcmp(word, verbs[i]) == 0)
			return sqlite3_changes64(d->db);
	return 0;
}

static void
sqlite_add_row(struct rows_draft *r, sqlite3_stmt *s)
{
	if (r->count == 0)
		sqlite_add_names(r, s);
	for (unsigned i = 0; i < r->columns; i++)
		sqlite_add_value(r, s, (int)i);
	r->count++;
}

/* Returns true when what has been gathered is enough for now. */
static bool
sqlite_is_part(const struct sqlite *d, usec began)
{
	const struct rows_draft *r = &d->answer.rows;

	return rows_draft_is_full(r) || (d->ask.in_parts && (rows_draft_is_part(r) || clock_now() - began >= SQLITE_PART_TIME));
}

/* Gather rows, to the end or a part of them; answer.last says which.  After a failure it is the end, too. */
static void
sqlite_gather(struct sqlite *d, sqlite3_stmt *s)
{
	usec began = d->ask.in_parts ? clock_now() : 0;
	struct rows_draft *r = &d->answer.rows;
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		sqlite_add_row(r, s);
		if (sqlite_is_part(d, began))
			break;
	}
	if (rc == SQLITE_DONE && r->count == 0)
		sqlite_add_names(r, s);
	if (rows_draft_is_full(r))
		sqlite_answer_set(d, WEFT_TOO_LARGE, "", "the result is too large");
	else if (rc == SQLITE_DONE)
		r->affected = sqlite_affected(d, s);
	else if (rc != SQLITE_ROW)
		sqlite_answer_error(d);
	d->answer.last = rc != SQLITE_ROW || d->answer.rc != WEFT_OK;
}

/* Nothing where no transaction is open. */
static void
sqlite_rollback(struct sqlite *d)
{
	if (!sqlite3_get_autocommit(d->db)) {
		d->trusted = true;
		sqlite3_exec(d->db, "ROLLBACK", NULL, NULL, NULL);
		d->trusted = false;
	}
	d->answer.in_transaction = !sqlite3_get_autocommit(d->db);
}

/* What a statement left on the connection. */
static void
sqlite_look_back(struct sqlite *d)
{
	if (d->ask.lent)
		d->answer.in_transaction = !sqlite3_get_autocommit(d->db);
	else
		sqlite_rollback(d);
}

/*
 * Is there another file at the path by now, or none?  With a journal SQLite looks itself before it writes; with WAL it would go on, and
 * say that all is well, in a file that nobody can open any more.
 */
static bool
sqlite_has_moved(struct sqlite *d)
{
	int moved = 0;

	return sqlite3_get_autocommit(d->db) && sqlite3_file_control(d->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK && moved;
}

void
sqlite_job_run(void *arg)
{
	struct sqlite *d = arg;
	sqlite3_stmt *s;
	bool kept;

	sqlite_answer_clear(&d->answer);
	d->answer.last = true;
	if (sqlite_has_moved(d)) {
		sqlite_answer_set(d, WEFT_NOT_SENT, "SQLITE_READONLY_DBMOVED", "the file was removed, or another one is in its place");
		d->answer.broken = true;
		return;
	}
	s = sqlite_prepare(d, d->ask.bytes.at, &kept);
	if (s != NULL && sqlite_bind(d, s))
		sqlite_gather(d, s);
	if (s != NULL && d->answer.last) {
		sqlite_let_go(s, kept);
	} else if (s != NULL) {
		d->half = s;
		d->half_kept = kept;
	}
	sqlite_look_back(d);
}

void
sqlite_job_go_on(void *arg)
{
	struct sqlite *d = arg;

	sqlite_answer_clear(&d->answer);
	sqlite_gather(d, d->half);
	if (d->answer.last)
		sqlite_end_half(d);
	sqlite_look_back(d);
}

void
sqlite_job_rollback(void *arg)
{
	struct sqlite *d = arg;

	sqlite_end_half(d);
	sqlite_rollback(d);
}
