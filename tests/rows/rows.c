/* SPDX-License-Identifier: ISC */
/*
 * What the wire's tests need of a handler.  /rows?op=…, each one thing; "/" is
 * the request that names no path at all.
 *
 *	echo            the request's body
 *	length          how many bytes of body come, read as a stream
 *	vars            all variables: "NAME-LENGTH VALUE-LENGTH\nNAME\nVALUE\n" …
 *	big             n bytes in one call of weft_write; length=1 announces them
 *	first           writes n bytes, then reads the body and says its length
 *	early           answers without a look at the body
 *	nothing         writes nothing
 *	log             n bytes of 'e' to STDERR in one call
 *	logbody         the body to STDERR in one call
 *	say             the body to the server's log
 *	sleep           waits ms milliseconds
 *	redis           GET key from the pool "fake"
 *	counts          "BEGUN CLEANED": requests that began sleep or redis, and those put away
 *	getenv          name of the process's environment
 *	do              the body is a list of commands, see rows_do
 *	crash           as a broken handler does
 *	scribble        random bytes over all memory shared with the master
 *	pid             the worker's process id
 */
#include <weft/weft.h>

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static long rows_begun, rows_cleaned;

static long
rows_number(struct weft_request *rq, const char *name)
{
	const char *text = weft_query(rq, name);

	return text == NULL ? 0 : strtol(text, NULL, 10);
}

static int
rows_hello(struct weft_request *rq)
{
	weft_set_header(rq, "Content-Type", "text/plain");
	return weft_puts(rq, "hello\n");
}

static int
rows_echo(struct weft_request *rq)
{
	const char *body;
	size_t len;

	if (weft_body(rq, &body, &len) != WEFT_OK)
		return weft_fail(rq);
	return weft_write(rq, body, len);
}

static int
rows_length(struct weft_request *rq)
{
	char piece[4096];
	long total = 0, n;

	while ((n = weft_body_read(rq, piece, sizeof piece)) > 0)
		total += n;
	return n < 0 ? weft_fail(rq) : weft_printf(rq, "%ld", total);
}

static int
rows_vars(struct weft_request *rq)
{
	const char *name, *value;

	for (size_t i = 0; weft_var_at(rq, i, &name, &value) == WEFT_OK; i++) {
		weft_printf(rq, "%zu %zu\n", strlen(name), strlen(value));
		weft_puts(rq, name);
		weft_puts(rq, "\n");
		weft_puts(rq, value);
		weft_puts(rq, "\n");
	}
	return WEFT_OK;
}

/* Bytes that look like records, to see that none of them is taken for one: BEGIN_REQUEST of id 1, over and over. */
static char *
rows_bytes(long n)
{
	static const char fake[16] = "\1\1\0\1\0\10\0\0" "\0\1\1\0\0\0\0\0";
	char *bytes = malloc((size_t)n + 1);

	for (long i = 0; bytes != NULL && i < n; i++)
		bytes[i] = fake[i % 16];
	return bytes;
}

static int
rows_big(struct weft_request *rq)
{
	long n = rows_number(rq, "n");
	char *bytes = rows_bytes(n), length[24];
	int rc;

	if (bytes == NULL || weft_defer(rq, free, bytes) != WEFT_OK)
		return weft_error(rq, 500, "no memory");
	snprintf(length, sizeof length, "%ld", n);
	if (rows_number(rq, "length") != 0)
		weft_set_header(rq, "Content-Length", length);
	rc = weft_write(rq, bytes, (size_t)n);
	return rc;
}

static int
rows_first(struct weft_request *rq)
{
	int rc = rows_big(rq);

	return rc == WEFT_OK ? rows_length(rq) : rc;
}

static int
rows_early(struct weft_request *rq)
{
	return weft_puts(rq, "early");
}

static int
rows_nothing(struct weft_request *rq)
{
	(void)rq;
	return WEFT_OK;
}

static int
rows_log(struct weft_request *rq)
{
	long n = rows_number(rq, "n");
	char *bytes = malloc((size_t)n + 1);

	if (bytes == NULL || weft_defer(rq, free, bytes) != WEFT_OK)
		return weft_error(rq, 500, "no memory");
	memset(bytes, 'e', (size_t)n);
	weft_stderr(rq, bytes, (size_t)n);
	return weft_puts(rq, "logged");
}

static int
rows_logbody(struct weft_request *rq)
{
	const char *body;
	size_t len;

	if (weft_body(rq, &body, &len) != WEFT_OK)
		return weft_fail(rq);
	weft_stderr(rq, body, len);
	return weft_puts(rq, "logged");
}

static int
rows_say(struct weft_request *rq)
{
	const char *body;

	if (weft_body(rq, &body, NULL) != WEFT_OK)
		return weft_fail(rq);
	weft_log(rq, "%s", body);
	return weft_puts(rq, "said");
}

static void
rows_clean(void *arg)
{
	(void)arg;
	rows_cleaned++;
}

static int
rows_sleep(struct weft_request *rq)
{
	rows_begun++;
	if (weft_defer(rq, rows_clean, NULL) != WEFT_OK || weft_sleep(rq, rows_number(rq, "ms")) != WEFT_OK)
		return weft_fail(rq);
	return weft_puts(rq, "slept");
}

static int
rows_redis(struct weft_request *rq)
{
	struct weft_reply *reply;

	rows_begun++;
	if (weft_defer(rq, rows_clean, NULL) != WEFT_OK || weft_redis(rq, "fake", &reply, "GET %s", weft_query(rq, "key")) != WEFT_OK)
		return weft_fail(rq);
	return weft_puts(rq, weft_reply_text(reply, NULL));
}

static int
rows_counts(struct weft_request *rq)
{
	return weft_printf(rq, "%ld %ld", rows_begun, rows_cleaned);
}

static int
rows_getenv(struct weft_request *rq)
{
	const char *value = getenv(weft_query(rq, "name"));

	return value == NULL ? weft_error(rq, 404, "not set") : weft_puts(rq, value);
}

/* How the kernel answers some calls, all with arguments that cannot do anything: those of a filter, and what libcs use. */
static int
rows_calls(struct weft_request *rq)
{
	static const struct {
		const char *name;
		long number;
	} call[] = {
		{ "bpf", SYS_bpf }, { "mount", SYS_mount }, { "unshare", SYS_unshare }, { "kexec_load", SYS_kexec_load },
		{ "setns", SYS_setns }, { "process_vm_readv", SYS_process_vm_readv },
		{ "newfstatat", SYS_newfstatat }, { "getrandom", SYS_getrandom }, { "faccessat2", SYS_faccessat2 },
		{ "clone3", SYS_clone3 }, { "statx", SYS_statx }, { "rseq", SYS_rseq },
	};

	for (size_t i = 0; i < sizeof call / sizeof call[0]; i++) {
		long rc = syscall(call[i].number, -1L, 0L, 0L, 0L, -1L, 0L);

		weft_printf(rq, "%s=%s ", call[i].name, rc >= 0 ? "0" : errno == EPERM ? "EPERM" : "other");
	}
	return WEFT_OK;
}

/* "%0a" and its like, in place. */
static char *
rows_decode(char *text)
{
	char *to = text, hex[3] = "";

	for (char *at = text; *at != '\0'; at++) {
		if (at[0] == '%' && at[1] != '\0' && at[2] != '\0') {
			memcpy(hex, at + 1, 2);
			*to++ = (char)strtol(hex, NULL, 16);
			at += 2;
		} else {
			*to++ = *at;
		}
	}
	*to = '\0';
	return text;
}

/* One command, with what stands behind it; "-" is NULL.  Returns what weft returned, -1 when there is no such command. */
static int
rows_command(struct weft_request *rq, char *line)
{
	char *word[3] = { NULL, NULL, NULL }, *save = NULL, *bytes;
	long n;
	int rc;

	for (int i = 0; i < 3; i++) {
		word[i] = strtok_r(i == 0 ? line : NULL, " ", &save);
		if (word[i] != NULL && strcmp(word[i], "-") == 0)
			word[i] = NULL;
		else if (word[i] != NULL)
			rows_decode(word[i]);
	}
	if (word[0] == NULL)
		return -1;
	n = word[1] == NULL ? 0 : strtol(word[1], NULL, 10);
	if (strcmp(word[0], "status") == 0)
		return weft_status(rq, (int)n, word[2]);
	if (strcmp(word[0], "set") == 0)
		return weft_set_header(rq, word[1] == NULL ? "" : word[1], word[2]);
	if (strcmp(word[0], "add") == 0)
		return weft_add_header(rq, word[1] == NULL ? "" : word[1], word[2]);
	if (strcmp(word[0], "puts") == 0)
		return weft_puts(rq, word[1] == NULL ? "" : word[1]);
	if (strcmp(word[0], "flush") == 0)
		return weft_flush(rq);
	if (strcmp(word[0], "redirect") == 0)
		return weft_redirect(rq, (int)n, word[2]);
	if (strcmp(word[0], "variable") == 0)
		return weft_set_variable(rq, word[1] == NULL ? "" : word[1], word[2]);
	if (strcmp(word[0], "sleep") == 0)
		return weft_sleep(rq, n);
	if (strcmp(word[0], "write") != 0 || (bytes = rows_bytes(n)) == NULL)
		return -1;
	rc = weft_write(rq, bytes, (size_t)n);
	free(bytes);
	return rc;
}

/*
 * Run the commands of the body, or of "do" in the query, one a line: status N REASON, set NAME VALUE, add
 * NAME VALUE, puts TEXT, write N, flush, redirect N LOCATION, variable NAME VALUE, sleep MS.  "results"
 * writes what those before it returned, "return N" ends the handler with N.
 */
static int
rows_do(struct weft_request *rq)
{
	char results[256] = "", *save = NULL, *text;
	size_t at = 0;
	const char *body = weft_query(rq, "do");

	if (body == NULL && weft_body(rq, &body, NULL) != WEFT_OK)
		return weft_fail(rq);
	text = weft_strdup(rq, body);
	for (char *line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (strcmp(line, "results") == 0)
			weft_puts(rq, results);
		else if (strncmp(line, "return ", 7) == 0)
			return atoi(line + 7);
		else if (at < sizeof results - 8)
			at += (size_t)snprintf(results + at, sizeof results - at, "%d ", rows_command(rq, line));
	}
	return WEFT_OK;
}

static int
rows_crash(struct weft_request *rq)
{
	(void)rq;
	signal(SIGSEGV, SIG_DFL);
	raise(SIGKILL);
	return WEFT_OK;
}

/* The scoreboard is the one mapping that is shared and has no file. */
static int
rows_scribble(struct weft_request *rq)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to, done = 0;
	unsigned seed = (unsigned)rows_number(rq, "seed");
	char line[512], mode[8];

	while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || strcmp(mode, "rw-s") != 0 ||
		    strstr(line, "/dev/zero (deleted)") == NULL)
			continue;
		for (uint32_t *at = (uint32_t *)from; at < (uint32_t *)to; at++)
			*at = (uint32_t)rand_r(&seed) * 2654435761u;
		done += to - from;
	}
	if (maps != NULL)
		fclose(maps);
	return weft_printf(rq, "%lu", done);
}

static int
rows_pid(struct weft_request *rq)
{
	return weft_printf(rq, "%ld", (long)getpid());
}

static const struct {
	const char *op;
	weft_handler *fn;
} rows_ops[] = {
	{ "echo", rows_echo }, { "length", rows_length }, { "vars", rows_vars }, { "big", rows_big }, { "first", rows_first },
	{ "early", rows_early }, { "nothing", rows_nothing }, { "log", rows_log }, { "logbody", rows_logbody },
	{ "say", rows_say }, { "sleep", rows_sleep }, { "redis", rows_redis }, { "counts", rows_counts },
	{ "getenv", rows_getenv }, { "do", rows_do }, { "crash", rows_crash }, { "scribble", rows_scribble },
	{ "calls", rows_calls }, { "pid", rows_pid }, { "ok", rows_hello },
};

static int
rows(struct weft_request *rq)
{
	const char *op = weft_query(rq, "op");

	for (size_t i = 0; op != NULL && i < sizeof rows_ops / sizeof rows_ops[0]; i++)
		if (strcmp(rows_ops[i].op, op) == 0)
			return rows_ops[i].fn(rq);
	return weft_error(rq, 400, "no such op");
}

WEFT_MODULE(
	{ "*", "/", rows_hello },
	{ "*", "/rows", rows },
	{ "AUTHORIZE", "/rows", rows },
	{ "GET", "/get", rows_hello },
)
