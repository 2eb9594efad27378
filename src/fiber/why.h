/* SPDX-License-Identifier: ISC */
#ifndef FIBER_WHY_H
#define FIBER_WHY_H

/* What a suspended fiber waits for.  The timeline draws each in its own colour. */
enum wait_why {
	WAIT_NONE,	/* not waiting: running, or ready to run */
	WAIT_POOL,	/* a connection of a pool, or a place in its pipeline */
	WAIT_REDIS,
	WAIT_SQL,
	WAIT_HTTP,
	WAIT_CLIENT,	/* the web server: more of the body, or room for the response */
	WAIT_SLEEP,
	WAIT_FD,	/* a descriptor of the handler's */
	WAIT_THREAD,	/* a function that runs on a thread */
	WAIT_FIBER,	/* another fiber's end */
	WAIT_MESSAGE,	/* a message of a channel subscribed to */
	WAIT_COUNT
};

/* Returns the word for it, as in logs and the timeline: "redis", "sql", "pool queue", …  Static. */
const char *wait_why_name(enum wait_why why);

#endif
