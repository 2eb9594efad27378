/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fiber/fiber.h"

static char said[4096];
static int how;

/* Run fn in a child with the guard; afterwards said holds its stderr, how its wait status. */
static void
crash(void (*fn)(void))
{
	int fd[2];
	size_t len = 0;
	ssize_t n;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		/* cmocka catches these for itself. */
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		dup2(fd[1], 2);
		alarm(20);
		if (fiber_guard_install() != 0 || fiber_guard_install() != 0)
			_exit(99);
		fn();
		_exit(98);
	}
	close(fd[1]);
	while ((n = read(fd[0], said + len, sizeof said - 1 - len)) > 0)
		len += (size_t)n;
	close(fd[0]);
	said[len] = '\0';
	assert_int_equal(waitpid(pid, &how, 0), pid);
}

static void
assert_died(int sig)
{
	assert_true(WIFSIGNALED(how));
	assert_int_equal(WTERMSIG(how), sig);
}

static void
run_fiber(void (*fn)(void *arg), void *arg, const char *label, size_t stack_size)
{
	const struct fiber_conf conf = { .stack_size = stack_size };
	struct fiber_sched *s = fiber_sched_new(&conf);
	struct fiber *f = fiber_new(s, 2048);

	fiber_set_label(f, label);
	fiber_start(f, fn, arg);
	fiber_sched_run(s);
	fiber_sched_free(&s);
}

static volatile unsigned char sink;
static volatile unsigned depth_max = UINT32_MAX;

static unsigned
without_end(unsigned depth)
{
	volatile unsigned char frame[256];

	if (depth == depth_max)
		return 0;
	frame[depth % sizeof frame] = (unsigned char)depth;
	sink = frame[depth % sizeof frame];
	return without_end(depth + 1) + frame[0];
}

static void
overflow_fn(void *arg)
{
	(void)arg;
	sink = (unsigned char)without_end(0);
}

static void
overflow_default(void)
{
	run_fiber(overflow_fn, NULL, "shop: GET /item/:id", 0);
}

static void
overflow_sized(void)
{
	run_fiber(overflow_fn, NULL, "a\nb", 65536);
}

static void
an_overflow_is_told_by_its_label(void **state)
{
	static const char line[] = "weft: stack overflow in shop: GET /item/:id (stack of 131072 bytes)\n";

	(void)state;
	crash(overflow_default);
	assert_died(SIGSEGV);
	assert_string_equal(said, line);
}

static void
a_label_cannot_forge_a_line(void **state)
{
	static const char line[] = "weft: stack overflow in a?b (stack of 65536 bytes)\n";

	(void)state;
	crash(overflow_sized);
	assert_died(SIGSEGV);
	assert_string_equal(said, line);
}

static void
large_frame_fn(void *arg)
{
	volatile char frame[150000];

	/* The far end first: that steps over many pages of the guard. */
	frame[*(size_t *)arg] = 1;
	sink = (unsigned char)frame[*(size_t *)arg];
}

static void
large_frame(void)
{
	size_t at = 10;

	run_fiber(large_frame_fn, &at, NULL, 131072);
}

static void
an_overflow_by_one_large_frame_is_caught(void **state)
{
	(void)state;
	crash(large_frame);
	assert_died(SIGSEGV);
	assert_string_equal(said, "weft: stack overflow in fiber (stack of 131072 bytes)\n");
}

static int *volatile nowhere = (int *)0x10;

static void
crash_fn(void *arg)
{
	(void)arg;
	*nowhere = 1;
}

static void
crash_in_fiber(void)
{
	run_fiber(crash_fn, NULL, "blog: POST /", 0);
}

static void
crash_outside(void)
{
	*nowhere = 1;
}

static void
a_crash_names_the_fiber_and_the_address(void **state)
{
	(void)state;
	crash(crash_in_fiber);
	assert_died(SIGSEGV);
	assert_string_equal(said, "weft: SIGSEGV in blog: POST / at address 0x10\n");
}

static void
a_crash_outside_says_so(void **state)
{
	(void)state;
	crash(crash_outside);
	assert_died(SIGSEGV);
	assert_string_equal(said, "weft: SIGSEGV outside of fibers at address 0x10\n");
}

static void
send_bus(void)
{
	raise(SIGBUS);
}

static void
a_signal_that_was_sent_still_kills(void **state)
{
	(void)state;
	crash(send_bus);
	assert_died(SIGBUS);
	assert_non_null(strstr(said, "weft: SIGBUS outside of fibers, sent by process "));
}

static void
nothing(void)
{
}

static void
without_a_crash_nothing_is_said(void **state)
{
	(void)state;
	crash(nothing);
	assert_true(WIFEXITED(how));
	assert_int_equal(WEXITSTATUS(how), 98);
	assert_string_equal(said, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_overflow_is_told_by_its_label),
		cmocka_unit_test(a_label_cannot_forge_a_line),
		cmocka_unit_test(an_overflow_by_one_large_frame_is_caught),
		cmocka_unit_test(a_crash_names_the_fiber_and_the_address),
		cmocka_unit_test(a_crash_outside_says_so),
		cmocka_unit_test(a_signal_that_was_sent_still_kills),
		cmocka_unit_test(without_a_crash_nothing_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
