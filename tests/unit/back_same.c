/* SPDX-License-Identifier: ISC */
#include "back_same.h"

void
same_with_pool(const char *url, unsigned max, unsigned connects, void (*body)(void *kit))
{
	struct kit k;

	kit_open(&k, url, max);
	kit_run(&k, body, &k);
	kit_settle(&k);
	if (connects > 0)
		assert_int_equal(kit_stat(&k).connects, connects);
	kit_close(&k);
}

static void
same_tables_body(void *kit)
{
	static const char *const tables[] = { "CREATE TABLE account (id int PRIMARY KEY, amount int NOT NULL CHECK (amount >= 0))",
		"INSERT INTO account SELECT seq, 100 FROM seq_1_to_10",
		"CREATE TABLE one (id int PRIMARY KEY)", "INSERT INTO one VALUES (1)" };

	for (const char *const *sql = same.schema; *sql != NULL; sql++)
		kit_do(kit, *sql);
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		kit_do(kit, tables[i]);
}

void
same_make_tables(void)
{
	same_with_pool(same.url, 1, 1, same_tables_body);
}

/* ---- asking ---- */

void
same_do(struct kit *k, struct kit_lease *l, const char *text)
{
	struct kit_ask a;

	same.start(k, l, &a, text);
	if (call_wait(&a.call, KIT_SOON) != WEFT_OK)
		fail_msg("%s: %d %s %s", text, (int)a.call.rc, a.fault.code, a.fault.text);
	kit_end(&a);
}

void
same_says(struct kit *k, struct kit_lease *l, const char *text, const char *want)
{
	struct kit_ask a;

	same.start(k, l, &a, text);
	if (call_wait(&a.call, KIT_SOON) != WEFT_OK)
		fail_msg("%s: %d %s %s", text, (int)a.call.rc, a.fault.code, a.fault.text);
	same.check(&a, want);
	kit_end(&a);
}

void
same_fails(struct kit *k, struct kit_lease *l, const char *text, enum weft_rc rc, const char *code)
{
	struct kit_ask a;

	same.start(k, l, &a, text);
	call_wait(&a.call, KIT_SOON);
	kit_assert_fault(&a, rc, code);
	kit_end(&a);
}

void
same_give_up(struct kit *k, struct kit_lease *l, const char *text)
{
	struct kit_ask a;

	same.start(k, l, &a, text);
	assert_int_equal(call_wait(&a.call, clock_now() + 20 * USEC_PER_MSEC), WEFT_TIMEOUT);
	kit_end(&a);
}

void
same_nap(usec length)
{
	assert_int_equal(fiber_sleep(length), WEFT_OK);
}

void
same_await(const char *sql, const char *want)
{
	usec late = clock_now() + 10 * USEC_PER_SEC;

	while (strcmp(same.admin(sql), want) != 0) {
		assert_true(clock_now() < late);
		same_nap(5 * USEC_PER_MSEC);
	}
}

/* ---- a database of SQL ---- */

void
same_sql_start(struct kit *k, struct kit_lease *l, struct kit_ask *a, const char *text)
{
	if (l != NULL)
		kit_lease_start(l, a, text);
	else
		kit_start(k, a, text, NULL, 0);
}

void
same_sql_check(const struct kit_ask *a, const char *want)
{
	kit_check_row(a, &want, 1);
}

long long
same_sql_id(struct kit *k, struct kit_lease *l)
{
	struct kit_ask a;
	long long id;

	same_sql_start(k, l, &a, "SELECT CONNECTION_ID()");
	assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
	id = atoll(rows_cell(a.call.rows, 0, 0).at);
	kit_end(&a);
	return id;
}

/* ---- a server that takes no notice ---- */

static void
same_wake_body(void *pid)
{
	same_nap(1300 * USEC_PER_MSEC);
	assert_int_equal(kill((pid_t)(intptr_t)pid, SIGCONT), 0);
}

void
same_freeze_process(pid_t pid)
{
	assert_int_equal(kill(pid, SIGSTOP), 0);
	assert_int_equal(waitpid(pid, NULL, WUNTRACED), pid);	/* all of its threads */
	kit_spawn(same_wake_body, (void *)(intptr_t)pid);
}
