/* SPDX-License-Identifier: ISC */
#ifndef GATE_CONTROL_H
#define GATE_CONTROL_H

/* The client's end of the server's control socket: one line, one descriptor. */

#ifndef GATE_CONTROL_DEFAULT
#define GATE_CONTROL_DEFAULT "/run/weft/control.sock"
#endif

enum {
	CONTROL_DELAY_MIN = 10,		/* milliseconds before the second attempt */
	CONTROL_DELAY_MAX = 1000,	/* ... and between all the later ones */
	CONTROL_STALL_MAX = 5000,	/* a server that is there and does not accept */
};

/*
 * Connect to the control socket and send one line with a descriptor.
 *
 * path     of the unix stream socket
 * line     "verb\n"; short enough for one write
 * fd       goes along; stays open here
 * Returns  the connection, close-on-exec and blocking, now the caller's; -1 with errno
 *          (ENAMETOOLONG: no attempt can succeed; any other may)
 */
int control_hand_over(const char *path, const char *line, int fd);

/* Sleep *delay milliseconds, then double it, up to CONTROL_DELAY_MAX. */
void control_back_off(int *delay);

#endif
