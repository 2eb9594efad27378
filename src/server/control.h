/* SPDX-License-Identifier: ISC */
#ifndef SERVER_CONTROL_H
#define SERVER_CONTROL_H

/*
 * The control socket.  A client connects, sends one line "verb arguments\n"
 * (with a descriptor, for gates), and gets an answer: text, then the end.  Who
 * may say what is decided by the user at the other end (SO_PEERCRED).
 */

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/span.h"

struct control;
struct control_conn;
struct loop;

enum { CONTROL_LINE_MAX = 512, CONTROL_REPLY_MAX = 8 * 1024 * 1024 };

/* Called for each line.  The callee answers with control_reply and control_end, now or later, or keeps the connection. */
typedef void control_verb_fn(void *arg, struct control_conn *c, const char *verb, const char *args);

/*
 * Accept on a listening socket (borrowed).
 *
 * Returns  the control, or NULL with errno
 */
struct control *control_new(struct loop *l, int listen_fd, control_verb_fn *fn, void *arg);

/* Close all connections and free; *cp becomes NULL. */
void control_free(struct control **cp);

/* Returns the user at the other end. */
uid_t control_uid(const struct control_conn *c);

/* Returns the descriptor that came with the line, now the caller's; -1 when none came. */
int control_take_fd(struct control_conn *c);

/* Queue a piece of the answer. */
void control_reply(struct control_conn *c, struct span text);

/* The answer is complete: close when it is sent. */
void control_end(struct control_conn *c);

/* Call fn(arg) once when the client closes (or the control is freed); the connection is gone then. */
void control_on_close(struct control_conn *c, void (*fn)(void *arg), void *arg);

/*
 * The client's side: send one line over the control socket and wait for the whole answer; blocking.
 *
 * Returns  0 with *answer (malloc'ed, terminated, the caller frees); -1 with errno
 */
int control_ask(const char *path, const char *line, char **answer);

/* The client's side: connect and send one line; blocking.  Returns the connected descriptor to read the answer from, or -1 with errno. */
int control_connect(const char *path, const char *line);

#endif
