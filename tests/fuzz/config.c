/* SPDX-License-Identifier: ISC */
/*
 * The input is a weft.conf.  It is refused in one sentence that names the file, or every value is within what
 * weft.conf(5) says.  Of pools only the URL is looked at; what drivers say of it is not this target's.
 */
// sources: src/server/config.c src/server/config_text.c src/server/sandbox.c src/server/allow.c src/back/url.c
// flags: -lconfuse
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "back/url.h"
#include "fuzz.h"
#include "server/config.h"

enum weft_rc
pool_check(const struct pool_conf *conf, char *error, size_t size)
{
	struct back_url url;

	must(conf->max >= 1 && conf->min <= conf->max && conf->queue >= 1);
	return back_url_parse(conf->url, &url, error, size);
}

static void
check_limits(const struct config_limit *l)
{
	const usec times[] = { l->timeout, l->head_timeout, l->body_timeout, l->send_timeout, l->idle_timeout, l->grace };

	must(l->requests >= 1 && l->connections >= 1 && l->multiplex >= 1);
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
		must(times[i] >= 0 && times[i] <= 100000000LL * 3600 * USEC_PER_SEC);
}

static void
check(const struct config *c)
{
	must(c->workers >= 1 && c->workers <= CONFIG_WORKERS_MAX && c->nlistens <= CONFIG_LISTEN_MAX);
	must(c->control_mode <= 0777 && c->control != NULL && c->user != NULL && c->status != NULL && c->warm_url != NULL);
	for (size_t i = 0; i < c->nlistens; i++)
		must(c->listen[i].name != NULL && c->listen[i].address != NULL && c->listen[i].mode <= 0777 && c->listen[i].line > 0);
	for (size_t i = 0; i < c->npools; i++)
		must(c->pool[i].conf.name != NULL && c->pool[i].conf.max >= c->workers && c->pool[i].line > 0);
	for (size_t i = 0; i < c->nmodules; i++)
		must(c->module[i].name != NULL && c->module[i].file != NULL && c->module[i].prefix != NULL && c->module[i].line > 0);
	check_limits(&c->limit);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	static char file[32];
	char error[256] = "";
	struct config *c;

	if (fd < 0) {
		fd = memfd_create("weft.conf", MFD_CLOEXEC);
		snprintf(file, sizeof file, "/proc/self/fd/%d", fd);
	}
	must(fd >= 0 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	c = config_read(file, error, sizeof error);
	must(memchr(error, '\0', sizeof error) != NULL && (c == NULL) == (error[0] != '\0'));
	if (c == NULL)
		must(strncmp(error, file, strlen(file)) == 0);
	else
		check(c);
	config_free(&c);
	return 0;
}
