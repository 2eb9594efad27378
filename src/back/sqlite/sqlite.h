/* SPDX-License-Identifier: ISC */
#ifndef BACK_SQLITE_H
#define BACK_SQLITE_H

/*
 * What the files of the SQLite driver share; nobody else includes it.
 *
 *	sqlite.c        on the loop: the driver's table, calls in and results out
 *	sqlite_job.c    on a thread: open, run one statement or a part of it, roll back, close
 *	sqlite_guard.c  on a thread: waits that end, what statements may not do, names of errors
 *
 * One thread at a time uses a connection: the loop hands all of `ask` over with the
 * job, and looks at `answer` and the rest only when the job is done.  In
 * between it touches nothing but `unwanted` and sqlite3_interrupt.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include <sqlite3.h>

#include "back/driver.h"
#include "back/sql/rows_draft.h"
#include "back/sql/stmts.h"
#include "base/buf.h"
#include "loop/thread.h"

enum {
	SQLITE_PREPARED = 64,			/* statements kept prepared on a connection */
	SQLITE_VALUES = 32766,			/* of a statement; SQLite's own limit */
	SQLITE_RESULT_MAX = 64 * 1024 * 1024,	/* bytes of a result, and of one value */
};

/* So long rows of a result that comes in parts are gathered, once there is one. */
#define SQLITE_PART_TIME (20 * USEC_PER_MSEC)

/* The longest wait for a lock that another connection holds. */
#define SQLITE_BUSY_WAIT (5 * USEC_PER_SEC)

enum sqlite_state { SQLITE_IS_IDLE, SQLITE_IS_OPENING, SQLITE_IS_RUNNING, SQLITE_IS_CLOSING };

/* One statement, copied from its call: the asker and its memory may go at any time. */
struct sqlite_ask {
	struct buf bytes;		/* the text, then the bytes of values */
	struct value *values;
	unsigned nvalues, room;
	usec busy_until;
	bool in_parts;			/* its rows are given in parts */
	bool lent;			/* of a borrower: it may begin a transaction, or leave one open */
};

struct sqlite_answer {
	enum weft_rc rc;
	char code[32];
	char text[200];
	bool broken;			/* the connection is of no use any more */
	bool in_transaction;		/* one is open now */
	bool last;			/* nothing follows */
	struct rows_draft rows;
};

struct sqlite {
	/* the loop's */
	struct conn *conn;		/* NULL: closed, the job goes on alone */
	struct call *call;		/* NULL: none, or abandoned */
	struct threads *threads;
	enum sqlite_state state;

	struct thread_job job;
	atomic_bool unwanted;		/* nobody waits for the job's outcome: end it soon */

	/* the thread's while a job runs, else the loop's */
	sqlite3 *db;
	bool trusted;			/* a statement of our own runs */
	bool passing;			/* what is being prepared is about a transaction: not to be kept */
	bool read_only, refused;	/* of the URL; refused: in memory, and more than one connection */
	char path[256];
	struct stmts stmts;		/* data: sqlite3_stmt */
	sqlite3_stmt *half;		/* has given a part of its rows, and uses what is in ask; NULL: none */
	bool half_kept;			/* it is in stmts, too */
	struct sqlite_ask ask;
	struct sqlite_answer answer;
};

/* ---- sqlite_job.c: struct thread_job's fn; arg is a struct sqlite ---- */

/* Open the database; answer.rc says how it went, db is NULL unless well. */
void sqlite_job_open(void *arg);

/* Run what is in ask, and fill answer. */
void sqlite_job_run(void *arg);

/* Gather the next part of the rows of `half`, and fill answer. */
void sqlite_job_go_on(void *arg);

/* End what a borrower left half done, and roll back what it left open; answer.in_transaction says whether that went well. */
void sqlite_job_rollback(void *arg);

/* Close the database. */
void sqlite_job_close(void *arg);

/* ---- sqlite_guard.c ---- */

/* Install what bounds waits and keeps statements from what they may not do.  Returns SQLite's code. */
int sqlite_guard(struct sqlite *d);

/* Returns the name of an extended result code, "SQLITE_CONSTRAINT_UNIQUE"; of a rare one, that of its primary code. */
const char *sqlite_code_name(int code);

#endif
