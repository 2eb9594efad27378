/* SPDX-License-Identifier: ISC */
/*
 * The head of a CGI response, read line by line, and what may stand in it.
 *
 * The same two questions, cgi_name_is_valid and cgi_value_is_valid, judge what
 * a program sends and what a handler asks to be sent, so that nothing gets into
 * a response head one way that could not get in the other way.  Where front-ends
 * disagree (continued lines, blanks before the colon, a bare CR), the line is bad.
 */
#include "wire/cgi_head.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

int
cgi_name_is_valid(struct span name)
{
	static const bool token[256] = {
		['a' ... 'z'] = true,
		['A' ... 'Z'] = true,
		['0' ... '9'] = true,
		['!'] = true,
		['#'] = true,
		['$'] = true,
		['%'] = true,
		['&'] = true,
		['\''] = true,
		['*'] = true,
		['+'] = true,
		['-'] = true,
		['.'] = true,
		['^'] = true,
		['_'] = true,
		['`'] = true,
		['|'] = true,
		['~'] = true,
	};

	for (size_t i = 0; i < name.len; i++)
		if (!token[(unsigned char)name.at[i]])
			return 0;
	return name.len > 0;
}

/* True when none of eight bytes is a control byte; TAB and bytes beside such a one may be taken for one, too. */
static bool
cgi_word_is_plain(const char *at)
{
	const uint64_t ones = UINT64_MAX / 255;
	uint64_t word, del;

	memcpy(&word, at, sizeof word);
	del = word ^ ones * 0x7f;
	return ((((word - ones * 0x20) & ~word) | ((del - ones) & ~del)) & ones << 7) == 0;
}

int
cgi_value_is_valid(struct span value)
{
	size_t i = 0;

	while (value.len - i >= sizeof(uint64_t) && cgi_word_is_plain(value.at + i))
		i += sizeof(uint64_t);
	for (; i < value.len; i++) {
		unsigned char c = (unsigned char)value.at[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return 0;
	}
	return 1;
}

/* Read one line that is not empty.  Returns CGI_HEAD_FIELD or CGI_HEAD_BAD. */
static enum cgi_head_rc
cgi_head_field(struct span line, struct span *name, struct span *value)
{
	size_t len = line.len;
	struct span before = span_take(&line, ':');

	if (before.len == len || !cgi_name_is_valid(before) || !cgi_value_is_valid(line))
		return CGI_HEAD_BAD;
	*name = before;
	*value = span_trim(line);
	return CGI_HEAD_FIELD;
}

enum cgi_head_rc
cgi_head_next(struct span *in, struct span *name, struct span *value)
{
	struct span rest = *in;
	struct span line = span_take(&rest, '\n');
	enum cgi_head_rc rc = CGI_HEAD_END;

	if (line.len == in->len)
		return CGI_HEAD_MORE;
	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	if (line.len > 0)
		rc = cgi_head_field(line, name, value);
	if (rc != CGI_HEAD_BAD)
		*in = rest;
	return rc;
}

int
cgi_head_status(struct span value, struct span *reason)
{
	int code = 0;

	if (value.len < 3 || !cgi_value_is_valid(value))
		return 0;
	for (int i = 0; i < 3; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return 0;
		code = code * 10 + (value.at[i] - '0');
	}
	value = span_skip(value, 3);
	if (code < 100 || (value.len > 0 && value.at[0] != ' ' && value.at[0] != '\t'))
		return 0;
	*reason = span_trim(value);
	return code;
}

/* The reasons of IANA's register of status codes. */
static const struct {
	int16_t status;
	const char *reason;
} cgi_reasons[] = {
	{ 100, "Continue" },
	{ 101, "Switching Protocols" },
	{ 102, "Processing" },
	{ 103, "Early Hints" },
	{ 201, "Created" },
	{ 202, "Accepted" },
	{ 203, "Non-Authoritative Information" },
	{ 204, "No Content" },
	{ 205, "Reset Content" },
	{ 206, "Partial Content" },
	{ 207, "Multi-Status" },
	{ 208, "Already Reported" },
	{ 226, "IM Used" },
	{ 300, "Multiple Choices" },
	{ 301, "Moved Permanently" },
	{ 302, "Found" },
	{ 303, "See Other" },
	{ 304, "Not Modified" },
	{ 305, "Use Proxy" },
	{ 307, "Temporary Redirect" },
	{ 308, "Permanent Redirect" },
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 402, "Payment Required" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 407, "Proxy Authentication Required" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 411, "Length Required" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 416, "Range Not Satisfiable" },
	{ 417, "Expectation Failed" },
	{ 421, "Misdirected Request" },
	{ 422, "Unprocessable Content" },
	{ 423, "Locked" },
	{ 424, "Failed Dependency" },
	{ 425, "Too Early" },
	{ 426, "Upgrade Required" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 431, "Request Header Fields Too Large" },
	{ 451, "Unavailable For Legal Reasons" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 506, "Variant Also Negotiates" },
	{ 507, "Insufficient Storage" },
	{ 508, "Loop Detected" },
	{ 511, "Network Authentication Required" },
};

const char *
cgi_reason(int status)
{
	if (status == 200) /* nearly every response */
		return "OK";
	for (size_t i = 0; i < sizeof cgi_reasons / sizeof cgi_reasons[0]; i++)
		if (cgi_reasons[i].status == status)
			return cgi_reasons[i].reason;
	return "Unknown";
}
