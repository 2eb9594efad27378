/* SPDX-License-Identifier: ISC */
#ifndef WEFT_WEFT_H
#define WEFT_WEFT_H

/*
 * weft: what a handler sees.  See weft(7) for a tour, weft_*(3) for each function.
 *
 * A handler is straight code on a fiber of its own.  Functions that wait say so;
 * while one waits, only this request does.  Every wait has a deadline, inherited
 * from the request, and may end in WEFT_TIMEOUT or WEFT_CANCELED: return then.
 *
 * Memory that the functions hand out is the request's: valid until the
 * handler has returned, and freed by the server.
 */

#include <stdarg.h>
#include <stddef.h>

#include <weft/rc.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEFT_ABI_MAJOR 1	/* another one is refused when a module is loaded */
#define WEFT_ABI_MINOR 3	/* grows when something is added; older modules still load */

#define WEFT_API __attribute__((visibility("default")))
#define WEFT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define WEFT_CHECK __attribute__((warn_unused_result))

struct weft_request;	/* one web request */
struct weft_call;	/* something asked for and not yet waited for */
struct weft_lease;	/* a connection of a pool that nobody else uses now */
struct weft_subscription;	/* to a channel of a back end */
struct weft_reply;	/* what Redis answered */
struct weft_rows;	/* what an SQL statement answered */
struct weft_stream;	/* what it answers, part by part */
struct weft_http;	/* what an HTTP service answered */
struct weft_value;	/* a parameter of a statement, or a word of a command */
struct json_t;		/* jansson's */

/* ---- modules ------------------------------------------------------------ */

/* Answers one request.  Returns WEFT_OK, or what weft_fail(), weft_error() … returned: the response is complete then. */
typedef int weft_handler(struct weft_request *rq);

struct weft_route {
	const char *method;	/* "GET" (answers HEAD too), "POST", …, "*" for any; or "AUTHORIZE": asked whether others may be answered */
	const char *path;	/* "/item/:id": a segment with ':' matches any one; a last "*" matches the rest */
	weft_handler *handler;
	unsigned stack;		/* bytes of stack, 0: as configured.  Reserved: must be 0 in this version */
	unsigned timeout_ms;	/* deadline of the whole request, 0: as configured */
};

struct weft_module {
	unsigned abi_major, abi_minor;
	const struct weft_route *routes;
	size_t nroutes;
	size_t route_size;	/* of one, as the module knows it: later versions may append members */
	int (*init)(const char *name);	/* once in each worker, before the first request; not 0: the module is refused */
	void (*fini)(void);		/* once in each worker, after the last request */
};

/*
 * Define the module, without a semicolon behind it: WEFT_MODULE({ "GET", "/item/:id", show_item }, …)
 * or, with functions for its beginning and end (either may be NULL),
 * WEFT_MODULE_INIT(init, fini, { … }, …).  Once in each shared object.
 */
#define WEFT_MODULE(...) WEFT_MODULE_INIT(NULL, NULL, __VA_ARGS__)
#define WEFT_MODULE_INIT(init_fn, fini_fn, ...) \
	_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wmissing-field-initializers\"") \
	static const struct weft_route weft_module_routes[] = { __VA_ARGS__ }; \
	WEFT_API extern const struct weft_module weft_module; \
	const struct weft_module weft_module = { WEFT_ABI_MAJOR, WEFT_ABI_MINOR, weft_module_routes, \
		sizeof weft_module_routes / sizeof weft_module_routes[0], sizeof weft_module_routes[0], \
		(init_fn), (fini_fn) }; \
	_Pragma("GCC diagnostic pop")

/* ---- the request (weft_request(3), weft_input(3), weft_body(3)) ----------- */

/* Returns the method: "GET", "HEAD", "POST" … */
WEFT_API const char *weft_method(const struct weft_request *rq);

enum weft_role {
	WEFT_RESPONDER = 1,	/* the answer goes to the client */
	WEFT_AUTHORIZER = 2,	/* status 200: the web server goes on with the request; any other answer goes to the client instead */
};

/* Returns what the web server wants.  WEFT_AUTHORIZER only in handlers of routes with the method "AUTHORIZE"; weft_method() is the client's all the same. */
WEFT_API enum weft_role weft_role(const struct weft_request *rq);

/* Returns the path of the URL, percent-decoded, without the query, below the module's prefix: "/item/7". */
WEFT_API const char *weft_path(const struct weft_request *rq);

/* Returns what the segment ":name" of the route matched, percent-decoded ("*" for the rest); NULL when the route has no such segment. */
WEFT_API const char *weft_param(const struct weft_request *rq, const char *name);

/* Returns the first value of name in the query, decoded; NULL when it is not there.  Values with NUL bytes are not given. */
WEFT_API const char *weft_query(struct weft_request *rq, const char *name);

/*
 * Returns the first value of name in an application/x-www-form-urlencoded body, decoded; NULL when
 * it is not there or the body is no such form.  Waits for the body.
 */
WEFT_API const char *weft_form(struct weft_request *rq, const char *name);

/* Returns the value of a cookie, NULL when it is not there. */
WEFT_API const char *weft_cookie(struct weft_request *rq, const char *name);

/* Returns a header of the request ("User-Agent", any case), NULL when it is not there. */
WEFT_API const char *weft_header(const struct weft_request *rq, const char *name);

/* Returns a variable of the CGI environment as the web server sent it ("REMOTE_ADDR"), NULL when it is not there.  The first, where it is repeated. */
WEFT_API const char *weft_var(const struct weft_request *rq, const char *name);

/* Returns the n-th variable of the environment, counted from 0, as *name and *value; WEFT_INVALID behind the last, WEFT_SYSTEM without memory. */
WEFT_API int weft_var_at(const struct weft_request *rq, size_t n, const char **name, const char **value);

/*
 * The whole body.  Waits until it is complete.
 *
 * bytes, len  the body, with a NUL behind it; len may be NULL
 * Returns     WEFT_OK; WEFT_TOO_LARGE over the configured limit; WEFT_BAD_INPUT when the client sent less than it
 *             announced; WEFT_TIMEOUT, WEFT_CANCELED.  weft_fail() answers each
 */
WEFT_API int weft_body(struct weft_request *rq, const char **bytes, size_t *len) WEFT_CHECK;

/*
 * The next part of the body, as a stream.  Waits until there is some.
 *
 * Returns  bytes put to buf, 0 at the end, -1 when it failed: weft_fail() answers.
 *          Not together with weft_body() or weft_form()
 */
WEFT_API long weft_body_read(struct weft_request *rq, void *buf, size_t size) WEFT_CHECK;

/* ---- the response (weft_response(3)) --------------------------------------- */

/* Set the status, 200 when it is not called.  reason NULL: the usual one.  Returns WEFT_OK, or WEFT_INVALID (not 200..599, or the head is sent). */
WEFT_API int weft_status(struct weft_request *rq, int status, const char *reason);

/*
 * Set a header of the response, in place of one of the same name; value NULL takes it away.
 *
 * Returns  WEFT_OK; WEFT_INVALID, with the reason in the log, for CR, LF, NUL or other bytes that may not stand there,
 *          for names which the server owns (Connection, Transfer-Encoding, Status …), and when the head is sent already
 */
WEFT_API int weft_set_header(struct weft_request *rq, const char *name, const char *value);

/* As weft_set_header, but beside those of the same name (Set-Cookie, Link). */
WEFT_API int weft_add_header(struct weft_request *rq, const char *name, const char *value);

/*
 * As an authorizer that answers 200: set a variable of the request for whoever answers it; value NULL takes it away.
 *
 * Returns  WEFT_OK; WEFT_INVALID, with the reason in the log, in any other role, and as weft_set_header
 */
WEFT_API int weft_set_variable(struct weft_request *rq, const char *name, const char *value);

/*
 * Append to the body.  Waits only when the client reads slower than this writes.
 *
 * Returns  WEFT_OK; WEFT_CANCELED when the client has left, WEFT_TIMEOUT: return from the handler
 */
WEFT_API int weft_write(struct weft_request *rq, const void *bytes, size_t len);

/* Append a string, as weft_write. */
WEFT_API int weft_puts(struct weft_request *rq, const char *text);

/* Append formatted text, as weft_write. */
WEFT_API int weft_printf(struct weft_request *rq, const char *fmt, ...) WEFT_PRINTF(2, 3);

/* Append a string with & < > " ' escaped for HTML, as weft_write. */
WEFT_API int weft_html(struct weft_request *rq, const char *text);

/* Send what was written so far now, instead of when the handler returns.  Returns as weft_write. */
WEFT_API int weft_flush(struct weft_request *rq);

/* The whole answer: a redirect with the given status (301, 302, 303, 307, 308).  Returns WEFT_OK or WEFT_INVALID. */
WEFT_API int weft_redirect(struct weft_request *rq, int status, const char *location);

/* The whole answer: an error with a plain text; what was written and not sent yet is dropped.  Returns WEFT_OK: return it from the handler. */
WEFT_API int weft_error(struct weft_request *rq, int status, const char *text);

/*
 * The whole answer to the last call that failed in this request: status and text
 * follow from its result (see weft/rc.h); the log says more.  Returns WEFT_OK: return it from the handler.
 */
WEFT_API int weft_fail(struct weft_request *rq);

/* The whole answer: a JSON value, with Content-Type application/json.  The value stays the caller's: json_decref() it.  Returns as weft_write. */
WEFT_API int weft_json(struct weft_request *rq, const struct json_t *value);

/* ---- memory and cleaning up (weft_alloc(3)) ------------------------------ */

/* Allocate; valid until the request ends.  NULL when memory is refused. */
WEFT_API void *weft_alloc(struct weft_request *rq, size_t len);

/* Copy a string.  As weft_alloc. */
WEFT_API char *weft_strdup(struct weft_request *rq, const char *text);

/* Format a string.  As weft_alloc. */
WEFT_API char *weft_sprintf(struct weft_request *rq, const char *fmt, ...) WEFT_PRINTF(2, 3);

/*
 * Call fn(arg) when the handler has returned, however it ended; last registered first.  The answer is sent after it: what waits in it
 * delays that, unless the deadline has ended a wait of the handler's.  Returns WEFT_OK or WEFT_SYSTEM.
 */
WEFT_API int weft_defer(struct weft_request *rq, void (*fn)(void *arg), void *arg);

/* ---- waiting (weft_wait(3)) ------------------------------------------------ */

/* Wait so many milliseconds.  Returns WEFT_OK, WEFT_TIMEOUT (the request's deadline came first), WEFT_CANCELED. */
WEFT_API int weft_sleep(struct weft_request *rq, long ms) WEFT_CHECK;

enum { WEFT_READ = 1, WEFT_WRITE = 2 };

/* Wait until a descriptor is ready for what (WEFT_READ, WEFT_WRITE), at most ms milliseconds (-1: the request's deadline).  Returns WEFT_OK, WEFT_TIMEOUT … */
WEFT_API int weft_wait_fd(struct weft_request *rq, int fd, int what, long ms) WEFT_CHECK;

/*
 * Run a blocking function on a thread, and wait for its end.
 *
 * fn, arg   fn must not use the request.  When the wait ends early, fn goes on: so
 *           arg must not be memory of the request or on the stack then; cleanup(arg),
 *           if not NULL, is called once fn has ended and nobody waits for it any more
 * Returns   WEFT_OK: fn has run; WEFT_BUSY or WEFT_SYSTEM: it never will; WEFT_TIMEOUT, WEFT_CANCELED: nobody waits for it
 */
WEFT_API int weft_offload(struct weft_request *rq, void (*fn)(void *arg), void *arg, void (*cleanup)(void *arg)) WEFT_CHECK;

/*
 * Begin fn(rq, arg) on a fiber of its own: for two things that are each several calls long.  Wait for it with
 * weft_wait(); the request does not end before it does.  NULL: no more fibers.
 */
WEFT_API struct weft_call *weft_spawn(struct weft_request *rq, int (*fn)(struct weft_request *rq, void *arg), void *arg);

/*
 * Asked twice it does no harm: a call that was just begun by weft_sql_start() or weft_redis_start() may be sent again, once, when its
 * connection is lost before the answer has come.  Else that is WEFT_UNKNOWN.  Returns the call; NULL for NULL.
 */
WEFT_API struct weft_call *weft_idempotent(struct weft_call *call);

/* Wait for one call.  Returns its result; WEFT_SYSTEM for NULL; WEFT_INVALID while another fiber waits for it.  weft_fail() answers for it. */
WEFT_API int weft_wait(struct weft_request *rq, struct weft_call *call) WEFT_CHECK;

/* Wait for all of them.  Returns WEFT_OK, or the result of the first, by place, that failed. */
WEFT_API int weft_wait_all(struct weft_request *rq, struct weft_call *const *call, size_t n) WEFT_CHECK;

/* Returns the milliseconds left until the request's deadline; 0 when it has passed. */
WEFT_API long weft_time_left(const struct weft_request *rq);

/* Bring the request's deadline forward to ms from now; it is never put off.  Returns WEFT_OK. */
WEFT_API int weft_deadline(struct weft_request *rq, long ms);

enum { WEFT_SHIELD_MAX = 60000 };

/*
 * From here to weft_unshield(), for at most ms milliseconds (1 to WEFT_SHIELD_MAX): what has been begun is finished.  The client's
 * leaving and the request's deadline end no wait; they do at the first one after that.  Timeouts of the pools go on.
 *
 * Returns  WEFT_OK; WEFT_INVALID: nothing is held back
 */
WEFT_API int weft_shield(struct weft_request *rq, long ms);

/* Ends what weft_shield() began; of several, one within the other, the innermost.  Nothing without it. */
WEFT_API void weft_unshield(struct weft_request *rq);

/* ---- Redis (weft_redis(3)) ------------------------------------------------- */

/*
 * One command, and its reply.
 *
 * pool     the name of a pool of weft.conf
 * reply    may be NULL; valid until the handler has returned
 * fmt      words separated by blanks: %s a string, %b bytes (const void *, size_t), %d %u %ld %lu %lld %llu numbers, %%.
 *          What stands for a % is never split into words
 * Returns  WEFT_OK; WEFT_REFUSED when Redis answered with an error; else weft/rc.h.  weft_fail() answers
 */
WEFT_API int weft_redis(struct weft_request *rq, const char *pool, struct weft_reply **reply, const char *fmt, ...) WEFT_CHECK;

/*
 * The same with the n words in an array, for commands whose length is known only then (MGET, DEL …): WEFT_TEXT,
 * WEFT_BYTES, WEFT_INT, WEFT_REAL; see below.
 */
WEFT_API int weft_redis_values(struct weft_request *rq, const char *pool, struct weft_reply **reply,
    const struct weft_value *word, size_t n) WEFT_CHECK;

/*
 * Run a script (Lua) with its keys and arguments, by its hash: its text is sent only to a server that does not know it.
 *
 * script   its text
 * key      nkeys of them, as words of weft_redis_values(); the script's KEYS
 * arg      nargs of them; its ARGV
 * Returns  as weft_redis()
 */
WEFT_API int weft_redis_script(struct weft_request *rq, const char *pool, struct weft_reply **reply, const char *script,
    const struct weft_value *key, size_t nkeys, const struct weft_value *arg, size_t nargs) WEFT_CHECK;

/* The same without waiting: weft_wait(), then weft_call_reply().  NULL: out of memory. */
WEFT_API struct weft_call *weft_redis_start(struct weft_request *rq, const char *pool, const char *fmt, ...);

/* Returns the reply of a call that ended with WEFT_OK; else NULL. */
WEFT_API struct weft_reply *weft_call_reply(const struct weft_call *call);

enum weft_reply_type { WEFT_REPLY_NIL, WEFT_REPLY_INT, WEFT_REPLY_TEXT, WEFT_REPLY_STATUS, WEFT_REPLY_ERROR, WEFT_REPLY_ARRAY };

/* Returns its type; WEFT_REPLY_NIL for NULL. */
WEFT_API enum weft_reply_type weft_reply_type(const struct weft_reply *reply);

/* Returns the text of a TEXT, STATUS or ERROR, with a NUL behind it; NULL for the others.  len may be NULL; read it after
   this call, not in an argument list beside it: C does not say which comes first. */
WEFT_API const char *weft_reply_text(const struct weft_reply *reply, size_t *len);

/* Returns the number of an INT, or a TEXT read as one; 0 for the others. */
WEFT_API long long weft_reply_int(const struct weft_reply *reply);

/* Returns how many elements an ARRAY has; 0 for the others. */
WEFT_API size_t weft_reply_count(const struct weft_reply *reply);

/* Returns an element of an ARRAY; NULL behind the last. */
WEFT_API struct weft_reply *weft_reply_at(const struct weft_reply *reply, size_t n);

/* ---- SQL (weft_sql(3)) ------------------------------------------------------ */

/* What a value is: one that is sent, and one that comes back. */
enum weft_type { WEFT_TYPE_NULL, WEFT_TYPE_INT, WEFT_TYPE_REAL, WEFT_TYPE_TEXT, WEFT_TYPE_BYTES };

/* A typed parameter of a statement, or a word of a command; made by the macros below.  Never pasted into the text. */
struct weft_value {
	int type;			/* enum weft_type */
	long long integer;
	double real;
	const void *bytes;
	size_t len;
};

#define WEFT_NULL_VALUE   ((struct weft_value){ 0, 0, 0, NULL, 0 })
#define WEFT_INT(i)       ((struct weft_value){ 1, (i), 0, NULL, 0 })
#define WEFT_REAL(d)      ((struct weft_value){ 2, 0, (d), NULL, 0 })
#define WEFT_TEXT(s)      (weft_value_text(s))
#define WEFT_BYTES(p, n)  ((struct weft_value){ 4, 0, 0, (p), (n) })

/* A text parameter; NULL is SQL's NULL. */
static inline struct weft_value
weft_value_text(const char *s)
{
	struct weft_value v = { s == NULL ? 0 : 3, 0, 0, s, s == NULL ? 0 : __builtin_strlen(s) };

	return v;
}

/* How many values a statement has at most, written behind it, and in an array.  Databases have lower limits: SQLite's is 32766. */
enum { WEFT_SQL_PARAMS_MAX = 32, WEFT_SQL_VALUES_MAX = 65535 };

/*
 * One statement, and its rows: weft_sql(rq, "db", &rows, "SELECT name FROM item WHERE id = $1", WEFT_TEXT(id)).
 *
 * pool     the name of a pool of weft.conf
 * rows     struct weft_rows **; may be NULL; valid until the handler has returned
 * …        the statement, with parameters $1, $2 …, then a value for each
 * Returns  WEFT_OK; WEFT_REFUSED when the database refused it (weft_fault_code() is its code for that); else weft/rc.h.  weft_fail() answers
 */
#define weft_sql(rq, pool, rows, ...) \
	weft_sql_n((rq), (pool), (rows), WEFT_NARGS_(__VA_ARGS__) - 1, __VA_ARGS__)

/* The same without waiting: weft_wait(), then weft_call_rows(). */
#define weft_sql_start(rq, pool, ...) \
	weft_sql_start_n((rq), (pool), WEFT_NARGS_(__VA_ARGS__) - 1, __VA_ARGS__)

/* What the macros call: n values follow the statement. */
WEFT_API int weft_sql_n(struct weft_request *rq, const char *pool, struct weft_rows **rows, int n, const char *sql, ...) WEFT_CHECK;
WEFT_API struct weft_call *weft_sql_start_n(struct weft_request *rq, const char *pool, int n, const char *sql, ...);

/* The same with the values in an array. */
WEFT_API int weft_sql_values(struct weft_request *rq, const char *pool, struct weft_rows **rows, const char *sql,
    const struct weft_value *value, size_t n) WEFT_CHECK;

/* Returns the rows of a call that ended with WEFT_OK; else NULL. */
WEFT_API struct weft_rows *weft_call_rows(const struct weft_call *call);

/* Returns how many rows; 0 for NULL. */
WEFT_API size_t weft_rows_count(const struct weft_rows *rows);

/* Returns how many columns; 0 for NULL. */
WEFT_API unsigned weft_rows_columns(const struct weft_rows *rows);

/* Returns how many rows an INSERT, UPDATE or DELETE changed. */
WEFT_API long long weft_rows_affected(const struct weft_rows *rows);

/* Returns the name of a column; NULL behind the last. */
WEFT_API const char *weft_rows_name(const struct weft_rows *rows, unsigned column);

/* Returns a value as text with a NUL behind it; NULL for SQL's NULL and out of range.  Rows and columns count from 0. */
WEFT_API const char *weft_rows_text(const struct weft_rows *rows, size_t row, unsigned column);

/* Returns a value's bytes; as weft_rows_text.  len as with weft_reply_text: not beside this call in one argument list. */
WEFT_API const char *weft_rows_bytes(const struct weft_rows *rows, size_t row, unsigned column, size_t *len);

/* Returns a value as a number; 0 for NULL and what is none. */
WEFT_API long long weft_rows_int(const struct weft_rows *rows, size_t row, unsigned column);

/* Returns a value as a number; 0 for NULL and what is none. */
WEFT_API double weft_rows_real(const struct weft_rows *rows, size_t row, unsigned column);

/*
 * Returns what a value is; WEFT_TYPE_NULL for SQL's NULL and out of range.  Of PostgreSQL and MariaDB by the type of its column, where what
 * is neither a whole number, a floating one nor bytes is text: exact decimals, dates, truth values of PostgreSQL.  Of SQLite by itself.
 */
WEFT_API enum weft_type weft_rows_type(const struct weft_rows *rows, size_t row, unsigned column);

/* Returns 1 for SQL's NULL and out of range, else 0. */
WEFT_API int weft_rows_is_null(const struct weft_rows *rows, size_t row, unsigned column);

/* ---- SQL: more rows than should be in memory (weft_sql_open(3)) ------------------ */

/*
 * One statement, of which the rows come part by part: weft_sql_open(rq, "db", &stream, "SELECT … WHERE id > $1", WEFT_INT(id)).
 * Done when the first have come.  The stream has a connection for itself until its last part has come.
 *
 * stream   struct weft_stream **; NULL when it failed.  Closed when the handler has returned, if not before
 * Returns  as weft_sql()
 */
#define weft_sql_open(rq, pool, stream, ...) \
	weft_sql_open_n((rq), (pool), (stream), WEFT_NARGS_(__VA_ARGS__) - 1, __VA_ARGS__)

/* What the macro calls: n values follow the statement. */
WEFT_API int weft_sql_open_n(struct weft_request *rq, const char *pool, struct weft_stream **stream, int n, const char *sql, ...) WEFT_CHECK;

/* The same with the values in an array. */
WEFT_API int weft_sql_open_values(struct weft_request *rq, const char *pool, struct weft_stream **stream, const char *sql,
    const struct weft_value *value, size_t n) WEFT_CHECK;

/* Returns rows without a row: the names of the columns, and at the end how many rows were changed.  NULL for NULL. */
WEFT_API const struct weft_rows *weft_sql_head(const struct weft_stream *stream);

/*
 * The next rows of a stream, as many as have come: some hundred at most.  Waits until there are some; who does not ask holds the database up.
 *
 * rows     valid until the next call on this stream; NULL at the end
 * Returns  WEFT_OK, also at the end; else weft/rc.h: no more will come.  weft_fail() answers
 */
WEFT_API int weft_sql_next(struct weft_request *rq, struct weft_stream *stream, struct weft_rows **rows) WEFT_CHECK;

/* No more is wanted of a stream, and its rows are gone; NULL is nothing.  What is left is cancelled, with the transaction that it is part of. */
WEFT_API void weft_sql_close(struct weft_stream *stream);

/* ---- a connection of one's own, and transactions (weft_lease(3)) --------------- */

/*
 * Borrow a connection of a pool: it does what is asked of it by the functions below, and nothing else, until it is
 * given back.  Waits in the pool's queue.
 *
 * lease    NULL when it failed.  What the handler does not give back, the server does when the handler has returned;
 *          one fiber at a time uses it
 * Returns  WEFT_OK; else weft/rc.h.  weft_fail() answers
 */
WEFT_API int weft_lend(struct weft_request *rq, const char *pool, struct weft_lease **lease) WEFT_CHECK;

/* Give it back; NULL is nothing.  An open transaction is rolled back, and what else was changed on the connection is undone. */
WEFT_API void weft_give(struct weft_lease *lease);

/* Borrow a connection and begin a transaction on it.  As weft_lend; WEFT_REFUSED when the database does not begin one. */
WEFT_API int weft_begin(struct weft_request *rq, const char *pool, struct weft_lease **lease) WEFT_CHECK;

/*
 * Commit what weft_begin() began, and give the connection back, however it ends.
 *
 * Returns  WEFT_OK: it is done.  WEFT_UNKNOWN: COMMIT was sent and its answer lost, so it may be done or not.
 *          Anything else: nothing is done.  weft_fail() answers
 */
WEFT_API int weft_commit(struct weft_lease *lease) WEFT_CHECK;

/* Roll back what weft_begin() began, and give the connection back; NULL is nothing. */
WEFT_API void weft_rollback(struct weft_lease *lease);

/* As weft_sql(), on a connection that was borrowed: weft_lease_sql(lease, &rows, "SELECT …", …). */
#define weft_lease_sql(lease, rows, ...) \
	weft_lease_sql_n((lease), (rows), WEFT_NARGS_(__VA_ARGS__) - 1, __VA_ARGS__)

/* What the macro calls: n values follow the statement. */
WEFT_API int weft_lease_sql_n(struct weft_lease *lease, struct weft_rows **rows, int n, const char *sql, ...) WEFT_CHECK;

/* The same with the values in an array. */
WEFT_API int weft_lease_sql_values(struct weft_lease *lease, struct weft_rows **rows, const char *sql,
    const struct weft_value *value, size_t n) WEFT_CHECK;

/* As weft_sql_open(), on a connection that was borrowed, of which nothing else can be asked until the stream's end. */
#define weft_lease_sql_open(lease, stream, ...) \
	weft_lease_sql_open_n((lease), (stream), WEFT_NARGS_(__VA_ARGS__) - 1, __VA_ARGS__)

/* What the macro calls: n values follow the statement. */
WEFT_API int weft_lease_sql_open_n(struct weft_lease *lease, struct weft_stream **stream, int n, const char *sql, ...) WEFT_CHECK;

/* The same with the values in an array. */
WEFT_API int weft_lease_sql_open_values(struct weft_lease *lease, struct weft_stream **stream, const char *sql,
    const struct weft_value *value, size_t n) WEFT_CHECK;

/* As weft_redis(), on a connection that was borrowed. */
WEFT_API int weft_lease_redis(struct weft_lease *lease, struct weft_reply **reply, const char *fmt, ...) WEFT_CHECK;

/* ---- messages of channels (weft_subscribe(3)) ------------------------------------ */

/*
 * Subscribe to a channel of Redis (SUBSCRIBE) or PostgreSQL (LISTEN).  Waits until the back end has confirmed it: whatever is
 * published after that arrives.
 *
 * sub      NULL when it failed.  Ends with the request, if not before
 * channel  its name; of PostgreSQL at most 63 bytes
 * Returns  WEFT_OK; else weft/rc.h.  weft_fail() answers
 */
WEFT_API int weft_subscribe(struct weft_request *rq, const char *pool, struct weft_subscription **sub, const char *channel) WEFT_CHECK;

/*
 * The next message; waits for one, at most ms milliseconds (-1: the request's deadline).
 *
 * text, len  with a NUL behind it; valid until the next call for the same subscription.  len may be NULL
 * Returns    WEFT_OK; WEFT_GAP: messages may have been lost, the subscription goes on: read anew what they tell of, then call again;
 *            WEFT_TIMEOUT: ms or the request's deadline have passed; WEFT_CANCELED: the client has left, or the server is
 *            stopping or reloading: come to an end
 */
WEFT_API int weft_message(struct weft_request *rq, struct weft_subscription *sub, const char **text, size_t *len, long ms) WEFT_CHECK;

/* No more is wanted of it; NULL is nothing. */
WEFT_API void weft_unsubscribe(struct weft_subscription *sub);

/* ---- HTTP services (weft_http(3)) --------------------------------------------- */

/*
 * One request, and the answer, whatever its status: weft_http(rq, "stock", &answer, "GET", "/count?item=%s", id).
 *
 * pool     the name of a pool of weft.conf
 * answer   may be NULL; valid until the handler has returned
 * path     below that of the pool's URL: %s a string, %d %u %ld %lu %lld %llu %zu numbers, %%.  What stands for a % is encoded: it is
 *          one segment of the path, or one value of the query, whatever it holds
 * Returns  WEFT_OK, also for 404 or 500; else weft/rc.h: there is no answer.  weft_fail() answers
 */
WEFT_API int weft_http(struct weft_request *rq, const char *pool, struct weft_http **answer, const char *method,
    const char *path, ...) WEFT_PRINTF(5, 6) WEFT_CHECK;

/* The same without waiting: weft_wait(), then weft_call_http().  NULL: out of memory. */
WEFT_API struct weft_call *weft_http_start(struct weft_request *rq, const char *pool, const char *method, const char *path, ...)
    WEFT_PRINTF(4, 5);

/* Returns the answer of a call that ended with WEFT_OK; else NULL. */
WEFT_API struct weft_http *weft_call_http(const struct weft_call *call);

/* Format a path as weft_http() does, for weft_http_send().  NULL when it cannot be, or memory is refused: weft_http_send() then says so. */
WEFT_API const char *weft_http_path(struct weft_request *rq, const char *path, ...) WEFT_PRINTF(2, 3);

/* A header. */
struct weft_http_field {
	const char *name, *value;
};

enum {
	WEFT_HTTP_IDEMPOTENT = 1,	/* may be sent again when a connection ends before the answer, whatever the method */
	WEFT_HTTP_DECOMPRESS = 2,	/* ask for gzip, and undo it */
};

/* What is asked; what is not named is 0. */
struct weft_http_ask {
	const char *method;			/* NULL: GET */
	const char *path;			/* with its query, encoded: weft_http_path() */
	const struct weft_http_field *header;	/* nheader of them; none that frames the request (Host, Content-Length, Connection …) */
	size_t nheader;
	const void *body;			/* NULL: none */
	size_t body_len;
	unsigned long long max_body;		/* bytes of the answer's body at most; 0: 8 MiB, or of a stream any number */
	unsigned follow;			/* redirects to the same server that are followed, at most 5 */
	unsigned flags;				/* WEFT_HTTP_… */
	const void *reserved[4];		/* must be NULL in this version */
};

/* As weft_http(), with headers, a body, limits.  Borrows what ask points to until it returns. */
WEFT_API int weft_http_send(struct weft_request *rq, const char *pool, struct weft_http **answer, const struct weft_http_ask *ask) WEFT_CHECK;

/* As weft_http_start(); what ask points to is copied. */
WEFT_API struct weft_call *weft_http_send_start(struct weft_request *rq, const char *pool, const struct weft_http_ask *ask);

/*
 * The same for a body of any length, which is read in pieces: done when the head of the answer is there.  What ask points to is copied.
 *
 * stream   for weft_http_read(), weft_http_status() and weft_http_header(); closed when the handler has returned, if not before
 */
WEFT_API int weft_http_open(struct weft_request *rq, const char *pool, struct weft_http **stream, const struct weft_http_ask *ask) WEFT_CHECK;

/*
 * The next part of the body of a stream.  Waits until there is some; who does not read holds the service up.
 *
 * Returns  bytes put to buf, 0 at the end, -1 when it failed: weft_fail() answers
 */
WEFT_API long weft_http_read(struct weft_request *rq, struct weft_http *stream, void *buf, size_t size) WEFT_CHECK;

/* No more is wanted of a stream. */
WEFT_API void weft_http_close(struct weft_http *stream);

/* Returns the status: 200, 404 …; 0 for NULL. */
WEFT_API int weft_http_status(const struct weft_http *answer);

/* Returns the first value of a header (any case); NULL when it is not there, and for NULL. */
WEFT_API const char *weft_http_header(const struct weft_http *answer, const char *name);

/* Returns the n-th header, counted from 0, as *name and *value: WEFT_OK; WEFT_INVALID behind the last. */
WEFT_API int weft_http_header_at(const struct weft_http *answer, size_t n, const char **name, const char **value);

/* Returns the body, with a NUL behind it; NULL for NULL and of a stream.  len as with weft_reply_text: not beside this call in one argument list. */
WEFT_API const char *weft_http_body(const struct weft_http *answer, size_t *len);

/* ---- what went wrong, and the log (weft_fault(3)) ------------------------------ */

/* Returns the result of the last call that failed in this request; WEFT_OK when none did. */
WEFT_API int weft_fault(const struct weft_request *rq);

/* Returns the back end's own code ("23505", "1062", "WRONGTYPE"); "" when there is none. */
WEFT_API const char *weft_fault_code(const struct weft_request *rq);

/* Returns what happened, for the log, not for the client; "" when nothing did. */
WEFT_API const char *weft_fault_text(const struct weft_request *rq);

/* Returns the words for a result: "connection lost, outcome unknown".  Static. */
WEFT_API const char *weft_strerror(int rc);

/* One line in the server's log, with the name of the module and the route in front. */
WEFT_API void weft_log(struct weft_request *rq, const char *fmt, ...) WEFT_PRINTF(2, 3);

/* Bytes for the web server's error log (FastCGI's STDERR stream). */
WEFT_API int weft_stderr(struct weft_request *rq, const void *bytes, size_t len);

/* How many arguments, 1 to 33: for weft_sql(). */
#define WEFT_NARGS_(...) WEFT_NARGS_PICK_(__VA_ARGS__, 33, 32, 31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, \
	17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define WEFT_NARGS_PICK_(a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21, \
	a22, a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, a33, n, ...) n

#ifdef __cplusplus
}
#endif

#endif
