/* SPDX-License-Identifier: ISC */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/must.h"

static void
must_lets_truth_pass(void **state)
{
	int n = 0;

	(void)state;
	must(++n == 1);
	assert_int_equal(n, 1);
}

/* In a child, which dies of it and says where. */
static void
must_aborts_and_says_where(void **state)
{
	char said[512];
	int fd[2], status;
	ssize_t n;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		dup2(fd[1], 2);
		must(fd[0] == fd[1]);
		_exit(0);
	}
	close(fd[1]);
	n = read(fd[0], said, sizeof said - 1);
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_true(n > 0);
	said[n] = '\0';
	assert_non_null(strstr(said, "fd[0] == fd[1] is false at "));
	assert_non_null(strstr(said, "base_must.c:"));
	assert_non_null(strstr(said, "must_aborts_and_says_where"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(must_lets_truth_pass),
		cmocka_unit_test(must_aborts_and_says_where),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
