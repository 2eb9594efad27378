/* SPDX-License-Identifier: ISC */
#ifndef GATE_RIG_H
#define GATE_RIG_H

/*
 * The server's side of weft-gate, played by a test: a control socket, and the
 * built program as a child.  Nothing here waits without a deadline; a deadline
 * that passes fails the test.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { RIG_LIMIT = 20000 };	/* milliseconds: longer than any wait of a loaded machine */

struct rig {
	char dir[64];
	char control[96];	/* path of the control socket */
	int listener;		/* on it; -1 while there is no server */
	pid_t child;		/* the gate; 0 for none */
};

/* What the program is started with; -1 leads to /dev/null. */
struct rig_start {
	int in, out, err;
	char *const *argv;	/* after the program's name, up to a NULL */
	char *const *env;
};

/* cmocka's setup and teardown; *state is a struct rig. */
int rig_setup(void **state);
int rig_teardown(void **state);

/* Make a listening unix socket at PATH; a file that is there already is removed. */
int rig_listen(const char *path);

/* Start and stop the played server. */
void rig_server_up(struct rig *r);
void rig_server_down(struct rig *r);

/* Start the program. */
void rig_start(struct rig *r, const struct rig_start *how);

/* Start the program as mod_fcgid does: fd 0 listens, the control socket is an argument. */
void rig_start_gate(struct rig *r, int listener);

/* Wait for the program's end.  Returns waitpid()'s status. */
int rig_wait(struct rig *r);

/* Wait until fd is readable (or, with POLLOUT, writable). */
void rig_poll(int fd, short events);

/* Accept a control connection that sends LINE with a descriptor.  Returns the connection. */
int rig_accept(struct rig *r, const char *line, int *fd);

/* Wait for the end of what fd says.  Returns bytes read into buf, at most size. */
size_t rig_read_all(int fd, char *buf, size_t size);

#endif
