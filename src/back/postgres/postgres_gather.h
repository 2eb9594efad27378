/* SPDX-License-Identifier: ISC */
#ifndef BACK_POSTGRES_GATHER_H
#define BACK_POSTGRES_GATHER_H

/*
 * One write for all statements of a turn, with a libpq (before 17) that sends at
 * each sync.  Between these two calls the descriptor looks to this thread as though the
 * kernel took and had nothing: libpq keeps what it would have sent, as it does whenever a
 * socket is full, and sends it at the next PQflush.
 */

/* Begin; one descriptor at a time. */
void postgres_gather(int fd);

/* End.  The caller sees to it that PQflush is called. */
void postgres_gather_end(void);

#endif
