/* SPDX-License-Identifier: ISC */
#ifndef SERVER_GATES_H
#define SERVER_GATES_H

/*
 * The listening sockets that gates (weft-gate(8)) have handed over.  The
 * master keeps each as long as the gate's control connection lives, and hands
 * it to every worker, also to those that start later.
 */

#include <stddef.h>
#include <stdint.h>

struct control_conn;
struct gates;

struct gates_ops {
	void (*added)(void *arg, uint32_t id, int fd);
	void (*removed)(void *arg, uint32_t id);
};

/* Returns the (empty) set, or NULL. */
struct gates *gates_new(const struct gates_ops *ops, void *arg);

/* Close all sockets and free; *gp becomes NULL.  ops are not called. */
void gates_free(struct gates **gp);

/* A gate came over c with its listening socket, which the set owns from now on (also on failure).  Returns 0; -1 when there are too many, or it is no listening socket. */
int gates_add(struct gates *g, struct control_conn *c, int fd);

/* Returns how many there are. */
unsigned gates_count(const struct gates *g);

/* Call fn(arg, id, fd) for each. */
void gates_each(const struct gates *g, void (*fn)(void *arg, uint32_t id, int fd), void *arg);

#endif
