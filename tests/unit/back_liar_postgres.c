/* SPDX-License-Identifier: ISC */
#include "tests/unit/back_liar_postgres.h"

struct liar_postgres pg;

static struct liar pg_liar;
static char pg_dir[64], pg_path[96];

/* ---- the protocol ---- */

static void
pg_number(char *to, uint32_t n)
{
	to[0] = (char)(n >> 24);
	to[1] = (char)(n >> 16);
	to[2] = (char)(n >> 8);
	to[3] = (char)n;
}

static uint32_t
pg_read_number(const char *at)
{
	const unsigned char *u = (const unsigned char *)at;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

void
pg_put_length(struct buf *b, char type, uint32_t length, struct span body)
{
	char head[5] = { type };

	pg_number(head + 1, length);
	must(buf_add(b, (struct span){ head, 5 }) == WEFT_OK && buf_add(b, body) == WEFT_OK);
}

void
pg_put(struct buf *b, char type, struct span body)
{
	pg_put_length(b, type, (uint32_t)body.len + 4, body);
}

void
pg_put_start(struct buf *b)
{
	pg_put(b, 'R', SPAN("\0\0\0\0"));
	pg_put(b, 'S', SPAN("server_version\0" "15.0\0"));
	pg_put(b, 'S', SPAN("client_encoding\0UTF8\0"));
	pg_put(b, 'S', SPAN("standard_conforming_strings\0on\0"));
	pg_put(b, 'K', SPAN("\0\0\0\1\0\0\0\2"));
	pg_put(b, 'Z', SPAN("I"));
}

void
pg_put_row(struct buf *b, const char *tag)
{
	char body[80] = { 0, 1 };
	size_t len = strlen(tag);

	pg_number(body + 2, (uint32_t)len);
	memcpy(body + 6, tag, len);
	pg_put(b, 'T', SPAN("\0\1" PG_COLUMN));
	pg_put(b, 'D', (struct span){ body, 6 + len });
}

void
pg_put_end(struct buf *b)
{
	pg_put(b, 'C', SPAN("SELECT 1\0"));
	pg_put(b, 'Z', pg.status == 0 ? SPAN("I") : (struct span){ &pg.status, 1 });
}

void
pg_put_answer(struct buf *b, const char *tag)
{
	pg_put(b, '1', SPAN(""));
	pg_put(b, '2', SPAN(""));
	pg_put_row(b, tag);
	pg_put_end(b);
}

/* A Bind's first parameter becomes the peer's tag. */
static void
pg_hear_bind(struct liar_peer *p, const char *at)
{
	uint32_t formats, len;

	at += strlen(at) + 1;
	at += strlen(at) + 1;
	formats = pg_read_number(at) >> 16;
	at += 2 + 2 * formats;
	if (pg_read_number(at) >> 16 == 0) {
		if (!p->flag)
			p->tag[0] = '\0';
		return;
	}
	len = pg_read_number(at + 2);
	must(len < sizeof p->tag);
	memcpy(p->tag, at + 6, len);
	p->tag[len] = '\0';
}

/* A hub's statements have answers of their own. */
static bool
pg_answer_hub(struct liar_peer *p, struct buf *b)
{
	bool listens = strncmp(p->tag, "LISTEN ", 7) == 0;

	if (!listens && strncmp(p->tag, "UNLISTEN ", 9) != 0 && strcmp(p->tag, "empty") != 0)
		return false;
	pg_put(b, 'n', SPAN(""));
	if (strcmp(p->tag, "empty") == 0)
		pg_put(b, 'I', SPAN(""));
	else if (listens && pg.wrong > 0)
		pg_put(b, 'C', SPAN("SELECT 1\0"));
	else
		pg_put(b, 'C', listens ? SPAN("LISTEN\0") : SPAN("UNLISTEN\0"));
	pg_put(b, 'Z', SPAN("I"));
	pg.wrong -= listens && pg.wrong > 0;
	pg.listens += listens;
	pg.hub = listens ? (int)p->number : pg.hub;
	return true;
}

/* Of a statement without a parameter the tag is its text, where a hub may have asked it. */
static void
pg_hear_parse(struct liar_peer *p, const char *at)
{
	at += strlen(at) + 1;
	if (at[0] == '\0' || strstr(at, "LISTEN ") != NULL)
		snprintf(p->tag, sizeof p->tag, "%s", at[0] == '\0' ? "empty" : at);
	else
		p->tag[0] = '\0';
}

static void
pg_answer(struct liar_peer *p)
{
	bool lies = strcmp(p->tag, "lie") == 0;
	struct buf b;

	buf_init(&b, 8 << 20);
	if (!(lies && play.whole)) {
		if (p->flag)
			pg_put(&b, '1', SPAN(""));
		pg_put(&b, '2', SPAN(""));
	}
	if (pg_answer_hub(p, &b)) {
		p->tag[0] = '\0';
	} else if (lies) {
		play_tell(p);
	} else if (pg.sour && p->tag[0] == '\0') {
		pg_put(&b, 'E', SPAN("SERROR\0VERROR\0C42501\0Mnot for you\0\0"));
		pg_put(&b, 'Z', SPAN("I"));
	} else {
		if (p->tag[0] == '\0')
			pg_put(&b, 'n', SPAN(""));
		else
			pg_put_row(&b, p->tag);
		pg_put_end(&b);
	}
	p->flag = false;
	if (lies)
		must(buf_add(&b, buf_span(&play.lie)) == WEFT_OK);
	liar_say(p, buf_span(&b));
	buf_fini(&b);
}

/* What comes before the first message: TLS, a cancel, or a start. */
static size_t
pg_hear_start(struct liar_peer *p)
{
	uint32_t len = p->in.len < 8 ? 8 : pg_read_number(p->in.at), code;

	if (p->in.len < len)
		return 0;
	code = pg_read_number(p->in.at + 4);
	if (code == 80877103 || code == 80877104) {
		liar_say(p, pg.tls);
	} else if (code == 80877102) {
		liar_hang_up(p);
	} else {
		p->stage = 1;
		p->last = play.last && play.connect_timeout != 0;
		p->flood = pg.start_flood;
		p->flooded = pg.start_flood.len;
		liar_say(p, buf_span(&play.start));
	}
	return len;
}

static size_t
pg_hear_message(struct liar_peer *p)
{
	size_t len = p->in.len < 5 ? 5 : 1 + pg_read_number(p->in.at + 1);

	if (p->in.len < len)
		return 0;
	switch (p->in.at[0]) {
	case 'P':
		p->flag = true;
		pg_hear_parse(p, p->in.at + 5);
		break;
	case 'B':
		pg_hear_bind(p, p->in.at + 5);
		break;
	case 'S':
		pg_answer(p);
		break;
	case 'X':
		liar_hang_up(p);
		break;
	default:
		break;
	}
	return len;
}

static void
pg_hear(struct liar_peer *p)
{
	size_t n;

	while (p->fd >= 0 && (n = p->stage == 0 ? pg_hear_start(p) : pg_hear_message(p)) > 0)
		buf_consume(&p->in, n);
}

/* ---- what is no answer ---- */

static const struct {
	const char *name;
	char type;
	struct span body;
} pg_lies[] = {
	{ "an error without SQLSTATE", 'E', SPAN("SERROR\0Mwrong\0\0") },
	{ "an error without anything", 'E', SPAN("\0") },
	{ "an error without its end", 'E', SPAN("SERROR") },
	{ "an empty error", 'E', SPAN("") },
	{ "65535 columns that do not follow", 'T', SPAN("\377\377") },
	{ "a description cut short", 'T', SPAN("\0\2" PG_COLUMN) },
	{ "a column's name without its NUL", 'T', SPAN("\0\1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") },
	{ "a description with more than it says", 'T', SPAN("\0\1" PG_COLUMN PG_COLUMN) },
	{ "a row before its description", 'D', SPAN("\0\1\0\0\0\1x") },
	{ "a command's end without its NUL", 'C', SPAN("SELECT 1") },
	{ "a type that does not exist", '?', SPAN("what") },
	{ "an authentication", 'R', SPAN("\0\0\0\0") },
	{ "a function's result", 'V', SPAN("\0\0\0\1x") },
	{ "a COPY in", 'G', SPAN("\0\0\1\0\0") },
	{ "a COPY out", 'H', SPAN("\0\0\1\0\0") },
	{ "a COPY of both", 'W', SPAN("\0\0\1\0\0") },
	{ "a COPY without its format", 'H', SPAN("") },
	{ "being ready too early", 'Z', SPAN("I") },
	{ "being ready in a state that does not exist", 'Z', SPAN("") },
	{ "a command's end too early", 'C', SPAN("SELECT 1\0") },
	{ "a NUL", '\0', SPAN("") },
};
const size_t pg_nlies = sizeof pg_lies / sizeof *pg_lies;

const char *
pg_put_lie(struct buf *b, size_t i)
{
	if (i >= pg_nlies)
		return NULL;
	pg_put(b, pg_lies[i].type, pg_lies[i].body);
	return pg_lies[i].name;
}

/* ---- its side of the play ---- */

void
pg_open(void)
{
	memset(&pg, 0, sizeof pg);
	strcpy(pg_dir, "/tmp/weft-liar-XXXXXX");
	must(mkdtemp(pg_dir) != NULL);
	snprintf(pg_path, sizeof pg_path, "%s/.s.PGSQL.5432", pg_dir);
	play.kit.loop = loop_new(NULL);
	must(play.kit.loop != NULL);
	play.liar = &pg_liar;
	pg.tls = SPAN("N");
	pg_put_start(&play.start);
	liar_open(&pg_liar, play.kit.loop, pg_path, pg_hear);
}

void
pg_listen_tcp(void)
{
	liar_close(&pg_liar);
	pg.port = liar_open_tcp(&pg_liar, play.kit.loop, pg_hear);
}

void
pg_close(void)
{
	liar_close(&pg_liar);
	/* A cancel's thread ends by itself. */
	for (int i = 0; i < 20; i++)
		loop_turn(play.kit.loop, USEC_PER_MSEC);
	loop_free(&play.kit.loop);
	rmdir(pg_dir);
}

const char *
pg_url(void)
{
	static char url[200];

	if (pg.port != 0)
		snprintf(url, sizeof url, "postgresql://u@127.0.0.1:%u/db?sslmode=require", pg.port);
	else
		snprintf(url, sizeof url, "postgresql:///db?user=u&host=%s", pg_dir);
	return url;
}
