/* SPDX-License-Identifier: ISC */
/*
 * What the server sends a gate that carries.  However it is read and written, fd 1 and fd 2 get the content of the
 * records of the one request, and the exit status is END_REQUEST's.
 */
// sources: src/gate/params.c
#include <errno.h>
#include <fastcgi.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fuzz.h"

/* The gate's reads and writes come here. */
static struct span feed;
static uint32_t dice;
static char got[2][8192];
static size_t got_len[2];

static ssize_t
fuzz_recv(int sock, void *to, size_t size, int flags)
{
	size_t n = fuzz_random(&dice) % 4 == 0 ? feed.len : fuzz_random(&dice) % 24 + 1;

	must(sock == 7 && flags == MSG_DONTWAIT);
	n = n < feed.len ? n : feed.len;
	n = n < size ? n : size;
	if (n > 0)
		memcpy(to, feed.at, n);
	feed = span_skip(feed, n);
	return (ssize_t)n;
}

static ssize_t
fuzz_write(int fd, const void *bytes, size_t len)
{
	size_t n = fuzz_random(&dice) % (len + 1), *at = &got_len[fd - 1];

	must((fd == 1 || fd == 2) && len > 0);
	if (n == 0) {
		errno = EAGAIN;
		return -1;
	}
	must(n <= sizeof got[0] - *at);
	memcpy(got[fd - 1] + *at, bytes, n);
	*at += n;
	return (ssize_t)n;
}

#define recv fuzz_recv
#define write fuzz_write
#include "gate/answer.c"
#undef recv
#undef write

/* The plainest reading.  Returns the exit status. */
static int
model(struct span in, char out[2][8192], size_t *len)
{
	while (in.len >= 8 && in.at[0] == 1) {
		const unsigned char *head = (const unsigned char *)in.at;
		size_t content = (size_t)head[4] << 8 | head[5], padding = head[6], n;
		int fd = head[2] != 0 || head[3] != 1 ? 0 : head[1] == FCGI_STDOUT ? 1 : head[1] == FCGI_STDERR ? 2 : 0;
		bool is_end = head[1] == FCGI_END_REQUEST && head[2] == 0 && head[3] == 1;

		in = span_skip(in, 8);
		n = content < in.len ? content : in.len;
		if (fd != 0) {
			memcpy(out[fd - 1] + len[fd - 1], in.at, n);
			len[fd - 1] += n;
		}
		if (is_end && n == content) {
			const unsigned char *end = (const unsigned char *)in.at;

			if (content < 5 || end[4] != 0)
				return ANSWER_NONE;
			return end[0] == 0 && end[1] == 0 && end[2] == 0 ? end[3] : 1;
		}
		in = span_skip(in, n);
		in = span_skip(in, padding < in.len ? padding : in.len);
	}
	return ANSWER_NONE;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char want[2][8192];
	struct answer a = { .exit_status = ANSWER_NONE };
	struct span whole;
	size_t want_len[2] = { 0, 0 };
	int status;

	if (size > sizeof want[0])
		return 0;
	whole = fuzz_copy(data, size);
	status = model(whole, want, want_len);
	feed = whole;
	dice = fuzz_hash(5, data, size);
	got_len[0] = got_len[1] = 0;
	while (!answer_is_over(&a)) {
		if (answer_target(&a) < 0)
			answer_read(&a, 7);
		else
			answer_write(&a, fuzz_random(&dice) % 40 + 1);
	}
	must(a.exit_status == status);
	for (int i = 0; i < 2; i++)
		must(got_len[i] == want_len[i] && memcmp(got[i], want[i], got_len[i]) == 0);
	must(a.has_written == (got_len[0] > 0));
	fuzz_free(whole);
	return 0;
}
