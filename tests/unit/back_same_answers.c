/* SPDX-License-Identifier: ISC */

/* What a statement answers, and what one statement has to do with another on the same connection. */
#include "back_same.h"

/* Values that a question takes. */
#define VALUES(...) (const struct value[]){ __VA_ARGS__ }, sizeof((const struct value[]){ __VA_ARGS__ }) / sizeof(struct value)

/* ---- values ---- */

/* The answer's first row has these bytes there; NULL: NULL. */
static void
cell_is(const struct kit_ask *a, unsigned column, const char *want, size_t len)
{
	struct span cell = rows_cell(a->call.rows, 0, column);

	if (want == NULL) {
		assert_null(cell.at);
		return;
	}
	assert_non_null(cell.at);
	assert_int_equal(cell.len, len);
	assert_memory_equal(cell.at, want, len + 1);	/* a NUL behind it */
}

#define CELL_IS(a, column, want) cell_is(a, column, want, sizeof(want) - 1)
#define GREETING "gr\xc3\xbc\xc3\x9f dich \xf0\x9f\x98\x80"

static void
kinds_body(void *kit)
{
	struct kit_ask a;

	kit_ask_values(kit, &a, same_asks.values, VALUES(KIT_INT(-42), KIT_REAL(0.1), KIT_TEXT(GREETING), KIT_NULL, KIT_BYTES("\0\1\xff\\x"),
	    KIT_TEXT(""), KIT_INT(-9223372036854775807LL - 1), KIT_BYTES("")));
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->columns, 9);
	assert_string_equal(a.call.rows->name[4], "b");
	CELL_IS(&a, 0, "-42");
	CELL_IS(&a, 1, "0.1");
	CELL_IS(&a, 2, GREETING);
	cell_is(&a, 3, NULL, 0);
	CELL_IS(&a, 4, "\0\1\xff\\x");
	CELL_IS(&a, 5, "");
	CELL_IS(&a, 6, "-9223372036854775808");
	CELL_IS(&a, 7, "");
	CELL_IS(&a, 8, "1");	/* the server takes the text for what it is */
	kit_end(&a);
}

/* Ask; so many rows are changed. */
static void
changes(struct kit *k, long long affected, const char *sql, const struct value *values, unsigned n)
{
	struct kit_ask a;

	kit_ask_values(k, &a, sql, values, n);
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->affected, affected);
	assert_int_equal(a.call.rows->columns, 0);
	kit_end(&a);
}

/* The same text, other kinds: integers, texts and bytes where the server expects its own types. */
static void
same_text_body(void *kit)
{
	static const struct value id[] = { KIT_TEXT("7"), KIT_INT(7) }, data[] = { KIT_BYTES("ab"), KIT_TEXT("ab") };
	struct kit_ask a;

	for (int i = 0; i < 2; i++) {
		kit_ask_values(kit, &a, "SELECT name, LENGTH(data) FROM item WHERE id = $1", &id[i], 1);
		kit_assert_row(&a, "x", "3");
		CELL_IS(&a, 1, "3");
		kit_end(&a);
	}
	changes(kit, 1, "UPDATE item SET data = $1 WHERE id = $2", VALUES(KIT_BYTES("ab"), KIT_INT(7)));
	for (int i = 0; i < 2; i++) {
		kit_ask_values(kit, &a, "SELECT name, data FROM item WHERE id = $1 AND data = $2", VALUES(id[i], data[i]));
		kit_assert_row(&a, "x", "ab");
		kit_end(&a);
	}
}

static void
table_body(void *kit)
{
	struct kit_ask a;

	kit_do(kit, same_asks.item);
	changes(kit, 1, "INSERT INTO item VALUES ($1, $2, $3, $4)", VALUES(KIT_INT(7), KIT_INT(8), KIT_TEXT("x"), KIT_BYTES("a\0b")));
	kit_ask_values(kit, &a, "INSERT INTO item (name) VALUES ($1), ($1) RETURNING id", VALUES(KIT_TEXT("y")));
	kit_assert_row(&a, "8");
	assert_int_equal(a.call.rows->affected, 2);
	kit_end(&a);
	same_text_body(kit);
	/* What was found counts, not only what is another value now. */
	changes(kit, 2, "UPDATE item SET name = 'y' WHERE name = 'y'", NULL, 0);
	changes(kit, 3, "DELETE FROM item", NULL, 0);
}

void
values_of_each_kind_arrive(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, kinds_body);
	same_with_pool(same.url, 1, 1, table_body);
}

/* $1 to $100: the 70th is text, then bytes, in statements of the same text. */
static void
many_values_body(void *kit)
{
	struct value all[100];
	char sql[3000] = "SELECT $70 AS b, CONCAT(''";
	size_t len = strlen(sql);
	struct kit_ask a;

	for (int i = 0; i < 100; i++) {
		all[i] = KIT_INT(i);
		if (i != 69)
			len += (size_t)snprintf(sql + len, sizeof sql - len, ", CAST($%d AS DECIMAL)", i + 1);
	}
	strcpy(sql + len, ")");
	for (int i = 0; i < 4; i++) {
		all[69] = i % 2 == 0 ? KIT_TEXT("\\xff") : KIT_BYTES("\xff");
		kit_ask_values(kit, &a, sql, all, 100);
		assert_int_equal(a.call.rc, WEFT_OK);
		assert_string_equal(rows_cell(a.call.rows, 0, 0).at, i % 2 == 0 ? "\\xff" : "\xff");
		assert_memory_equal(rows_cell(a.call.rows, 0, 1).at, "0123456789101112", 16);
		kit_end(&a);
	}
}

void
many_values_arrive(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, many_values_body);
}

/* ---- sizes ---- */

static void
many_rows_body(void *kit)
{
	struct kit_ask a;

	kit_ask(kit, &a, "SELECT seq FROM seq_0_to_9999 WHERE seq < 0");
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->count, 0);
	assert_int_equal(a.call.rows->columns, 1);
	kit_end(&a);
	kit_ask(kit, &a, "SELECT seq, CONCAT('row ', seq) FROM seq_0_to_9999");
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_int_equal(a.call.rows->count, 10000);
	for (size_t i = 0; i < 10000; i++) {
		char want[32];

		snprintf(want, sizeof want, "row %zu", i);
		assert_string_equal(rows_cell(a.call.rows, i, 1).at, want);
	}
	kit_end(&a);
}

void
same_sizes_body(void *kit)
{
	static char big[3000000];
	struct value v = { .kind = VALUE_TEXT, .as.bytes = { big, sizeof big } };
	struct kit *k = kit;
	struct kit_ask a;

	many_rows_body(k);
	/* More than the kernel takes at once, both ways. */
	memset(big, 'x', sizeof big);
	kit_ask_values(k, &a, "SELECT LENGTH($1), $1", &v, 1);
	assert_int_equal(a.call.rc, WEFT_OK);
	assert_string_equal(rows_cell(a.call.rows, 0, 0).at, "3000000");
	assert_true(span_equal(rows_cell(a.call.rows, 0, 1), v.as.bytes));
	kit_end(&a);
	/* No room in the asker's memory: its own failure. */
	arena_init(&a.arena, NULL, 0, 65536);
	call_init(&a.call, CALL_SQL, &a.arena, &a.fault);
	a.call.sql = "SELECT seq FROM seq_0_to_9999";
	pool_submit(k->pool, &a.call);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, WEFT_SYSTEM, "");
	kit_end(&a);
}

void
results_of_each_size_arrive(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, same_sizes_body);
}

static void
endless_body(void *kit)
{
	kit_fails(kit, "SELECT REPEAT('x', 1000) FROM seq_1_to_1000000", WEFT_TOO_LARGE, NULL);
	kit_do(kit, "SELECT 1");
}

/* It takes its connection with it, not all memory. */
void
a_result_that_does_not_end_is_left(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 2, endless_body);
}

/* ---- one and another ---- */

static void
errors_body(void *kit)
{
	const struct {
		const char *sql, *code;
	} one[] = { { "SELECT 1", NULL }, { "SELECT 1/0", same.code.division }, { "SELEKT", same.code.syntax },
		{ "INSERT INTO child VALUES (1)", same.code.foreign_key }, { "INSERT INTO one VALUES (1)", same.code.unique },
		{ "SELECT COUNT(*) FROM one", NULL }, { "SELECT * FROM nowhere", same.code.no_table },
		{ "SELECT (SELECT 1 UNION SELECT 2)", same.code.many_rows }, { "SELECT 1; SELECT 2", same.code.syntax }, { "SELECT 8", NULL } };
	enum { ONES = sizeof one / sizeof *one };
	struct kit_ask a[ONES];

	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < ONES; i++)
			kit_start(kit, &a[i], one[i].sql, NULL, 0);
		for (unsigned i = 0; i < ONES; i++) {
			call_wait(&a[i].call, KIT_SOON);
			if (one[i].code != NULL)
				kit_assert_fault(&a[i], WEFT_REFUSED, one[i].code);
			else
				assert_int_equal(a[i].call.rc, WEFT_OK);
			kit_end(&a[i]);
		}
	}
	kit_says(kit, "SELECT COUNT(*) FROM child", "0");
}

void
an_error_is_its_statements_own(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, errors_body);
}

enum { TOKENS = 500 };

void
same_tokens_body(void *kit)
{
	static struct kit_ask a[TOKENS];
	static struct value v[TOKENS][2];
	char want[24];

	kit_do(kit, "SELECT 1");
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < TOKENS; i++) {
			v[i][0] = KIT_INT(i * 7919 + round);
			v[i][1] = KIT_TEXT("t");
			kit_start(kit, &a[i], i % 2 ? "SELECT $1 + 0, $2" : "SELECT $1 - 0, LOWER($2)", v[i], 2);
		}
		for (int i = 0; i < TOKENS; i++) {
			call_wait(&a[i].call, KIT_SOON);
			snprintf(want, sizeof want, "%d", i * 7919 + round);
			kit_assert_row(&a[i], want, "t");
			kit_end(&a[i]);
		}
	}
}

void
each_gets_its_own_answer(void **state)
{
	struct kit k;

	(void)state;
	kit_open(&k, same.url, 4);
	kit_run(&k, same_tokens_body, &k);
	if (same_asks.pipelines)
		assert_true(kit_stat(&k).connects <= 4);
	else
		assert_int_equal(kit_stat(&k).connects, 4);
	kit_close(&k);
}

enum { LARGE = 100 * 1024, LARGES = 40 };

/* More in one turn than the kernel takes at once: the rest goes when it can, while answers come. */
static void
large_body(void *kit)
{
	static struct kit_ask a[LARGES];
	static struct value v[LARGES];
	static char text[LARGES][LARGE];

	kit_do(kit, "SELECT 1");
	for (int i = 0; i < LARGES; i++) {
		memset(text[i], 'a' + i % 26, LARGE);
		v[i] = (struct value){ .kind = VALUE_TEXT, .as.bytes = { text[i], LARGE } };
		kit_start(kit, &a[i], "SELECT $1", &v[i], 1);
	}
	for (int i = 0; i < LARGES; i++) {
		assert_int_equal(call_wait(&a[i].call, KIT_SOON), WEFT_OK);
		assert_true(span_equal(rows_cell(a[i].call.rows, 0, 0), v[i].as.bytes));
		kit_end(&a[i]);
	}
}

void
what_the_kernel_does_not_take_at_once_arrives(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, large_body);
}

/* ---- the session's state ---- */

static void
changes_body(void *kit)
{
	static const char *const everywhere[] = { "BEGIN", "start transaction", "COMMIT", " rollback", "SAVEPOINT a", "RELEASE SAVEPOINT a",
		"create temporary table t (id int)", "; BEGIN", NULL };
	const char *const *lists[] = { everywhere, same_asks.changes };

	for (int i = 0; i < 2; i++)
		for (const char *const *sql = lists[i]; *sql != NULL; sql++)
			kit_fails(kit, *sql, WEFT_INVALID, "");
	kit_do(kit, "SELECT 1");
}

void
what_changes_a_shared_connection_is_refused(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, changes_body);
}

/* ---- prepared statements ---- */

/* Ask for a table's only row, which has two columns, so often at once. */
static void
shape_is_two(struct kit *k)
{
	struct kit_ask a[3];

	for (int i = 0; i < 3; i++)
		kit_start(k, &a[i], "SELECT * FROM shape", NULL, 0);
	for (int i = 0; i < 3; i++) {
		call_wait(&a[i].call, KIT_SOON);
		kit_assert_row(&a[i], "1", "two");
		kit_end(&a[i]);
	}
}

static void
shape_body(void *kit)
{
	kit_do(kit, "CREATE TABLE shape (a int)");
	kit_do(kit, "INSERT INTO shape VALUES (1)");
	for (int i = 0; i < 2; i++)
		kit_says(kit, "SELECT * FROM shape", "1");
	kit_do(kit, same_asks.reshape);
	shape_is_two(kit);
	kit_do(kit, "DROP TABLE shape");
}

void
what_has_changed_is_prepared_anew(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, shape_body);
}

static void
kept_body(void *kit)
{
	static char text[40000];
	char sql[64];

	for (int i = 0; i < 700; i++) {
		snprintf(sql, sizeof sql, "SELECT %d", i % 350);
		kit_says(kit, sql, sql + strlen("SELECT "));
	}
	assert_in_range(same.prepared(kit, NULL), same_asks.keeps / 2, same_asks.keeps);
	/* Too long to be kept. */
	snprintf(text, sizeof text, "SELECT '%032000d'", 0);
	for (int i = 0; i < 3; i++)
		kit_do(kit, text);
	assert_in_range(same.prepared(kit, NULL), same_asks.keeps / 2, same_asks.keeps);
}

void
so_many_statements_are_kept_prepared(void **state)
{
	(void)state;
	same_with_pool(same.url, 1, 1, kept_body);
}
