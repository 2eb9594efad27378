/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/config.h"

static char error[1024];
static char file[] = "/tmp/weft-config-XXXXXX";

/* Read a text as a configuration, from a file whose name is the same all through. */
static struct config *
read_text(const char *text)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return config_read(file, error, sizeof error);
}

/* The text is refused, at this line, with these words. */
static void
refuses(const char *text, int line, const char *words)
{
	struct config *c = read_text(text);
	char place[64];

	assert_null(c);
	snprintf(place, sizeof place, "%s:%d: ", file, line);
	if (strncmp(error, place, strlen(place)) != 0 || strstr(error, words) == NULL)
		fail_msg("\"%s\" is not about line %d and \"%s\"", error, line, words);
}

static void
config_has_defaults(void **state)
{
	struct config *c = read_text("");

	(void)state;
	assert_non_null(c);
	assert_int_equal(c->workers, 1);
	assert_int_equal(c->nlistens + c->npools + c->nmodules, 0);
	assert_int_equal(c->control_mode, 0600);
	assert_string_equal(c->status, "");
	assert_int_equal(c->limit.timeout, 60 * USEC_PER_SEC);
	assert_int_equal(c->limit.timeout_max, 3600 * USEC_PER_SEC);
	assert_int_equal(c->limit.body, 16 * 1024 * 1024);
	assert_int_equal(c->limit.stack, 128 * 1024);
	config_free(&c);
	assert_null(c);
}

static void
config_reads_every_section(void **state)
{
	struct config *c = read_text("workers = 2\n"
				     "control = \"/run/x.sock\"\n"
				     "control_mode = \"0660\"\n"
				     "gate_users = {\"root\"}\n"
				     "log_level = \"debug\"\n"
				     "listen \"a\" { address = \"unix:/run/a\" mode = \"0600\" }\n"
				     "listen \"b\" { address = \"127.0.0.1:9000\" }\n"
				     "pool \"cache\" { url = \"redis://127.0.0.1/1\" max = 6 min = 2 queue_timeout = \"250ms\" }\n"
				     "pool \"few\" { url = \"redis://127.0.0.1/2\" max = 1 queue = 50 connect_timeout = \"3s\" call_timeout = \"4s\"\n"
				     " idle_timeout = \"1m\" max_lifetime = \"2h\" check_after = \"5s\" backoff = \"10s\" }\n"
				     "module \"shop\" { file = \"/x.so\" prefix = \"/shop\" }\n"
				     "limit { body = \"2M\" timeout = \"5m\" requests = 7 }\n");

	(void)state;
	if (c == NULL)
		fail_msg("%s", error);
	assert_int_equal(c->workers, 2);
	assert_int_equal(c->control_mode, 0660);
	assert_int_equal(c->ngate_uids, 1);
	assert_int_equal(c->gate_uid[0], 0);
	assert_int_equal(c->log_level, LOG_DEBUG_);
	assert_int_equal(c->nlistens, 2);
	assert_int_equal(c->listen[0].mode, 0600);
	assert_int_equal(c->listen[1].mode, 0660);
	assert_string_equal(c->listen[1].address, "127.0.0.1:9000");
	assert_int_equal(c->listen[1].line, 7);
	assert_int_equal(c->npools, 2);
	assert_string_equal(c->pool[0].conf.name, "cache");
	assert_int_equal(c->pool[0].conf.max, 6);
	assert_int_equal(c->pool[0].conf.min, 2);
	assert_int_equal(c->pool[0].conf.queue_timeout, 250 * USEC_PER_MSEC);
	assert_int_equal(c->pool[0].conf.queue, 4096);
	assert_int_equal(c->pool[0].conf.connect_timeout, 2 * USEC_PER_SEC);
	assert_int_equal(c->pool[0].conf.call_timeout, 30 * USEC_PER_SEC);
	assert_int_equal(c->pool[0].conf.idle_timeout, 600 * USEC_PER_SEC);
	assert_int_equal(c->pool[0].conf.max_lifetime, 3600 * USEC_PER_SEC);
	assert_int_equal(c->pool[0].conf.check_after, 30 * USEC_PER_SEC);
	assert_int_equal(c->pool[0].conf.backoff, 5 * USEC_PER_SEC);
	/* Fewer than workers: they take turns. */
	assert_int_equal(c->pool[1].conf.max, 1);
	assert_int_equal(c->pool[1].conf.queue, 50);
	assert_int_equal(c->pool[1].conf.queue_timeout, USEC_PER_SEC);
	assert_int_equal(c->pool[1].conf.connect_timeout, 3 * USEC_PER_SEC);
	assert_int_equal(c->pool[1].conf.call_timeout, 4 * USEC_PER_SEC);
	assert_int_equal(c->pool[1].conf.idle_timeout, 60 * USEC_PER_SEC);
	assert_int_equal(c->pool[1].conf.max_lifetime, 7200 * USEC_PER_SEC);
	assert_int_equal(c->pool[1].conf.check_after, 5 * USEC_PER_SEC);
	assert_int_equal(c->pool[1].conf.backoff, 10 * USEC_PER_SEC);
	assert_string_equal(c->module[0].prefix, "/shop");
	assert_int_equal(c->limit.body, 2 * 1024 * 1024);
	assert_int_equal(c->limit.timeout, 300 * USEC_PER_SEC);
	assert_int_equal(c->limit.requests, 7);
	config_free(&c);
}

static void
config_names_the_line_of_a_mistake(void **state)
{
	(void)state;
	refuses("workers = 1\nwrokers = 2\n", 2, "wrokers");
	refuses("pool \"x\" {\n  maxx = 3\n}\n", 2, "maxx");
	refuses("workers = 0\n", 1, "not within 1 and 64");
	refuses("workers = 65\n", 1, "not within 1 and 64");
	refuses("workers = many\n", 1, "workers");
	refuses("limit {\n timeout = \"5 parsecs\"\n}\n", 2, "not a length of time");
	refuses("\nlimit {\n body = \"-1\"\n}\n", 3, "not an amount of bytes");
	refuses("listen \"x\" {\n address = \"unix:/x\"\n mode = \"0999\"\n}\n", 3, "not an octal mode");
	refuses("module \"x\" {\n prefix = \"/x/\"\n}\n", 2, "does not end with one");
	refuses("log_level = \"loud\"\n", 1, "debug, info, warn or error");
	refuses("sandbox = \"maybe\"\n", 1, "on or off");
	refuses("pool \"x\" { url = \"redis://h\"\nmax = 0 }\n", 2, "not within 1");
	refuses("pool \"x\" { url = \"redis://h\"\nqueue = 0 }\n", 2, "not within 1");
	refuses("pool \"x\" { url = \"redis://h\"\n\nmax_lifetime = \"1 hour\" }\n", 3, "max_lifetime = \"1 hour\": not a length of time");
	refuses("pool \"x\" { url = \"redis://h\"\ncheck_after = \"-1s\" }\n", 2, "not a length of time");
	refuses("pool \"x\" { url = \"redis://h\"\nbackoff = \"5\" }\n", 2, "not a length of time");
	refuses("# one\n// two\n/* three\n four */\nwrokers = 2\n", 5, "wrokers");
	refuses("control = \"a#b//c\"\n# x\nlisten \"x\" {\n  # y\n  adress = \"unix:/x\"\n}\n", 5, "adress");
}

static void
config_checks_what_spans_values(void **state)
{
	(void)state;
	refuses("\nlisten \"x\" { }\n", 2, "address is missing");
	refuses("pool \"x\" { max = 3 }\n", 1, "url is missing");
	refuses("gate_users = {\"root\"}\n# c\npool \"y\" { url = \"redis://h\" }\n\npool \"x\" {\n  max = 3\n}\n", 5, "url is missing");
	refuses("workers = 1\nlisten \"a\" { address = \"unix:/a\" }\nmodule \"x\" {\n prefix = \"/a\"\n", 3, "never closed");
	refuses("workers = 1\ngate_users = {\"no-such-user\"}\n", 2, "no-such-user");
	refuses("module \"x\" { }\n", 1, "file is missing");
	refuses("pool \"x\" { url = \"redis://h\" max = 3 min = 4 }\n", 1, "min = 4 is over max = 3");
	refuses("pool \"x\" { url = \"gopher://h\" }\n", 1, "gopher");
	refuses("pool \"x\" { url = \"redis://h\" }\npool \"x\" { url = \"redis://h\" }\n", 2, "x");
	refuses("workers = 1\nuser = \"nobody-of-that-name\"\n", 2, "nobody-of-that-name");
}

static void
config_says_when_there_is_no_file(void **state)
{
	(void)state;
	assert_null(config_read("/nonexistent/weft.conf", error, sizeof error));
	assert_string_equal(error, "/nonexistent/weft.conf: No such file or directory");
}

static void
config_reads_lengths_of_time(void **state)
{
	static const char *const bad[] = { "", "5", "ms", "-1s", "1 s", "1d", "1ss", "99999999999999999999s", "0x5s" };
	usec length;

	(void)state;
	assert_int_equal(config_duration("0", &length), 0);
	assert_int_equal(length, 0);
	assert_int_equal(config_duration("250ms", &length), 0);
	assert_int_equal(length, 250000);
	assert_int_equal(config_duration("2h", &length), 0);
	assert_int_equal(length, 7200 * USEC_PER_SEC);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(config_duration(bad[i], &length), -1);
}

/* libconfuse passes over some characters, and goes on with a string behind a backslash: lines are counted as it does. */
static void
config_counts_lines_as_libconfuse_reads(void **state)
{
	(void)state;
	refuses("\n+listen \"a\" { }\n", 2, "address is missing");
	refuses("workers = 1\n*\n*listen \"a\" { }\n", 3, "address is missing");
	refuses("workers = 1 +gate_users = { \"no-such-user\" }\n", 1, "no user is called");
	refuses("status = \"/a\\\n\"\nlisten \"a\" { }\n", 3, "address is missing");
}

static void
config_reads_amounts_of_bytes(void **state)
{
	static const char *const bad[] = { "", "k", "-1", "1kk", "1 k", "1K", "99999999999999999999" };
	unsigned long long n;

	(void)state;
	assert_int_equal(config_bytes("4096", &n), 0);
	assert_int_equal(n, 4096);
	assert_int_equal(config_bytes("64k", &n), 0);
	assert_int_equal(n, 65536);
	assert_int_equal(config_bytes("2G", &n), 0);
	assert_int_equal(n, 2147483648ULL);
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_int_equal(config_bytes(bad[i], &n), -1);
}

/* Four workers never hold an eleventh connection. */
static void
config_shares_a_pool_out(void **state)
{
	unsigned total = 0;

	(void)state;
	for (unsigned n = 0; n < 4; n++)
		total += config_share(10, 4, n);
	assert_int_equal(total, 10);
	assert_int_equal(config_share(10, 4, 0), 3);
	assert_int_equal(config_share(10, 4, 3), 2);
}

static int
remove_file(void **state)
{
	(void)state;
	return unlink(file);
}

static void
who_may_connect(void **state)
{
	struct config *c;

	(void)state;
	c = read_text("listen \"a\" { address = \"0.0.0.0:0\" allow = { \"192.0.2.1\", \"::1\" } }\nlisten \"b\" { address = \"[::1]:0\" }\n");
	assert_non_null(c);
	assert_int_equal(c->listen[0].allow.n, 2);
	assert_int_equal(c->listen[1].allow.n, 0);
	assert_int_equal(c->web.n, 0);
	config_free(&c);
	refuses("\nlisten \"a\" { address = \"0.0.0.0:0\" }\n", 2, "say which with allow");
	refuses("listen \"a\" { address = \"[::]:0\" }\n", 1, "say which with allow");
	refuses("\nlisten \"a\" { address = \"0.0.0.0:0\" allow = { \"localhost\" } }\n", 2, "not an address");
	refuses("listen \"a\" { address = \"unix:/x\" allow = { \"::1\" } }\n", 1, "allow is for TCP");
	setenv("FCGI_WEB_SERVER_ADDRS", "192.0.2.1,192.0.2.2", 1);
	c = read_text("listen \"a\" { address = \"0.0.0.0:0\" }\n");
	assert_non_null(c);
	assert_int_equal(c->web.n, 2);
	config_free(&c);
	refuses("listen \"a\" { address = \"unix:/x\" }\n", 1, "a unix socket has none");
	setenv("FCGI_WEB_SERVER_ADDRS", "192.0.2.1,", 1);
	refuses("", 1, "FCGI_WEB_SERVER_ADDRS");
	unsetenv("FCGI_WEB_SERVER_ADDRS");
}

/* The text is taken, with these words about this line; NULL: with none. */
static void
warns(const char *text, int line, const char *words)
{
	struct config *c = read_text(text);
	char place[64];

	assert_non_null(c);
	snprintf(place, sizeof place, "%s:%d: ", file, line);
	if (words == NULL)
		assert_null(c->warning);
	else if (c->warning == NULL || strncmp(c->warning, place, strlen(place)) != 0 || strstr(c->warning, words) == NULL)
		fail_msg("\"%s\" is not about line %d and \"%s\"", c->warning == NULL ? "" : c->warning, line, words);
	config_free(&c);
}

static void
config_warns_of_variables_that_are_not_set(void **state)
{
	(void)state;
	unsetenv("WEFT_NOT_THERE");
	setenv("WEFT_THERE", "", 1);
	warns("status = \"/${WEFT_NOT_THERE}x\"\n", 1, "${WEFT_NOT_THERE} is empty");
	warns("# ${WEFT_NOT_THERE}\npool \"x\" {\n url = \"redis://:${WEFT_THERE}${WEFT_NOT_THERE}@h\"\n}\n", 3, "${WEFT_NOT_THERE}");
	warns("status = \"/${WEFT_NOT_THERE:-x}${WEFT_THERE}\"\n", 0, NULL);
	warns("status = \"/\\${WEFT_NOT_THERE}\"\n", 0, NULL);
	unsetenv("WEFT_THERE");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(config_has_defaults),
		cmocka_unit_test(config_reads_every_section),
		cmocka_unit_test(config_names_the_line_of_a_mistake),
		cmocka_unit_test(config_checks_what_spans_values),
		cmocka_unit_test(config_says_when_there_is_no_file),
		cmocka_unit_test(config_reads_lengths_of_time),
		cmocka_unit_test(config_counts_lines_as_libconfuse_reads),
		cmocka_unit_test(config_reads_amounts_of_bytes),
		cmocka_unit_test(config_shares_a_pool_out),
		cmocka_unit_test(who_may_connect),
		cmocka_unit_test(config_warns_of_variables_that_are_not_set),
	};
	int fd = mkstemp(file);

	if (fd < 0)
		return 1;
	close(fd);
	return cmocka_run_group_tests(tests, NULL, remove_file);
}
