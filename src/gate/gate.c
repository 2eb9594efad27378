/* SPDX-License-Identifier: ISC */
/*
 * weft-gate: how requests reach the server from where it cannot listen.
 *
 * As a FastCGI program (fd 0 listens) it stands for one process of Apache's
 * mod_fcgid, which gives a process one request at a time: it hands fd 0 to
 * the server over the control socket, and sleeps.  The server accepts there
 * as long as this control connection is open, so a gate holds a socket and
 * nothing else; a server that went away gets the socket again when it is back.
 *
 * As a CGI program it carries its one request to the server (carry.c).
 *
 * There may be a thousand gates: linked statically where that works, no stdio,
 * no memory of its own.  It logs nothing, and ends by SIGTERM's default action.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "gate/carry.h"
#include "gate/control.h"

extern char **environ;

enum { GATE_USAGE = 2 };

/* FastCGI Specification 1.0, section 2.2: fd 0 is a listening socket. */
static bool
gate_is_listener(int fd)
{
	int yes = 0;
	socklen_t len = sizeof yes;

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &yes, &len) == 0 && yes != 0;
}

/* Without stdout or stderr, what we open must not take their places. */
static void
gate_fill_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static bool
gate_is_cgi(void)
{
	return getenv("GATEWAY_INTERFACE") != NULL && getenv("REQUEST_METHOD") != NULL;
}

static void
gate_close_others(void)
{
	long max;

	if (syscall(SYS_close_range, 3U, ~0U, 0U) == 0)
		return;
	max = sysconf(_SC_OPEN_MAX);
	for (int fd = 3; fd < (max < 0 ? 1024 : max); fd++)
		close(fd);
}

/* End with the process manager that started us; PARENT is who that was when we began. */
static void
gate_follow_parent(pid_t parent)
{
	sigset_t term;

	signal(SIGTERM, SIG_DFL);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_UNBLOCK, &term, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)	/* gone before the kernel was told */
		_exit(0);
}

static time_t
gate_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

/* Sleep until the server is gone; it says nothing, and what it says is not for us. */
static void
gate_sleep(int sock)
{
	char ignored[64];
	ssize_t n;

	do
		n = read(sock, ignored, sizeof ignored);
	while (n > 0 || (n < 0 && errno == EINTR));
}

/* Returns only when no attempt can succeed. */
static int
gate_serve(const char *control)
{
	int delay = CONTROL_DELAY_MIN;

	for (;;) {
		int sock = control_hand_over(control, "gate\n", STDIN_FILENO);
		time_t since = gate_seconds();

		if (sock >= 0) {
			gate_sleep(sock);
			close(sock);
			/* Only who stayed is met with haste: a server that refuses us is not stormed. */
			if (gate_seconds() - since > 1)
				delay = CONTROL_DELAY_MIN;
		} else if (errno == ENAMETOOLONG) {
			return GATE_USAGE;
		}
		control_back_off(&delay);
	}
}

static int
gate_usage(void)
{
	static const char text[] = "usage: weft-gate [control-socket [argument ...]]\n"
				   "       as a FastCGI program (fd 0 listens) or a CGI program\n";
	ssize_t n = write(STDERR_FILENO, text, sizeof text - 1);

	(void)n;
	return GATE_USAGE;
}

int
main(int argc, char **argv)
{
	pid_t parent = getppid();
	const char *control = getenv("WEFT_CONTROL");

	gate_fill_descriptors();
	if (control == NULL || *control == '\0')
		control = GATE_CONTROL_DEFAULT;
	if (gate_is_listener(STDIN_FILENO)) {
		gate_close_others();
		gate_follow_parent(parent);
		return gate_serve(argc > 1 ? argv[1] : control) == 0 ? 0 : gate_usage();
	}
	/* argv is not looked at: a web server makes it of the query string. */
	if (gate_is_cgi())
		return carry_request(control, environ);
	return gate_usage();
}
