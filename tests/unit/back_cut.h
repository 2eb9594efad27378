/* SPDX-License-Identifier: ISC */
#ifndef TESTS_UNIT_BACK_CUT_H
#define TESTS_UNIT_BACK_CUT_H

/* A proxy between two unix sockets that loses what is said.  It runs in processes of its own. */

enum cut_mode {
	CUT_PASS,
	CUT_DEAF,	/* what the client says is read, and the connection cut: the server never hears it */
	CUT_MUTE,	/* what the server answers is read, and the connection cut: the client never hears it */
};

/* Listen at from, and connect to to for each that comes. */
void cut_start(const char *from, const char *to);
void cut_stop(void);

/* For all connections, from now on. */
void cut_set(enum cut_mode mode);

/* What there is of connections now stays open and says nothing any more, in either direction. */
void cut_hush(void);

#endif
