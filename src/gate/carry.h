/* SPDX-License-Identifier: ISC */
#ifndef GATE_CARRY_H
#define GATE_CARRY_H

/* The CGI program: carries the one request of this process to the server, and the answer back. */

/*
 * Hand the server a connection over its control socket, and speak FastCGI on
 * it: the environment and fd 0 go there, fd 1 and fd 2 come back.
 *
 * control  path of the control socket
 * env      the environment of the request
 * Returns  the exit status: the handler's, or 1 when there was no whole
 *          answer.  Then, if none of it was written, fd 1 has a 503.
 */
int carry_request(const char *control, char *const *env);

#endif
