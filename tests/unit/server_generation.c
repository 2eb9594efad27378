/* SPDX-License-Identifier: ISC */
/*
 * Generations of real workers, and a real master.  A worker that is not to
 * become ready is not listened to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/app.h"
#include "loop/child.h"
#include "loop/loop.h"
#include "server/config.h"
#include "server/control.h"
#include "server/generation.h"
#include "server/link.h"
#include "server/master.h"

static char folder[] = "/tmp/weft-generation-XXXXXX";
static char conf[64], control[64];

/* ---- a generation without a master ---- */

struct seen {
	struct loop *loop;
	unsigned ready, serving, refused, ended;
	char why[256];
};

static void
on_ready(void *arg, struct seat *s)
{
	(void)s;
	((struct seen *)arg)->ready++;
}

static void
on_serving(void *arg, struct generation *g)
{
	(void)g;
	((struct seen *)arg)->serving++;
}

static void
on_refused(void *arg, struct generation *g, const char *why)
{
	struct seen *s = arg;

	s->refused++;
	snprintf(s->why, sizeof s->why, "%s", why);
	generation_drain(g);
}

static void
on_status(void *arg, uint32_t id, const char *json)
{
	(void)arg;
	(void)id;
	(void)json;
}

static void
on_ended(void *arg, struct generation *g)
{
	((struct seen *)arg)->ended++;
	generation_free(&g);
}

static void
write_conf(const char *text)
{
	FILE *f = fopen(conf, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static struct generation *
generation_of(struct seen *s, unsigned workers)
{
	static const struct generation_ops ops = { on_ready, on_serving, on_refused, on_status, on_ended };
	static struct timeline_ring *ring[APP_RINGS_MAX];
	struct timeline_ring *rings = mmap(NULL, workers * sizeof *rings, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char text[256], error[512];
	struct config *c;
	struct generation *g;

	snprintf(text, sizeof text, "workers = %u\nlog_level = error\n", workers);
	write_conf(text);
	c = config_read(conf, error, sizeof error);
	assert_non_null(c);
	assert_true(rings != MAP_FAILED);
	for (unsigned i = 0; i < workers; i++)
		ring[i] = &rings[i];
	s->loop = loop_new(NULL);
	g = generation_new(s->loop, c, &ops, s);
	assert_non_null(g);
	g->ring = ring;
	g->nrings = workers;
	return g;
}

static void
turn_until(struct loop *l, const unsigned *count)
{
	for (int i = 0; i < 2000 && *count == 0; i++)
		loop_turn(l, 10 * USEC_PER_MSEC);
	assert_int_not_equal(*count, 0);
}

/* A module may call exit(0) while it is loaded: then no worker will ever be ready. */
static void
a_worker_that_ends_well_before_all_are_ready_is_refused(void **state)
{
	struct seen s = { 0 };
	struct generation *g = generation_of(&s, 2);

	(void)state;
	generation_start(g);
	link_free(&g->seat[1].link);
	turn_until(s.loop, &s.ready);
	assert_int_equal(child_kill(g->seat[0].child, SIGTERM), 0);
	turn_until(s.loop, &s.refused);
	assert_non_null(strstr(s.why, "exit status 0"));
	generation_kill(g);
	turn_until(s.loop, &s.ended);
	assert_int_equal(s.serving, 0);
	loop_free(&s.loop);
}

static void
a_worker_that_is_never_ready_is_refused(void **state)
{
	struct seen s = { 0 };
	struct generation *g = generation_of(&s, 1);

	(void)state;
	g->start_max = 100 * USEC_PER_MSEC;
	generation_start(g);
	link_free(&g->seat[0].link);
	turn_until(s.loop, &s.refused);
	assert_non_null(strstr(s.why, "not ready"));
	generation_kill(g);
	turn_until(s.loop, &s.ended);
	loop_free(&s.loop);
}

/* ---- a master ---- */

static pid_t
master_start(const char *text)
{
	char error[512], *answer = NULL;
	struct config *c;
	pid_t pid;

	write_conf(text);
	c = config_read(conf, error, sizeof error);
	assert_non_null(c);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGTERM);	/* a test that fails leaves nothing behind */
		_exit(master_run(c));
	}
	config_free(&c);
	/* Serving, and not only there, when it names its worker. */
	for (int i = 0; i < 1000; i++) {
		if (control_ask(control, "status", &answer) == 0 && strstr(answer, "\"worker\"") != NULL)
			break;
		free(answer);
		answer = NULL;
		usleep(10000);
	}
	assert_non_null(answer);
	free(answer);
	return pid;
}

static void
master_stop(pid_t pid)
{
	int status = -1;

	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static bool
somebody_listens(const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), rc;

	snprintf(sun.sun_path, sizeof sun.sun_path, "%s/%s", folder, name);
	rc = connect(fd, (struct sockaddr *)&sun, sizeof sun);
	close(fd);
	return rc == 0;
}

static char *
conf_text(const char *control_name, const char *listens, const char *more)
{
	static char text[1024];

	snprintf(text, sizeof text, "workers = 1\nlog_level = error\ncontrol = \"%s/%s\"\n", folder, control_name);
	for (const char *at = listens; *at != '\0'; at++)
		snprintf(text + strlen(text), sizeof text - strlen(text), "listen \"%c\" { address = \"unix:%s/%c\" }\n", *at, folder, *at);
	snprintf(text + strlen(text), sizeof text - strlen(text), "%s", more);
	return text;
}

/* The worker's last words and its end come in the same turn. */
static void
a_reload_that_is_refused_tells_the_cause_and_leaves_no_socket(void **state)
{
	pid_t pid = master_start(conf_text("ctl", "a", ""));
	char *answer;

	(void)state;
	write_conf(conf_text("ctl", "ab", "module \"m\" { file = \"/nowhere/no-such.so\" }\n"));
	for (int i = 0; i < 12; i++) {
		assert_int_equal(control_ask(control, "reload", &answer), 0);
		if (strstr(answer, "under way") == NULL)
			assert_non_null(strstr(answer, "no-such.so"));
		free(answer);
	}
	assert_true(somebody_listens("a"));
	assert_false(somebody_listens("b"));
	master_stop(pid);
}

static void
a_reload_with_another_control_path_keeps_the_socket(void **state)
{
	pid_t pid = master_start(conf_text("ctl", "a", ""));
	char *answer;

	(void)state;
	write_conf(conf_text("other", "b", ""));
	assert_int_equal(control_ask(control, "reload", &answer), 0);
	assert_string_equal(answer, "ok reloaded\n");
	free(answer);
	assert_int_equal(control_ask(control, "status", &answer), 0);
	assert_non_null(strstr(answer, "\"master\""));
	free(answer);
	assert_false(somebody_listens("a"));
	assert_true(somebody_listens("b"));
	master_stop(pid);
}

static int
set_up(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(conf, sizeof conf, "%s/conf", folder);
	snprintf(control, sizeof control, "%s/ctl", folder);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	unlink(conf);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_worker_that_ends_well_before_all_are_ready_is_refused),
		cmocka_unit_test(a_worker_that_is_never_ready_is_refused),
		cmocka_unit_test(a_reload_that_is_refused_tells_the_cause_and_leaves_no_socket),
		cmocka_unit_test(a_reload_with_another_control_path_keeps_the_socket),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
