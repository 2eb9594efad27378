/* SPDX-License-Identifier: ISC */

/* Connections that are lent, against a real redis-server: MULTI and WATCH, waits, and what a borrower leaves behind. */
#include "back_sql_kit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "back/redis/reply.h"
#include "base/log.h"
#include "base/must.h"

static pid_t server;
static char folder[] = "/tmp/back_lease_redis.XXXXXX";
static char path[64], url[100];

static int
server_set_up(void **state)
{
	const char *argv[] = { "redis-server", "--unixsocket", path, "--save", "", "--appendonly", "no", "--dir", folder, "--port",
		"0", "--logfile", "/dev/null", NULL };

	(void)state;
	must(mkdtemp(folder) != NULL);
	snprintf(path, sizeof path, "%s/s", folder);
	snprintf(url, sizeof url, "redis+unix://%s?db=3", path);
	server = fork();
	must(server >= 0);
	if (server > 0)
		return 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execvp(argv[0], (char *const *)(uintptr_t)argv);
	perror("redis-server");
	_exit(127);
}

static int
server_tear_down(void **state)
{
	int status;

	(void)state;
	kill(server, SIGKILL);
	waitpid(server, &status, 0);
	unlink(path);
	rmdir(folder);
	return WIFEXITED(status) ? -1 : 0;
}

/* ---- asking ---- */

/* Submit a command, on a connection that is lent or on any. */
static void
start(struct kit *k, struct kit_lease *l, struct kit_ask *a, const char *command)
{
	arena_init(&a->arena, NULL, 0, 0);
	call_init(&a->call, CALL_REDIS, &a->arena, &a->fault);
	assert_int_equal(redis_command_format(&a->arena, &a->call.redis, command), WEFT_OK);
	if (l != NULL)
		lease_submit(&l->lease, &a->call);
	else
		pool_submit(k->pool, &a->call);
}

static void
text_of(const struct weft_reply *r, char *out, size_t size)
{
	size_t n = 0;

	switch (r->kind) {
	case REPLY_NIL:
		snprintf(out, size, "nil");
		break;
	case REPLY_INT:
		snprintf(out, size, "%lld", r->integer);
		break;
	case REPLY_ARRAY:
		n += (size_t)snprintf(out, size, "[");
		for (size_t i = 0; i < r->count; i++) {
			text_of(r->element[i], out + n, size - n);
			n += strlen(out + n);
			n += (size_t)snprintf(out + n, size - n, "%s", i + 1 < r->count ? " " : "");
		}
		snprintf(out + n, size - n, "]");
		break;
	default:
		snprintf(out, size, "%s", r->text.at);
		break;
	}
}

/* Ask; the answer must read so. */
static void
says(struct kit *k, struct kit_lease *l, const char *command, const char *want)
{
	char text[500] = "";
	struct kit_ask a;

	start(k, l, &a, command);
	if (call_wait(&a.call, KIT_SOON) == WEFT_OK)
		text_of(a.call.reply, text, sizeof text);
	if (strcmp(text, want) != 0)
		fail_msg("%s: %d %s \"%s\"", command, (int)a.call.rc, a.fault.text, text);
	kit_end(&a);
}

/* Ask, and it must fail so. */
static void
fails(struct kit *k, struct kit_lease *l, const char *command, enum weft_rc rc, const char *words)
{
	struct kit_ask a;

	start(k, l, &a, command);
	if (call_wait(&a.call, KIT_SOON) != rc || strstr(a.fault.text, words) == NULL)
		fail_msg("%s: %d %s", command, (int)a.call.rc, a.fault.text);
	kit_end(&a);
}

/* The number of the connection, by the server's count. */
static long long
id_of(struct kit *k, struct kit_lease *l)
{
	struct kit_ask a;
	long long id;

	start(k, l, &a, "CLIENT ID");
	assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
	id = a.call.reply->integer;
	kit_end(&a);
	return id;
}

static struct pool_stat
stat_of(const struct kit *k)
{
	struct pool_stat s;

	pool_stat(k->pool, &s);
	return s;
}

static void
nap(usec length)
{
	assert_int_equal(fiber_sleep(length), WEFT_OK);
}

/* Wait until the server is there, which the first of all may have to. */
static void
await_server(struct kit *k)
{
	for (int i = 0; i < 500 && stat_of(k).open == 0; i++)
		nap(10 * USEC_PER_MSEC);
	assert_true(stat_of(k).open > 0);
}

static void
with_pool(unsigned max, usec call_timeout, void (*body)(void *arg))
{
	struct pool_conf conf = { .name = "db", .url = url, .max = max, .min = 1, .queue_timeout = 10 * USEC_PER_SEC,
		.call_timeout = call_timeout };
	char error[256] = "";
	struct kit k = { .loop = loop_new(NULL) };

	k.pool = pool_open(k.loop, &conf, error, sizeof error);
	assert_string_equal(error, "");
	kit_run(&k, (void (*)(void *))await_server, &k);
	kit_run(&k, body, &k);
	assert_int_equal(stat_of(&k).lent, 0);
	kit_close(&k);
}

/* ---- transactions ---- */

static void
multi_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	says(k, NULL, "SET a 1", "OK");
	kit_lend(k, &l);
	says(k, &l, "MULTI", "OK");
	assert_true(lease_in_transaction(&l.lease));
	says(k, &l, "INCR a", "QUEUED");
	says(k, &l, "LPUSH a x", "QUEUED");
	says(k, &l, "BLPOP none 0", "QUEUED");
	says(k, NULL, "GET a", "1");
	/* Each has an answer, which may be an error. */
	says(k, &l, "EXEC", "[2 WRONGTYPE Operation against a key holding the wrong kind of value nil]");
	assert_false(lease_in_transaction(&l.lease));
	says(k, &l, "MULTI", "OK");
	says(k, &l, "INCR a", "QUEUED");
	says(k, &l, "DISCARD", "OK");
	assert_false(lease_in_transaction(&l.lease));
	/* What cannot be queued makes all of it fail. */
	says(k, &l, "MULTI", "OK");
	fails(k, &l, "INCR", WEFT_REFUSED, "wrong number");
	fails(k, &l, "EXEC", WEFT_REFUSED, "EXECABORT");
	assert_false(lease_in_transaction(&l.lease));
	kit_give(&l);
	says(k, NULL, "GET a", "2");
	assert_int_equal(stat_of(k).open, 2);
}

static void
multi_and_exec_are_one_step(void **state)
{
	(void)state;
	with_pool(2, 0, multi_body);
}

static void
watch_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;

	says(k, NULL, "SET a 1", "OK");
	kit_lend(k, &l);
	says(k, &l, "WATCH a", "OK");
	says(k, NULL, "SET a 5", "OK");
	says(k, &l, "MULTI", "OK");
	says(k, &l, "SET a 2", "QUEUED");
	says(k, &l, "EXEC", "nil");
	says(k, &l, "WATCH a", "OK");
	says(k, &l, "MULTI", "OK");
	says(k, &l, "SET a 3", "QUEUED");
	says(k, &l, "EXEC", "[OK]");
	says(k, &l, "WATCH a", "OK");
	says(k, &l, "UNWATCH", "OK");
	kit_give(&l);
	says(k, NULL, "GET a", "3");
	assert_int_equal(stat_of(k).open, 2);
}

static void
a_change_by_others_makes_exec_do_nothing(void **state)
{
	(void)state;
	with_pool(2, 0, watch_body);
}

/* ---- what is left behind ---- */

static void
left_body(void *arg)
{
	static const char *const left[][3] = { { "GET a" }, { "MULTI", "SET a 9" }, { "MULTI", "SELECT 5", "SET a 9" },
		{ "WATCH a" }, { "SELECT 5" }, { "WATCH a", "SELECT 5", "MULTI" }, { "SELECT 5", "MULTI", "EXEC" } };
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	long long id;

	says(k, NULL, "SET a 1", "OK");
	id = id_of(k, NULL);
	for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
		kit_lend(k, &l);
		for (int n = 0; n < 3 && left[i][n] != NULL; n++) {
			start(k, &l, &a, left[i][n]);
			assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
			kit_end(&a);
		}
		kit_give(&l);
		/* The next one finds it as it was: the same one, for this was undone. */
		says(k, NULL, "GET a", "1");
		kit_lend(k, &l);
		says(k, &l, "SET a 1", "OK");
		says(k, &l, "MULTI", "OK");
		says(k, &l, "GET a", "QUEUED");
		says(k, &l, "EXEC", "[1]");
		kit_give(&l);
		assert_int_equal(id_of(k, NULL), id);
	}
}

static void
what_is_left_behind_is_undone(void **state)
{
	(void)state;
	with_pool(1, 0, left_body);
}

static void
spoilt_body(void *arg)
{
	static const char *const left[] = { "CLIENT NO-EVICT on", "READWRITE", "CLIENT TRACKING off" };
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	long long id;

	for (size_t i = 0; i < sizeof left / sizeof *left; i++) {
		id = id_of(k, NULL);
		kit_lend(k, &l);
		start(k, &l, &a, left[i]);
		(void)call_wait(&a.call, KIT_SOON);
		kit_end(&a);
		kit_give(&l);
		assert_true(id_of(k, NULL) != id);
	}
	/* Nobody knows what a command has done whose answer was not waited for. */
	id = id_of(k, NULL);
	kit_lend(k, &l);
	start(k, &l, &a, "MULTI");
	call_abandon(&a.call, WEFT_CANCELED);
	kit_end(&a);
	says(k, &l, "INCR n", "QUEUED");
	kit_give(&l);
	says(k, NULL, "GET n", "nil");
	assert_true(id_of(k, NULL) != id);
}

static void
what_cannot_be_undone_is_closed(void **state)
{
	(void)state;
	with_pool(1, 0, spoilt_body);
}

static void
refused_body(void *arg)
{
	static const char *const never[][2] = { { "SUBSCRIBE c", "answered once" }, { "MONITOR", "answered once" },
		{ "CLIENT REPLY OFF", "answered once" }, { "SCRIPT DEBUG YES", "answered once" }, { "AUTH x", "user" },
		{ "HELLO 3", "protocol" }, { "RESET", "give it back" }, { "QUIT", "give it back" } };
	struct kit *k = arg;
	struct kit_lease l;
	long long id = id_of(k, NULL);

	kit_lend(k, &l);
	for (size_t i = 0; i < sizeof never / sizeof *never; i++)
		fails(k, &l, never[i][0], WEFT_INVALID, never[i][1]);
	assert_true(lease_is_live(&l.lease));
	kit_give(&l);
	assert_int_equal(id_of(k, NULL), id);
}

static void
some_may_never_be_sent(void **state)
{
	(void)state;
	with_pool(1, 0, refused_body);
}

/* ---- waits ---- */

struct waiting {
	struct kit *k;
	struct fiber *fiber;
	enum weft_rc rc;
	char text[100];
	bool is_done;
};

static void
wait_fiber(void *arg)
{
	struct waiting *w = arg;
	struct kit_lease l;
	struct kit_ask a;

	kit_lend(w->k, &l);
	start(w->k, &l, &a, "BLPOP list 0");
	w->rc = call_wait(&a.call, CLOCK_NEVER);
	if (w->rc == WEFT_OK)
		text_of(a.call.reply, w->text, sizeof w->text);
	kit_end(&a);
	kit_give(&l);
	w->is_done = true;
}

static void
wait_begin(struct waiting *w, struct kit *k, usec deadline)
{
	*w = (struct waiting){ .k = k };
	w->fiber = fiber_new(loop_fibers(k->loop), 0);
	assert_non_null(w->fiber);
	fiber_set_deadline(w->fiber, deadline);
	fiber_start(w->fiber, wait_fiber, w);
}

static void
await(const struct waiting *w)
{
	for (int i = 0; i < 500 && !w->is_done; i++)
		nap(10 * USEC_PER_MSEC);
	assert_true(w->is_done);
}

static void
wait_body(void *arg)
{
	struct kit *k = arg;
	struct waiting w;

	wait_begin(&w, k, CLOCK_NEVER);
	/* For longer than call_timeout, and what the pool has patience for beyond that. */
	for (int i = 0; i < 26; i++) {
		nap(50 * USEC_PER_MSEC);
		says(k, NULL, "PING", "PONG");
	}
	assert_false(w.is_done);
	says(k, NULL, "RPUSH list x", "1");
	await(&w);
	assert_int_equal(w.rc, WEFT_OK);
	assert_string_equal(w.text, "[list x]");
	assert_int_equal(stat_of(k).open, 2);
	assert_int_equal(stat_of(k).losses, 0);
}

static void
a_wait_outlasts_call_timeout_and_hinders_nobody(void **state)
{
	(void)state;
	with_pool(2, 100 * USEC_PER_MSEC, wait_body);
}

static void
given_up_body(void *arg)
{
	struct kit *k = arg;
	struct waiting w;

	for (int late = 0; late < 2; late++) {
		wait_begin(&w, k, late ? clock_now() + 100 * USEC_PER_MSEC : CLOCK_NEVER);
		nap(50 * USEC_PER_MSEC);
		assert_int_equal(stat_of(k).lent, 1);
		if (!late)
			fiber_cancel(w.fiber);
		await(&w);
		assert_int_equal(w.rc, late ? WEFT_TIMEOUT : WEFT_CANCELED);
		assert_int_equal(stat_of(k).lent, 0);
		/* Redis does not wait any more either: what comes now is nobody's. */
		nap(20 * USEC_PER_MSEC);
		says(k, NULL, "RPUSH list y", "1");
		says(k, NULL, "LPOP list", "y");
		assert_int_equal(stat_of(k).busy, 0);
		assert_int_equal(stat_of(k).losses, 0);
	}
}

static void
a_wait_given_up_ends_the_connection(void **state)
{
	(void)state;
	with_pool(1, 0, given_up_body);
}

static void
many_body(void *arg)
{
	enum { N = 200 };
	struct kit *k = arg;
	struct waiting *w = calloc(N, sizeof *w);

	for (int i = 0; i < N; i++)
		wait_begin(&w[i], k, CLOCK_NEVER);
	for (int i = 0; i < 500 && stat_of(k).lent < N; i++)
		nap(10 * USEC_PER_MSEC);
	assert_int_equal(stat_of(k).lent, N);
	says(k, NULL, "PING", "PONG");
	for (int i = 0; i < N; i++) {
		struct kit_ask a;

		start(k, NULL, &a, "RPUSH list z");
		assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
		kit_end(&a);
	}
	for (int i = 0; i < N; i++) {
		await(&w[i]);
		assert_int_equal(w[i].rc, WEFT_OK);
	}
	says(k, NULL, "LLEN list", "0");
	free(w);
}

static void
hundreds_wait(void **state)
{
	(void)state;
	with_pool(201, 0, many_body);
}

/* ---- the connection is lost ---- */

static void
killed_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	char command[60];

	says(k, NULL, "SET a 1", "OK");
	kit_lend(k, &l);
	snprintf(command, sizeof command, "CLIENT KILL ID %lld", id_of(k, &l));
	says(k, &l, "MULTI", "OK");
	says(k, &l, "SET a 2", "QUEUED");
	says(k, NULL, command, "1");
	nap(50 * USEC_PER_MSEC);
	assert_false(lease_is_live(&l.lease));
	fails(k, &l, "EXEC", WEFT_NOT_SENT, "gone");
	fails(k, &l, "SET a 3", WEFT_NOT_SENT, "gone");
	kit_give(&l);
	says(k, NULL, "GET a", "1");
}

static void
killed_waiting_body(void *arg)
{
	struct kit *k = arg;
	struct kit_lease l;
	struct kit_ask a;
	char command[60];

	kit_lend(k, &l);
	snprintf(command, sizeof command, "CLIENT KILL ID %lld", id_of(k, &l));
	start(k, &l, &a, "BLPOP list 0");
	nap(20 * USEC_PER_MSEC);
	says(k, NULL, command, "1");
	assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_UNKNOWN);
	kit_end(&a);
	fails(k, &l, "PING", WEFT_NOT_SENT, "gone");
	kit_give(&l);
}

static void
a_lost_connection_is_told_once_and_for_all(void **state)
{
	(void)state;
	with_pool(2, 0, killed_body);
	with_pool(2, 0, killed_waiting_body);
}

/* ---- scripts, down any connection ---- */

static void
script_body(void *arg)
{
	static const char sha[] = "b1bcc2a8a1e8507c9d84b63f7d10ae362e581c51";
	struct kit *k = arg;
	char command[80];

	/* By SCRIPT LOAD's answer, and by what Redis calls the failure, weft_redis_script goes. */
	snprintf(command, sizeof command, "EVALSHA %s 0", sha);
	fails(k, NULL, command, WEFT_REFUSED, "NOSCRIPT");
	says(k, NULL, "SCRIPT LOAD return\t500", sha);
	says(k, NULL, command, "500");
	says(k, NULL, "SCRIPT FLUSH", "OK");
	fails(k, NULL, command, WEFT_REFUSED, "NOSCRIPT");
}

static void
scripts_are_known_by_their_hash(void **state)
{
	(void)state;
	with_pool(1, 0, script_body);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(multi_and_exec_are_one_step),
		cmocka_unit_test(a_change_by_others_makes_exec_do_nothing),
		cmocka_unit_test(what_is_left_behind_is_undone),
		cmocka_unit_test(what_cannot_be_undone_is_closed),
		cmocka_unit_test(some_may_never_be_sent),
		cmocka_unit_test(a_wait_outlasts_call_timeout_and_hinders_nobody),
		cmocka_unit_test(a_wait_given_up_ends_the_connection),
		cmocka_unit_test(hundreds_wait),
		cmocka_unit_test(a_lost_connection_is_told_once_and_for_all),
		cmocka_unit_test(scripts_are_known_by_their_hash),
	};

	signal(SIGPIPE, SIG_IGN);
	log_open(2, LOG_ERROR_, "test");
	return cmocka_run_group_tests(tests, server_set_up, server_tear_down);
}
