/* SPDX-License-Identifier: ISC */

/*
 * What the library reads, counted: it bounds a packet, but not how many of them describe the
 * columns of a result, nor how long a server may take to say who it is.
 *
 * And before TLS: it would read what came in the clear behind the greeting as if it had come under TLS, so
 * that whoever is in between could say that the password is right, and answer in the server's stead.
 *
 * The library tells of each read, by a function that is there for traces.  All connections of the process
 * come by there, also those that a handler makes; the one that counts is its thread's own.
 */
#include "back/mariadb/mariadb.h"

#include <ma_pvio.h>
#include <pthread.h>
#include <sys/socket.h>

/* Exported by the library, declared by none of its headers. */
int ma_pvio_register_callback(my_bool add, void (*fn)(int is_write, MYSQL *my, const unsigned char *at, size_t len));

static _Thread_local struct mariadb_ear *mariadb_ear_now;

static void
mariadb_ear_object(struct mariadb_ear *e, const char *why)
{
	if (e->objection == NULL)
		e->objection = why;
	shutdown(mysql_get_socket(e->my), SHUT_RDWR);
}

/* Behind the greeting the server has to wait for our wish for TLS. */
static void
mariadb_ear_greet(struct mariadb_ear *e, const unsigned char *at, size_t len)
{
	for (size_t i = 0; i < len && e->heard + i < sizeof e->head; i++)
		e->head[e->heard + i] = at[i];
	if (e->heard + len < sizeof e->head)
		return;
	e->greeting = sizeof e->head + (e->head[0] | (size_t)e->head[1] << 8 | (size_t)e->head[2] << 16);
	if (e->heard + len > e->greeting)
		mariadb_ear_object(e, "the server said more than its greeting before TLS");
}

static void
mariadb_ear_on_read(int is_write, MYSQL *my, const unsigned char *at, size_t len)
{
	struct mariadb_ear *e = mariadb_ear_now;

	if (e == NULL || e->my != my || is_write || len == 0 || len == (size_t)-1)
		return;
	e->before_tls = e->before_tls && my->net.pvio->ctls == NULL;
	if (e->before_tls)
		mariadb_ear_greet(e, at, len);
	e->heard += len;
	if (e->heard > e->most)
		mariadb_ear_object(e, "the server says too much");
}

static void
mariadb_ear_register(void)
{
	(void)mysql_server_init(0, NULL, NULL);
	(void)ma_pvio_register_callback(1, mariadb_ear_on_read);
}

void
mariadb_ear_init(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	(void)pthread_once(&once, mariadb_ear_register);
}

void
mariadb_ear_set(struct mariadb_ear *e)
{
	mariadb_ear_now = e;
}
