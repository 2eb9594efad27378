/* SPDX-License-Identifier: ISC */
/*
 * A thread looks at the loop's thread ten times within the limit.  The scheduler counts
 * its turns anyway; as long as the count is the same, and the kernel does not
 * say that the thread polls, somebody has held it since.
 *
 * How long is not what the clock says, or a busy machine would be taken for a slow
 * callback: a thread that is ready or runs has been held for the processor time it has got, one
 * that sleeps in a system call for the time that has passed.
 *
 * Who holds it is asked with a signal: its handler, on the loop's thread, takes down where it is.
 */
#include "loop/stall.h"

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "loop/loop.h"

enum {
	STALL_LOOKS = 10,		/* within the limit */
	STALL_FRAMES = 24,
	STALL_OWN_FRAMES = 2,		/* the handler's, and the kernel's way into it */
	STALL_LABEL = 128,
	STALL_TEXT = 1024,
};

enum stall_state {
	STALL_NONE,
	STALL_ASKED,			/* the signal is on its way */
	STALL_TOLD,			/* the log has it; it may go on */
};

struct stall {
	struct fiber_sched *fibers;
	pthread_t watched, watcher;
	usec limit, pause;
	int stop_fd;			/* eventfd */
	int call_fd, time_fd;		/* what the kernel tells of the watched thread */
	atomic_uint count;

	/* the watcher's */
	enum stall_state state;
	unsigned turn;			/* the one that is being looked at */
	usec seen;			/* when it was looked at last */
	usec ran;			/* processor time of the watched thread, then */
	usec held;			/* how long that turn has been held */

	/* the signal handler's, until is_placed */
	atomic_bool is_placed;
	int nframes;
	void *frame[STALL_FRAMES];
	char label[STALL_LABEL];	/* empty: no fiber ran */
};

static int
stall_signal(void)
{
	return SIGRTMAX - 1;
}

/* ---- on the watched thread ---- */

static void
stall_on_signal(int signo, siginfo_t *info, void *context)
{
	struct stall *s = info->si_value.sival_ptr;
	const struct fiber *f = fiber_self();
	int saved = errno;
	size_t n = 0;

	if (info->si_code != SI_QUEUE || info->si_pid != getpid() || s == NULL || s->is_placed)
		return;
	for (const char *text = f == NULL ? "" : fiber_label(f); *text != '\0' && n < sizeof s->label - 1;)
		s->label[n++] = *text++;
	s->label[n] = '\0';
	s->nframes = backtrace(s->frame, STALL_FRAMES);
	s->is_placed = true;
	errno = saved;
}

static int
stall_set_handler(void)
{
	struct sigaction sa = { .sa_sigaction = stall_on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART };
	void *first[1];

	/* The first time it loads a library, which a signal handler must not. */
	(void)backtrace(first, 1);
	sigemptyset(&sa.sa_mask);
	return sigaction(stall_signal(), &sa, NULL);
}

/* ---- on the watching thread ---- */

/* "weft+0x1234 libc.so.6+0x5678": for addr2line. */
static void
stall_describe(const struct stall *s, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (int i = STALL_OWN_FRAMES; i < s->nframes && n < size; i++) {
		const char *name = "?", *slash;
		uintptr_t at = (uintptr_t)s->frame[i];
		Dl_info where;

		/* All but the first are where calls return to, which may be another line. */
		at -= i > STALL_OWN_FRAMES;
		if (dladdr((void *)at, &where) != 0 && where.dli_fname != NULL) {
			slash = strrchr(where.dli_fname, '/');
			name = slash == NULL ? where.dli_fname : slash + 1;
			at -= (uintptr_t)where.dli_fbase;
		}
		n += (size_t)snprintf(out + n, size - n, "%s%s+%#lx", n == 0 ? "" : " ", name, (unsigned long)at);
	}
}

static void
stall_tell(struct stall *s)
{
	char at[STALL_TEXT] = "";

	if (s->is_placed)
		stall_describe(s, at, sizeof at);
	log_warn("stall in=\"%s\" ms=%lld at=\"%s\"", s->is_placed && s->label[0] != '\0' ? s->label : "loop",
	    (long long)(s->held / USEC_PER_MSEC), at);
	s->state = STALL_TOLD;
}

/* The kernel's line, terminated; empty when it tells nothing. */
static void
stall_read(int fd, char *out, size_t size)
{
	ssize_t n = pread(fd, out, size - 1, 0);

	out[n < 0 ? 0 : n] = '\0';
}

static bool
stall_is_poll(long number)
{
#ifdef SYS_epoll_wait
	if (number == SYS_epoll_wait)
		return true;
#endif
	return number == SYS_epoll_pwait;
}

/* Returns how long the watched thread was held since the last look; -1 when it polls now. */
static usec
stall_look(struct stall *s)
{
	usec now = clock_now(), passed = now - s->seen, ran;
	char call[64], time[64];

	stall_read(s->call_fd, call, sizeof call);
	stall_read(s->time_fd, time, sizeof time);
	ran = strtoll(time, NULL, 10) / 1000;
	s->seen = now;
	if (strncmp(call, "running", 7) == 0)
		passed = ran - s->ran;
	else if (call[0] == '\0' || stall_is_poll(strtol(call, NULL, 10)))
		passed = -1;
	else if (passed > 2 * s->pause)
		passed = 2 * s->pause;		/* this thread was not awake either: the machine stood still */
	s->ran = ran;
	return passed;
}

static void
stall_step(struct stall *s)
{
	unsigned turn = fiber_sched_turns(s->fibers);
	usec passed = stall_look(s);

	if (s->state == STALL_ASKED)
		stall_tell(s);
	if (turn != s->turn || passed < 0) {
		if (s->state == STALL_TOLD)
			log_warn("stall over ms=%lld", (long long)(s->held / USEC_PER_MSEC));
		s->state = STALL_NONE;
		s->turn = turn;
		s->held = 0;
		return;
	}
	s->held += passed;
	if (s->state != STALL_NONE || s->held < s->limit)
		return;
	s->count++;
	s->is_placed = false;
	s->state = STALL_ASKED;
	(void)pthread_sigqueue(s->watched, stall_signal(), (union sigval){ .sival_ptr = s });
}

static void *
stall_main(void *arg)
{
	struct stall *s = arg;
	struct pollfd stop = { .fd = s->stop_fd, .events = POLLIN };
	struct timespec pause = { .tv_sec = s->pause / USEC_PER_SEC, .tv_nsec = s->pause % USEC_PER_SEC * 1000 };

	while (ppoll(&stop, 1, &pause, NULL) <= 0)
		stall_step(s);
	return NULL;
}

/* ---- beginning and end ---- */

static int
stall_open(const char *what)
{
	char path[64];

	snprintf(path, sizeof path, "/proc/self/task/%ld/%s", syscall(SYS_gettid), what);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int
stall_start_thread(struct stall *s)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&s->watcher, NULL, stall_main, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = rc;
	return rc == 0 ? 0 : -1;
}

static void
stall_close(struct stall *s)
{
	int saved = errno, fd[] = { s->stop_fd, s->call_fd, s->time_fd };

	for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
		if (fd[i] >= 0)
			close(fd[i]);
	free(s);
	errno = saved;
}

struct stall *
stall_start(struct loop *l, usec limit)
{
	struct stall *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->fibers = loop_fibers(l);
	s->watched = pthread_self();
	s->limit = limit;
	s->pause = limit / STALL_LOOKS + 1;
	s->seen = clock_now();
	s->stop_fd = eventfd(0, EFD_CLOEXEC);
	s->call_fd = stall_open("syscall");
	s->time_fd = stall_open("schedstat");
	if (s->stop_fd >= 0 && s->call_fd >= 0 && s->time_fd >= 0 && stall_set_handler() == 0 && stall_start_thread(s) == 0)
		return s;
	stall_close(s);
	return NULL;
}

unsigned
stall_count(const struct stall *s)
{
	return s->count;
}

void
stall_stop(struct stall **sp)
{
	struct stall *s = *sp;
	const uint64_t one = 1;
	sigset_t none;

	*sp = NULL;
	if (s == NULL)
		return;
	(void)!write(s->stop_fd, &one, sizeof one);
	pthread_join(s->watcher, NULL);
	/* A system call: a signal that is still on its way arrives here at the latest, while s is there. */
	sigemptyset(&none);
	pthread_sigmask(SIG_BLOCK, &none, NULL);
	stall_close(s);
}
