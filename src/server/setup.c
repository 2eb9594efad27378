/* SPDX-License-Identifier: ISC */
#include "server/setup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "app/app.h"
#include "app/module.h"
#include "app/page.h"
#include "base/log.h"
#include "loop/child.h"
#include "loop/loop.h"
#include "server/config.h"

void
setup_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
		log_warn("the limit of open files stays: %s", strerror(errno));
}

void
setup_room(unsigned n)
{
	struct rlimit limit;
	int fd;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && n >= limit.rlim_cur)
		n = (unsigned)limit.rlim_cur - 1;
	fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, (int)n);
	if (fd >= 0)
		close(fd);
}

static void
setup_limits(struct app *a, const struct config_limit *l)
{
	struct front_app *f = &a->front;

	f->max_requests = l->requests;
	f->max_connections = l->connections;
	f->multiplex = l->multiplex;
	f->head_timeout = l->head_timeout;
	f->body_timeout = l->body_timeout;
	f->send_timeout = l->send_timeout;
	f->idle_timeout = l->idle_timeout;
	f->request.body_max = l->body;
	f->request.body_memory = l->body_memory;
	f->request.arena_max = l->memory;
	f->request.timeout = l->timeout;
	a->timeout_max = l->timeout_max;
}

static int
setup_pools(struct app *a, const struct config *c, unsigned n, const struct setup_permits *permits, char *error, size_t size)
{
	char why[256];

	if (c->npools > APP_POOLS_MAX) {
		snprintf(error, size, "%s:%u: too many pools", c->file, c->pool[APP_POOLS_MAX].line);
		return -1;
	}
	for (size_t i = 0; i < c->npools; i++) {
		struct pool_conf conf = c->pool[i].conf;
		struct pool *p;

		conf.most = conf.max;
		conf.max = config_share(conf.max, c->workers, n);
		conf.min = config_share(conf.min, c->workers, n);
		/* One that is not entitled to any may be lent one. */
		if (conf.max == 0)
			conf.max = 1;
		if (permits != NULL) {
			conf.keeper = permits->keeper;
			conf.keeper_arg = permits->arg;
			conf.granted = permits->granted[i];
		}
		p = pool_open(a->loop, &conf, why, sizeof why);
		if (p == NULL || app_add_pool(a, p) != 0) {
			snprintf(error, size, "%s:%u: %s", c->file, c->pool[i].line, p == NULL ? why : "too many pools");
			pool_close(&p);
			return -1;
		}
	}
	return 0;
}

static int
setup_modules(struct app *a, const struct config *c, char *error, size_t size)
{
	char why[512];

	for (size_t i = 0; i < c->nmodules; i++) {
		const struct config_module *cm = &c->module[i];
		struct module *m = module_load(cm->name, cm->file, why, sizeof why);

		if (m == NULL || app_add_module(a, m, cm->prefix, why, sizeof why) != 0) {
			snprintf(error, size, "%s:%u: module \"%s\": %s", c->file, cm->line, cm->name, why);
			return -1;
		}
	}
	if (c->status[0] != '\0' && page_add(a, c->status, why, sizeof why) != 0) {
		snprintf(error, size, "%s: status: %s", c->file, why);
		return -1;
	}
	return 0;
}

int
setup_app(struct app *a, const struct config *c, struct loop *l, unsigned n, const struct setup_permits *permits, char *error,
    size_t size)
{
	if (app_init(a, l) != 0) {
		snprintf(error, size, "out of memory");
		return -1;
	}
	a->worker = n + 1;
	setup_limits(a, &c->limit);
	/* Modules first: one that is refused should not have cost connections. */
	if (setup_modules(a, c, error, size) != 0 || setup_pools(a, c, n, permits, error, size) != 0)
		return -1;
	return app_start(a, error, size);
}

/* In a child: load everything, tell what is wrong over the pipe. */
static int
setup_check_child(const struct config *c, int pipe_fd)
{
	struct loop *l = loop_new(NULL);
	struct app a;
	char error[1024] = "";

	if (l == NULL)
		return 1;
	if (app_init(&a, l) == 0 && setup_modules(&a, c, error, sizeof error) == 0)
		return 0;
	if (write(pipe_fd, error, strlen(error)) < 0)
		return 2;
	return 1;
}

int
setup_check(const struct config *c, char *error, size_t size)
{
	char status_text[128];
	int ends[2], status = -1;
	ssize_t n = 0;
	size_t len = 0;
	pid_t pid;

	if (pipe(ends) != 0) {
		snprintf(error, size, "pipe: cannot be made");
		return -1;
	}
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		alarm(20);	/* a constructor that never returns */
		_exit(setup_check_child(c, ends[1]));
	}
	close(ends[1]);
	while (len < size - 1 && (n = read(ends[0], error + len, size - 1 - len)) > 0)
		len += (size_t)n;
	error[len] = '\0';
	close(ends[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
		child_status_text(status, status_text, sizeof status_text);
		if (len == 0)
			snprintf(error, size, "%s: loading the modules ended with %s", c->file, status_text);
		return -1;
	}
	return 0;
}
