/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

static int log_pipe[2];

static int
log_open_pipe(void **state)
{
	(void)state;
	if (pipe(log_pipe) != 0)
		return -1;
	fcntl(log_pipe[0], F_SETFL, O_NONBLOCK);
	log_open(log_pipe[1], LOG_DEBUG_, "worker 1");
	return 0;
}

static int
log_close_pipe(void **state)
{
	(void)state;
	close(log_pipe[0]);
	close(log_pipe[1]);
	return 0;
}

/* What has been written since the last time; the text after the stamp. */
static const char *
log_read(char *line, size_t size)
{
	ssize_t n = read(log_pipe[0], line, size - 1);
	char *text;

	if (n <= 0)
		return NULL;
	line[n] = '\0';
	text = strstr(line, "]: ");
	return text == NULL ? NULL : text + 3;
}

static void
log_line_has_its_form(void **state)
{
	char line[8192], head[64], *at;
	int year, month, day, hour, minute, second, milli, end = 0;

	(void)state;
	log_warn("start port=%d", 9000);
	assert_string_equal(log_read(line, sizeof line), "start port=9000\n");
	assert_int_equal(
	    sscanf(line, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ %n", &year, &month, &day, &hour, &minute, &second, &milli, &end),
	    7);
	assert_int_equal(end, 25);
	snprintf(head, sizeof head, "warn worker 1[%d]: ", (int)getpid());
	at = line + end;
	assert_memory_equal(at, head, strlen(head));
}

static void
log_leaves_out_what_is_below_its_level(void **state)
{
	char line[8192];

	(void)state;
	log_debug("one");
	assert_string_equal(log_read(line, sizeof line), "one\n");
	log_open(log_pipe[1], LOG_WARN_, "a name that is longer than the log has room for");
	log_debug("one");
	log_info("two");
	assert_null(log_read(line, sizeof line));
	log_warn("three");
	assert_string_equal(log_read(line, sizeof line), "three\n");
	assert_non_null(strstr(line, " warn a name that is longer than the ["));
	log_error("four");
	assert_string_equal(log_read(line, sizeof line), "four\n");
	assert_non_null(strstr(line, " error "));
}

/* B15: one record is one line, whatever a peer put in it */
static void
log_shows_controls(void **state)
{
	char line[8192];

	(void)state;
	log_info("a\r\n[FAKE] \x1b[31m\t\x7f.");
	assert_string_equal(log_read(line, sizeof line), "a\\x0d\\x0a[FAKE] \\x1b[31m\\x09\\x7f.\n");
	log_info("caf\xc3\xa9 \xe2\x80\x9c \xc2\xa0 \xc2\x85 \xc2\x9b;1m \xc2");
	assert_string_equal(
	    log_read(line, sizeof line), "caf\xc3\xa9 \xe2\x80\x9c \xc2\xa0 \\xc2\\x85 \\xc2\\x9b;1m \xc2\n");
}

/* B09: a long text is cut, before any multiple of what a control takes, and the line still ends */
static void
log_cuts_what_is_too_long(void **state)
{
	static const char *const fill[] = { "x", "\n", "\xc2\x85" };
	static char text[65536], line[8192];
	const char *seen;

	(void)state;
	for (size_t i = 0; i < 3 * 8; i++) {
		const char *f = fill[i % 3];

		for (size_t at = i / 3; at < sizeof text - 1; at++)
			text[at] = f[at % strlen(f)];
		memset(text, 'y', i / 3);
		log_info("%s", text);
		seen = log_read(line, sizeof line);
		assert_non_null(seen);
		assert_in_range(strlen(seen), 3900, 4128);
		assert_in_range(strlen(line), 4000, 4128);
		assert_ptr_equal(strchr(seen, '\n'), seen + strlen(seen) - 1);
		assert_null(log_read(line, sizeof line));
	}
}

static void
log_drops_and_counts_what_cannot_be_written(void **state)
{
	unsigned long before = log_dropped();
	char line[8192];

	(void)state;
	log_open(-1, LOG_INFO_, "weft");
	errno = ENOENT;
	log_info("nobody reads this");
	assert_int_equal(errno, ENOENT);
	assert_int_equal(log_dropped(), before + 1);
	log_open(log_pipe[1], LOG_INFO_, "weft");
	log_info("back");
	assert_string_equal(log_read(line, sizeof line), "back\n");
	assert_int_equal(log_dropped(), before + 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(log_line_has_its_form, log_open_pipe, log_close_pipe),
		cmocka_unit_test_setup_teardown(log_leaves_out_what_is_below_its_level, log_open_pipe, log_close_pipe),
		cmocka_unit_test_setup_teardown(log_shows_controls, log_open_pipe, log_close_pipe),
		cmocka_unit_test_setup_teardown(log_cuts_what_is_too_long, log_open_pipe, log_close_pipe),
		cmocka_unit_test_setup_teardown(
		    log_drops_and_counts_what_cannot_be_written, log_open_pipe, log_close_pipe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
