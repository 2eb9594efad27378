/* SPDX-License-Identifier: ISC */
/*
 * Reading weft.conf.  libconfuse parses and knows the line; the validators
 * below run at each value, so that their complaint names that line.  What
 * spans several values is checked afterwards, at the line of the section.
 */
#include "server/config.h"

#include <confuse.h>
#include <errno.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "server/config_text.h"
#include "server/sandbox.h"

/* libconfuse's error function has no argument of the caller's: one parse at a time. */
static struct {
	const char *file;
	char *text;
	size_t size;
} config_complaint;

static void __attribute__((format(printf, 2, 0)))
config_complain(unsigned line, const char *fmt, va_list ap)
{
	char *to = config_complaint.text;
	int n;

	if (to == NULL || to[0] != '\0')
		return;		/* the first complaint is the cause */
	n = snprintf(to, config_complaint.size, "%s:%u: ", config_complaint.file, line);
	if (n > 0 && (size_t)n < config_complaint.size)
		vsnprintf(to + n, config_complaint.size - (size_t)n, fmt, ap);
}

/* libconfuse's complaints while it parses: the line is where it is. */
static void __attribute__((format(printf, 2, 0)))
config_on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	config_complain(cfg == NULL ? 0 : (unsigned)cfg->line, fmt, ap);
}

/* Read a whole number at the front of text, not negative.  Returns what stands behind it, or NULL. */
static const char *
config_number(const char *text, unsigned long long *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return NULL;
	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno == 0 ? end : NULL;
}

int
config_duration(const char *text, usec *out)
{
	static const struct {
		const char *unit;
		usec length;
	} units[] = { { "ms", USEC_PER_MSEC }, { "s", USEC_PER_SEC }, { "m", 60 * USEC_PER_SEC }, { "h", 3600 * USEC_PER_SEC } };
	unsigned long long n;
	const char *unit = config_number(text, &n);

	if (unit == NULL || n > 100000000)
		return -1;
	if (n == 0 && *unit == '\0') {
		*out = 0;
		return 0;
	}
	for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
		if (strcmp(unit, units[i].unit) == 0) {
			*out = (usec)n * units[i].length;
			return 0;
		}
	return -1;
}

int
config_bytes(const char *text, unsigned long long *out)
{
	static const char letters[] = "kMGT";
	unsigned long long n;
	const char *unit = config_number(text, &n), *at;

	if (unit == NULL || n > 1ULL << 43)
		return -1;
	if (*unit != '\0') {
		at = strchr(letters, *unit);
		if (at == NULL || unit[1] != '\0')
			return -1;
		for (const char *p = letters; p <= at; p++)
			n *= 1024;
	}
	*out = n;
	return 0;
}

static int
config_valid_duration(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getstr(opt);
	usec length;

	if (config_duration(text, &length) == 0)
		return 0;
	cfg_error(cfg, "%s = \"%s\": not a length of time (\"250ms\", \"2s\", \"5m\", \"1h\")", opt->name, text);
	return -1;
}

static int
config_valid_bytes(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getstr(opt);
	unsigned long long n;

	if (config_bytes(text, &n) == 0)
		return 0;
	cfg_error(cfg, "%s = \"%s\": not an amount of bytes (\"4096\", \"64k\", \"16M\", \"2G\")", opt->name, text);
	return -1;
}

static int
config_mode(const char *text, mode_t *out)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (text[0] < '0' || text[0] > '7' || *end != '\0' || mode > 0777)
		return -1;
	*out = (mode_t)mode;
	return 0;
}

static int
config_valid_mode(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getstr(opt);
	mode_t mode;

	if (config_mode(text, &mode) == 0)
		return 0;
	cfg_error(cfg, "%s = \"%s\": not an octal mode (\"0660\")", opt->name, text);
	return -1;
}

static int
config_valid_prefix(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getstr(opt);
	size_t len = strlen(text);

	if (len == 0 || (text[0] == '/' && text[len - 1] != '/' && strpbrk(text, ":*?# \t") == NULL))
		return 0;
	cfg_error(cfg, "%s = \"%s\": begins with '/', does not end with one, and has no ':', '*', '?', '#' or blank", opt->name, text);
	return -1;
}

static int
config_valid_count(cfg_t *cfg, cfg_opt_t *opt)
{
	long n = cfg_opt_getnint(opt, cfg_opt_size(opt) - 1);
	long max = strcmp(opt->name, "workers") == 0 ? CONFIG_WORKERS_MAX : 1000000;
	long min = strcmp(opt->name, "min") == 0 ? 0 : 1;

	if (n >= min && n <= max)
		return 0;
	cfg_error(cfg, "%s = %ld: not within %ld and %ld", opt->name, n, min, max);
	return -1;
}

static int
config_level(const char *text, enum log_level *out)
{
	static const char *const word[] = { "debug", "info", "warn", "error" };

	for (size_t i = 0; i < sizeof word / sizeof word[0]; i++)
		if (strcmp(text, word[i]) == 0) {
			*out = (enum log_level)i;
			return 0;
		}
	return -1;
}

static int
config_valid_level(cfg_t *cfg, cfg_opt_t *opt)
{
	enum log_level level;

	if (config_level(cfg_opt_getstr(opt), &level) == 0)
		return 0;
	cfg_error(cfg, "log_level = \"%s\": debug, info, warn or error", cfg_opt_getstr(opt));
	return -1;
}

static int
config_valid_sandbox(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *text = cfg_opt_getstr(opt);

	if (strcmp(text, "on") != 0 && strcmp(text, "off") != 0)
		cfg_error(cfg, "sandbox = \"%s\": on or off", text);
	else if (strcmp(text, "on") == 0 && !sandbox_is_there())
		cfg_error(cfg, "sandbox = \"on\": this build is without libseccomp");
	else
		return 0;
	return -1;
}

static cfg_opt_t config_listen_opts[] = {
	CFG_STR("address", NULL, CFGF_NODEFAULT),
	CFG_STR("mode", "0660", CFGF_NONE),
	CFG_STR("group", "", CFGF_NONE),
	CFG_STR_LIST("allow", "{}", CFGF_NONE),
	CFG_END(),
};

static cfg_opt_t config_pool_opts[] = {
	CFG_STR("url", NULL, CFGF_NODEFAULT),
	CFG_INT("max", 8, CFGF_NONE),
	CFG_INT("min", 1, CFGF_NONE),
	CFG_INT("queue", 4096, CFGF_NONE),
	CFG_STR("queue_timeout", "1s", CFGF_NONE),
	CFG_STR("connect_timeout", "2s", CFGF_NONE),
	CFG_STR("call_timeout", "30s", CFGF_NONE),
	CFG_STR("idle_timeout", "10m", CFGF_NONE),
	CFG_STR("max_lifetime", "1h", CFGF_NONE),
	CFG_STR("check_after", "30s", CFGF_NONE),
	CFG_STR("backoff", "5s", CFGF_NONE),
	CFG_END(),
};

static cfg_opt_t config_module_opts[] = {
	CFG_STR("file", NULL, CFGF_NODEFAULT),
	CFG_STR("prefix", "", CFGF_NONE),
	CFG_END(),
};

static cfg_opt_t config_limit_opts[] = {
	CFG_INT("requests", 10000, CFGF_NONE),
	CFG_INT("connections", 20000, CFGF_NONE),
	CFG_INT("multiplex", 1024, CFGF_NONE),
	CFG_STR("body", "16M", CFGF_NONE),
	CFG_STR("body_memory", "64k", CFGF_NONE),
	CFG_STR("memory", "64M", CFGF_NONE),
	CFG_STR("stack", "128k", CFGF_NONE),
	CFG_STR("timeout", "60s", CFGF_NONE),
	CFG_STR("timeout_max", "1h", CFGF_NONE),
	CFG_STR("head_timeout", "10s", CFGF_NONE),
	CFG_STR("body_timeout", "30s", CFGF_NONE),
	CFG_STR("send_timeout", "30s", CFGF_NONE),
	CFG_STR("idle_timeout", "1h", CFGF_NONE),
	CFG_STR("grace", "30s", CFGF_NONE),
	CFG_END(),
};

static cfg_opt_t config_opts[] = {
	CFG_INT("workers", 1, CFGF_NONE),
	CFG_STR("control", "", CFGF_NONE),
	CFG_STR("control_mode", "0600", CFGF_NONE),
	CFG_STR("control_group", "", CFGF_NONE),
	CFG_STR_LIST("gate_users", "{}", CFGF_NONE),
	CFG_STR("user", "", CFGF_NONE),
	CFG_STR("status", "", CFGF_NONE),
	CFG_STR("warm_url", "", CFGF_NONE),
	CFG_STR("log_level", "info", CFGF_NONE),
	CFG_STR("sandbox", "off", CFGF_NONE),
	CFG_SEC("listen", config_listen_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_SEC("pool", config_pool_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_SEC("module", config_module_opts, CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_SEC("limit", config_limit_opts, CFGF_NONE),
	CFG_END(),
};

static cfg_t *
config_grammar(void)
{
	static const char *const durations[] = { "pool|queue_timeout", "pool|connect_timeout", "pool|call_timeout",
		"pool|idle_timeout", "pool|max_lifetime", "pool|check_after", "pool|backoff", "limit|timeout", "limit|timeout_max",
		"limit|head_timeout", "limit|body_timeout", "limit|send_timeout", "limit|idle_timeout", "limit|grace" };
	static const char *const bytes[] = { "limit|body", "limit|body_memory", "limit|memory", "limit|stack" };
	static const char *const counts[] = { "workers", "pool|max", "pool|min", "pool|queue", "limit|requests",
		"limit|connections", "limit|multiplex" };
	cfg_t *cfg = cfg_init(config_opts, CFGF_NONE);

	if (cfg == NULL)
		return NULL;
	cfg_set_error_function(cfg, config_on_error);
	for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++)
		cfg_set_validate_func(cfg, durations[i], config_valid_duration);
	for (size_t i = 0; i < sizeof bytes / sizeof bytes[0]; i++)
		cfg_set_validate_func(cfg, bytes[i], config_valid_bytes);
	for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
		cfg_set_validate_func(cfg, counts[i], config_valid_count);
	cfg_set_validate_func(cfg, "listen|mode", config_valid_mode);
	cfg_set_validate_func(cfg, "control_mode", config_valid_mode);
	cfg_set_validate_func(cfg, "module|prefix", config_valid_prefix);
	cfg_set_validate_func(cfg, "status", config_valid_prefix);
	cfg_set_validate_func(cfg, "log_level", config_valid_level);
	cfg_set_validate_func(cfg, "sandbox", config_valid_sandbox);
	return cfg;
}

/* A complaint about a section, at the line where it begins. */
static int __attribute__((format(printf, 2, 3)))
config_refuse(unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	config_complain(line, fmt, ap);
	va_end(ap);
	return -1;
}

static usec
config_get_duration(cfg_t *sec, const char *name)
{
	usec length = 0;

	config_duration(cfg_getstr(sec, name), &length);
	return length;
}

static unsigned long long
config_get_bytes(cfg_t *sec, const char *name)
{
	unsigned long long n = 0;

	config_bytes(cfg_getstr(sec, name), &n);
	return n;
}

/* FCGI_WEB_SERVER_ADDRS: who starts us says who may connect. */
static int
config_take_web(struct config *c)
{
	const char *text = getenv("FCGI_WEB_SERVER_ADDRS");

	if (text != NULL && text[0] != '\0' && allow_parse(&c->web, text) != 0)
		return config_refuse(1, "FCGI_WEB_SERVER_ADDRS=\"%s\" in the environment: not a list of addresses", text);
	return 0;
}

/* Who may connect to one socket. */
static int
config_take_allow(const struct config *c, struct config_listen *l, cfg_t *sec)
{
	bool is_unix = strncmp(l->address, "unix:", 5) == 0;

	for (unsigned i = 0; i < cfg_size(sec, "allow"); i++)
		if (allow_add(&l->allow, cfg_getnstr(sec, "allow", i)) != 0)
			return config_refuse(l->line, "listen \"%s\": allow: \"%s\" is not an address, or there are more than %d", l->name,
			    cfg_getnstr(sec, "allow", i), ALLOW_MAX);
	if (is_unix && l->allow.n > 0)
		return config_refuse(l->line, "listen \"%s\": allow is for TCP; a unix socket has mode and group", l->name);
	if (is_unix && c->web.n > 0)
		return config_refuse(l->line, "listen \"%s\": FCGI_WEB_SERVER_ADDRS in the environment names addresses, and a unix socket has none",
		    l->name);
	if (l->allow.n == 0 && c->web.n == 0 && allow_is_public(l->address))
		return config_refuse(l->line, "listen \"%s\": other hosts can connect to %s: say which with allow", l->name, l->address);
	return 0;
}

static int
config_take_listens(struct config *c, const struct config_text *t)
{
	c->nlistens = cfg_size(c->cfg, "listen");
	if (c->nlistens > CONFIG_LISTEN_MAX)
		return config_refuse(1, "more than %d listen sections", CONFIG_LISTEN_MAX);
	c->listen = calloc(c->nlistens + 1, sizeof *c->listen);
	for (unsigned i = 0; c->listen != NULL && i < c->nlistens; i++) {
		cfg_t *sec = cfg_getnsec(c->cfg, "listen", i);
		struct config_listen *l = &c->listen[i];

		*l = (struct config_listen){ .name = cfg_title(sec), .address = cfg_getstr(sec, "address"), .mode = 0660,
			.group = cfg_getstr(sec, "group"), .line = config_text_line(t, "listen", i) };
		config_mode(cfg_getstr(sec, "mode"), &l->mode);
		if (l->address == NULL)
			return config_refuse(l->line, "listen \"%s\": address is missing", l->name);
		if (config_take_allow(c, l, sec) != 0)
			return -1;
	}
	return c->listen == NULL ? -1 : 0;
}

static int
config_take_pools(struct config *c, const struct config_text *t)
{
	char why[256];

	c->npools = cfg_size(c->cfg, "pool");
	c->pool = calloc(c->npools + 1, sizeof *c->pool);
	for (unsigned i = 0; c->pool != NULL && i < c->npools; i++) {
		cfg_t *sec = cfg_getnsec(c->cfg, "pool", i);
		struct config_pool *p = &c->pool[i];

		p->line = config_text_line(t, "pool", i);
		p->conf = (struct pool_conf){
			.name = cfg_title(sec),
			.url = cfg_getstr(sec, "url"),
			.max = (unsigned)cfg_getint(sec, "max"),
			.min = (unsigned)cfg_getint(sec, "min"),
			.queue = (unsigned)cfg_getint(sec, "queue"),
			.queue_timeout = config_get_duration(sec, "queue_timeout"),
			.connect_timeout = config_get_duration(sec, "connect_timeout"),
			.call_timeout = config_get_duration(sec, "call_timeout"),
			.idle_timeout = config_get_duration(sec, "idle_timeout"),
			.max_lifetime = config_get_duration(sec, "max_lifetime"),
			.check_after = config_get_duration(sec, "check_after"),
			.backoff = config_get_duration(sec, "backoff"),
		};
		if (p->conf.url == NULL)
			return config_refuse(p->line, "pool \"%s\": url is missing", p->conf.name);
		if (p->conf.min > p->conf.max)
			return config_refuse(p->line, "pool \"%s\": min = %u is over max = %u", p->conf.name, p->conf.min, p->conf.max);
		if (pool_check(&p->conf, why, sizeof why) != WEFT_OK)
			return config_refuse(p->line, "%s", why);
	}
	return c->pool == NULL ? -1 : 0;
}

static int
config_take_modules(struct config *c, const struct config_text *t)
{
	c->nmodules = cfg_size(c->cfg, "module");
	c->module = calloc(c->nmodules + 1, sizeof *c->module);
	for (unsigned i = 0; c->module != NULL && i < c->nmodules; i++) {
		cfg_t *sec = cfg_getnsec(c->cfg, "module", i);

		c->module[i] = (struct config_module){ cfg_title(sec), cfg_getstr(sec, "file"), cfg_getstr(sec, "prefix"),
			config_text_line(t, "module", i) };
		if (c->module[i].file == NULL)
			return config_refuse(c->module[i].line, "module \"%s\": file is missing", c->module[i].name);
	}
	return c->module == NULL ? -1 : 0;
}

static int
config_take_gate_users(struct config *c, const struct config_text *t)
{
	unsigned n = cfg_size(c->cfg, "gate_users");

	c->gate_uid = calloc(n + 1, sizeof *c->gate_uid);
	for (unsigned i = 0; c->gate_uid != NULL && i < n; i++) {
		const char *name = cfg_getnstr(c->cfg, "gate_users", i);
		struct passwd *pw = getpwnam(name);

		if (pw == NULL)
			return config_refuse(config_text_option(t, "gate_users"), "gate_users: no user is called \"%s\"", name);
		c->gate_uid[c->ngate_uids++] = pw->pw_uid;
	}
	return c->gate_uid == NULL ? -1 : 0;
}

static void
config_take_limits(struct config *c)
{
	cfg_t *sec = cfg_getsec(c->cfg, "limit");

	c->limit = (struct config_limit){
		.requests = (unsigned)cfg_getint(sec, "requests"),
		.connections = (unsigned)cfg_getint(sec, "connections"),
		.multiplex = (unsigned)cfg_getint(sec, "multiplex"),
		.body = config_get_bytes(sec, "body"),
		.body_memory = (size_t)config_get_bytes(sec, "body_memory"),
		.memory = (size_t)config_get_bytes(sec, "memory"),
		.stack = (size_t)config_get_bytes(sec, "stack"),
		.timeout = config_get_duration(sec, "timeout"),
		.timeout_max = config_get_duration(sec, "timeout_max"),
		.head_timeout = config_get_duration(sec, "head_timeout"),
		.body_timeout = config_get_duration(sec, "body_timeout"),
		.send_timeout = config_get_duration(sec, "send_timeout"),
		.idle_timeout = config_get_duration(sec, "idle_timeout"),
		.grace = config_get_duration(sec, "grace"),
	};
}

static int
config_take(struct config *c, const struct config_text *t)
{
	c->workers = (unsigned)cfg_getint(c->cfg, "workers");
	c->control = cfg_getstr(c->cfg, "control");
	config_mode(cfg_getstr(c->cfg, "control_mode"), &c->control_mode);
	c->control_group = cfg_getstr(c->cfg, "control_group");
	c->user = cfg_getstr(c->cfg, "user");
	c->status = cfg_getstr(c->cfg, "status");
	c->warm_url = cfg_getstr(c->cfg, "warm_url");
	config_level(cfg_getstr(c->cfg, "log_level"), &c->log_level);
	c->sandbox = strcmp(cfg_getstr(c->cfg, "sandbox"), "on") == 0;
	config_take_limits(c);
	if (strlen(c->control) >= sizeof((struct sockaddr_un *)NULL)->sun_path)
		return config_refuse(config_text_option(t, "control"), "control: the path is too long for a unix socket");
	if (c->user[0] != '\0' && getpwnam(c->user) == NULL)
		return config_refuse(config_text_option(t, "user"), "user: no user is called \"%s\"", c->user);
	if (config_take_web(c) != 0 || config_take_listens(c, t) != 0 || config_take_pools(c, t) != 0 || config_take_modules(c, t) != 0)
		return -1;
	return config_take_gate_users(c, t);
}

/* A verb as status reads the file in another environment than the server's, so this is no mistake.  Returns 0, or -1 out of memory. */
static int
config_warn(struct config *c, const struct config_text *t)
{
	if (t->unset_line == 0)
		return 0;
	if (asprintf(&c->warning, "%s:%u: ${%s} is empty, as the environment has no such variable: set it, or write ${%s:-default}", c->file,
	    t->unset_line, t->unset, t->unset) >= 0)
		return 0;
	c->warning = NULL;
	return -1;
}

/* Parse and check.  Returns 0, or -1 after a complaint. */
static int
config_parse(struct config *c, const struct config_text *t)
{
	if (t->open_line != 0)
		return config_refuse(t->open_line, "this '{' is never closed");
	if (cfg_parse_buf(c->cfg, t->text) != CFG_SUCCESS)
		return config_refuse(1, "cannot be parsed");
	return config_take(c, t) == 0 ? config_warn(c, t) : -1;
}

struct config *
config_read(const char *file, char *error, size_t size)
{
	struct config *c = calloc(1, sizeof *c);
	struct config_text *t = calloc(1, sizeof *t);

	error[0] = '\0';
	config_complaint.file = file;
	config_complaint.text = error;
	config_complaint.size = size;
	if (c == NULL || t == NULL || (c->file = strdup(file)) == NULL || (c->cfg = config_grammar()) == NULL) {
		snprintf(error, size, "out of memory");
		config_free(&c);
	} else if (config_text_read(t, file) != 0) {
		snprintf(error, size, "%s: %s", file, strerror(errno));
		config_free(&c);
	} else if (config_parse(c, t) != 0) {
		if (error[0] == '\0')
			snprintf(error, size, "%s: out of memory", file);
		config_free(&c);
	}
	if (t != NULL)
		config_text_free(t);
	free(t);
	config_complaint.text = NULL;
	return c;
}

void
config_free(struct config **cp)
{
	struct config *c = *cp;

	*cp = NULL;
	if (c == NULL)
		return;
	if (c->cfg != NULL)
		cfg_free(c->cfg);
	free(c->listen);
	free(c->pool);
	free(c->module);
	free(c->gate_uid);
	free(c->warning);
	free(c->file);
	free(c);
}

unsigned
config_share(unsigned whole, unsigned workers, unsigned n)
{
	return whole / workers + (n < whole % workers ? 1 : 0);
}
