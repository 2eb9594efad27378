/* SPDX-License-Identifier: ISC */
#include "tests/unit/back_liar_mariadb.h"

/* The library asks for as much memory as the server says it needs; ASan takes a refusal for a bug, unless it is told not to. */
#ifdef __SANITIZE_ADDRESS__
const char *__asan_default_options(void) __attribute__((visibility("default")));

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}
#endif

struct liar_mariadb my;

static struct liar my_liar;
static char my_dir[64], my_path[96];

const struct my_lie my_lies[] = {
	{ "an empty packet", SPAN("") },
	{ "an OK without anything", SPAN("\0") },
	{ "an OK cut short", SPAN("\0\0\0\2") },
	{ "an OK with a length of 8 bytes that do not follow", SPAN("\0\376") },
	{ "an OK with rows of 2^64-1 and no more", SPAN("\0\376\377\377\377\377\377\377\377\377") },
	{ "a column count of 8 bytes that do not follow", SPAN("\376\377\377\377") },
	{ "2^64-1 columns", SPAN("\376\377\377\377\377\377\377\377\377") },
	{ "65536 columns", SPAN("\375\0\0\1") },
	{ "a column count of 2 bytes that do not follow", SPAN("\374") },
	{ "an end of rows", SPAN(MY_EOF) },
	{ "half an error", SPAN("\377\1") },
	{ "a request for a file", SPAN("\373/etc/passwd") },
	{ "a request for a file without a name", SPAN("\373") },
};
const size_t my_nlies = sizeof my_lies / sizeof *my_lies;

/* ---- the protocol ---- */

void
my_put_head(struct buf *b, size_t len, unsigned seq)
{
	char head[4] = { (char)len, (char)(len >> 8), (char)(len >> 16), (char)seq };

	must(buf_add(b, (struct span){ head, 4 }) == WEFT_OK);
}

void
my_put(struct buf *b, unsigned seq, struct span body)
{
	my_put_head(b, body.len, seq);
	must(buf_add(b, body) == WEFT_OK);
}

void
my_put_error(struct buf *b, unsigned seq, unsigned code)
{
	char body[] = "\377..#HY000wrong";

	body[1] = (char)code;
	body[2] = (char)(code >> 8);
	my_put(b, seq, (struct span){ body, sizeof body - 1 });
}

void
my_put_greeting(struct buf *b, bool tls)
{
	char body[] = "\12" "5.5.5-10.11.0-MariaDB\0" "\1\0\0\0" "abcdefgh\0" "\376\367" "\55" "\2\0" "\377\240" "\25"
	    "\0\0\0\0\0\0" "\0\0\0\0" "abcdefghijkl\0" "mysql_native_password";

	if (tls)
		body[1 + 22 + 4 + 9 + 1] |= 0x08;
	my_put(b, 0, (struct span){ body, sizeof body });
}

void
my_put_column_and_row(struct buf *b, struct span row)
{
	my_put(b, 1, SPAN("\1"));
	my_put(b, 2, SPAN(MY_COLUMN));
	my_put(b, 3, SPAN(MY_EOF));
	my_put(b, 4, row);
	my_put(b, 5, SPAN(MY_EOF));
}

void
my_put_answer(struct buf *b, const char *tag)
{
	char row[80] = { 0, 0, (char)strlen(tag) };

	memcpy(row + 3, tag, strlen(tag));
	my_put_column_and_row(b, (struct span){ row, 3 + strlen(tag) });
}

void
my_put_prepared(struct buf *b)
{
	my_put(b, 1, SPAN("\0\7\0\0\0\1\0\1\0\0\0\0"));
	my_put(b, 2, SPAN(MY_COLUMN));
	my_put(b, 3, SPAN(MY_EOF));
	my_put(b, 4, SPAN(MY_COLUMN));
	my_put(b, 5, SPAN(MY_EOF));
}

/* What it takes at once, and who it is. */
static void
my_put_identity(struct buf *b)
{
	char row[64] = "\10" "16777216", *at = row + 9;

	*at = (char)strlen(my.identity);
	strcpy(at + 1, my.identity);
	my_put(b, 1, SPAN("\2"));
	my_put(b, 2, SPAN(MY_COLUMN));
	my_put(b, 3, SPAN(MY_COLUMN));
	my_put(b, 4, SPAN(MY_EOF));
	my_put(b, 5, (struct span){ row, 10 + strlen(my.identity) });
	my_put(b, 6, SPAN(MY_EOF));
}

/* ---- the server ---- */

static void
my_lie(struct liar_peer *p)
{
	play_tell(p);
	liar_say(p, buf_span(&play.lie));
}

/* Say what was put in b, or the lie that is due with this command. */
static void
my_answer(struct liar_peer *p, char when, struct buf *b)
{
	if (my.when == when && (when != 'X' || strcmp(p->tag, "lie") == 0))
		my_lie(p);
	else
		liar_say(p, buf_span(b));
}

/* The first parameter, a string, is behind id, flags, count, NULLs, a flag and its type. */
static void
my_hear_execute(struct liar_peer *p, struct span s, struct buf *b)
{
	size_t at = 1 + 4 + 1 + 4 + 1 + 1 + 2, len = s.len > at ? (unsigned char)s.at[at] : 0;

	my.executed++;
	snprintf(p->tag, sizeof p->tag, "%.*s", (int)len, s.at + at + 1);
	if (my.lost > 0) {
		my.lost--;
		my_put_error(b, 1, my.lost_code);
	} else {
		my_put_answer(b, p->tag);
	}
	my_answer(p, 'X', b);
}

/* What begins and ends a transaction, and what asks how it is. */
static bool
my_hear_transaction(struct liar_peer *p, struct span s, struct buf *b)
{
	static const char *const words[] = { "BEGIN", "DO 0", "ROLLBACK" };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (s.len != 1 + strlen(words[i]) || memcmp(s.at + 1, words[i], s.len - 1) != 0)
			continue;
		my.begun = i == 0 || (i == 1 && my.begun);
		my_put(b, 1, my.begun ? SPAN("\0\0\0\3\0\0\0") : SPAN(MY_OK));
		my_answer(p, "BLR"[i], b);
		return true;
	}
	return false;
}

static void
my_hear_query(struct liar_peer *p, struct span s, struct buf *b)
{
	if (my_hear_transaction(p, s, b))
		return;
	if (s.len > 4 && memcmp(s.at + 1, "KILL", 4) == 0)
		my.killed++;
	if (s.len > 9 && memcmp(s.at + 1, "SELECT @@", 9) == 0) {
		my_put_identity(b);
		my_answer(p, 'I', b);
	} else {
		my_put(b, 1, SPAN(MY_OK));
		my_answer(p, 'S', b);
	}
}

static void
my_hear_command(struct liar_peer *p, struct span s)
{
	struct buf b;

	buf_init(&b, 8 << 20);
	switch (s.len == 0 ? 0 : s.at[0]) {
	case 1:
		liar_hang_up(p);
		break;
	case 3:
		my_hear_query(p, s, &b);
		break;
	case 0x16:
		my.prepared++;
		my_put_prepared(&b);
		my_answer(p, 'P', &b);
		break;
	case 0x17:
		my_hear_execute(p, s, &b);
		break;
	case 2:
	case 0x0e:
	case 0x1f:
		my_put(&b, 1, SPAN(MY_OK));
		my_answer(p, s.at[0] == 2 ? 'D' : s.at[0] == 0x0e ? 'N' : 'Z', &b);
		break;
	default:
		break;	/* 0x19, a statement is forgotten; an empty packet, that is no file */
	}
	buf_fini(&b);
}

static void
my_hear(struct liar_peer *p)
{
	size_t len;

	must(memmem(p->in.at, p->in.len, "root:", 5) == NULL);
	must(memmem(p->in.at, p->in.len, MY_PASSWORD, strlen(MY_PASSWORD)) == NULL);
	while (p->fd >= 0 && p->in.len >= 4) {
		const unsigned char *at = (const unsigned char *)p->in.at;

		len = at[0] | (size_t)at[1] << 8 | (size_t)at[2] << 16;
		if (p->in.len < 4 + len)
			return;
		if (p->stage == 0) {
			p->stage = 1;
			liar_say(p, buf_span(&my.welcome));
		} else {
			my_hear_command(p, (struct span){ p->in.at + 4, len });
		}
		buf_consume(&p->in, 4 + len);
	}
}

static void
my_greet(struct liar_peer *p)
{
	p->last = play.last && play.connect_timeout != 0;
	liar_say(p, buf_span(&play.start));
}

/* ---- its side of the play ---- */

void
my_open(void)
{
	memset(&my, 0, sizeof my);
	strcpy(my_dir, "/tmp/weft-liar-XXXXXX");
	must(mkdtemp(my_dir) != NULL);
	snprintf(my_path, sizeof my_path, "%s/s", my_dir);
	play.kit.loop = loop_new(NULL);
	must(play.kit.loop != NULL);
	play.liar = &my_liar;
	my.identity = "liar 3306 1";
	my.when = 'X';
	buf_init(&my.welcome, 1 << 20);
	my_put_greeting(&play.start, false);
	my_put(&my.welcome, 2, SPAN(MY_OK));
	liar_open(&my_liar, play.kit.loop, my_path, my_hear);
	my_liar.greet = my_greet;
}

void
my_listen_tcp(void)
{
	liar_close(&my_liar);
	my.port = liar_open_tcp(&my_liar, play.kit.loop, my_hear);
	my_liar.greet = my_greet;
}

void
my_close(void)
{
	liar_close(&my_liar);
	loop_free(&play.kit.loop);
	buf_fini(&my.welcome);
	rmdir(my_dir);
}

const char *
my_url(void)
{
	static char url[200];

	if (my.port != 0)
		snprintf(url, sizeof url, "mariadb://u:" MY_PASSWORD "@127.0.0.1:%u/db?tls=on", my.port);
	else
		snprintf(url, sizeof url, "mariadb://u:" MY_PASSWORD "@/db?socket=%s", my_path);
	return url;
}

void
my_play_close(void)
{
	play_close();
	my.when = 'X';
}
