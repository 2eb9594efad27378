/* SPDX-License-Identifier: ISC */
#include "back_same_redis.h"

#include "back/redis/reply.h"
#include "back_cut.h"

static pid_t server;
static char folder[] = "/tmp/back_lease_redis.XXXXXX";
static char path[64], url[100];

/* ---- asking ---- */

void
redis_start(struct kit *k, struct kit_lease *l, struct kit_ask *a, const char *command)
{
	arena_init(&a->arena, NULL, 0, 0);
	call_init(&a->call, CALL_REDIS, &a->arena, &a->fault);
	assert_int_equal(redis_command_format(&a->arena, &a->call.redis, command), WEFT_OK);
	if (l != NULL)
		lease_submit(&l->lease, &a->call);
	else
		pool_submit(k->pool, &a->call);
}

void
redis_text(const struct weft_reply *r, char *out, size_t size)
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
			redis_text(r->element[i], out + n, size - n);
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

static void
redis_check(const struct kit_ask *a, const char *want)
{
	char text[500];

	redis_text(a->call.reply, text, sizeof text);
	assert_string_equal(text, want);
}

static long long
redis_id(struct kit *k, struct kit_lease *l)
{
	struct kit_ask a;
	long long id;

	redis_start(k, l, &a, "CLIENT ID");
	assert_int_equal(call_wait(&a.call, KIT_SOON), WEFT_OK);
	id = a.call.reply->integer;
	kit_end(&a);
	return id;
}

/* ---- the server ---- */

static void
redis_freeze(long long id)
{
	(void)id;
	same_freeze_process(server);
}

static const char *
redis_cut(void)
{
	static char at[120];
	char from[80];

	snprintf(from, sizeof from, "%s.cut", path);
	snprintf(at, sizeof at, "redis+unix://%s?db=3", from);
	cut_start(from, path);
	return at;
}

const struct same_server same = {
	.url = url, .start = redis_start, .check = redis_check, .id = redis_id, .freeze = redis_freeze, .cut = redis_cut,
};

static void
rows_body(void *kit)
{
	/* The first of all may have to wait until it is there. */
	for (int i = 0; i < 500 && kit_stat(kit).open == 0; i++)
		same_nap(10 * USEC_PER_MSEC);
	for (int row = 1; row <= 10; row++)
		same_set(kit, NULL, row, 100);
}

int
redis_set_up(void **state)
{
	char *argv[] = { (char *)(uintptr_t)"redis-server", (char *)(uintptr_t)"--unixsocket", path, (char *)(uintptr_t)"--save",
		(char *)(uintptr_t)"", (char *)(uintptr_t)"--appendonly", (char *)(uintptr_t)"no", (char *)(uintptr_t)"--dir", folder,
		(char *)(uintptr_t)"--port", (char *)(uintptr_t)"0", NULL };
	struct kit k;

	(void)state;
	kit_make_dir(folder, "redis");
	snprintf(path, sizeof path, "%s/s", folder);
	snprintf(url, sizeof url, "redis+unix://%s?db=3", path);
	server = kit_spawn_server("/usr/bin/redis-server", argv, folder, "redis", SIGKILL);
	kit_open_with(&k, (struct pool_conf){ .url = url, .max = 1, .min = 1 });
	kit_run(&k, rows_body, &k);
	kit_close(&k);
	return 0;
}

int
redis_tear_down(void **state)
{
	int status;

	(void)state;
	kill(server, SIGKILL);
	waitpid(server, &status, 0);
	(void)kit_remove_dir(folder);
	return WIFEXITED(status) ? -1 : 0;
}
