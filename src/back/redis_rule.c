/* SPDX-License-Identifier: ISC */
/*
 * Which commands may go down a connection that all requests share.
 *
 * Not those that hold up everybody behind them, nor those that change the
 * connection for everybody, nor those whose replies are not one for one.  The bytes are checked
 * to be exactly one command too: two in one would shift every later reply by one.
 */
#include "back/reply.h"

#include <strings.h>

static const char redis_blocks[] = "the command may block, and the connection is shared with other requests";
static const char redis_changes[] = "the command changes the connection, which is shared with other requests";
static const char redis_streams[] = "the command is answered more than once, and the connection is shared";
static const char redis_unsound[] = "the bytes are not one whole command";

/* Sorted by name.  An option, where there is one, is what makes the command unfit. */
static const struct redis_rule {
	const char *name;
	const char *option;
	const char *why;
} redis_rules[] = {
	{ "ASKING", NULL, redis_changes },
	{ "AUTH", NULL, redis_changes },
	{ "BLMOVE", NULL, redis_blocks },
	{ "BLMPOP", NULL, redis_blocks },
	{ "BLPOP", NULL, redis_blocks },
	{ "BRPOP", NULL, redis_blocks },
	{ "BRPOPLPUSH", NULL, redis_blocks },
	{ "BZMPOP", NULL, redis_blocks },
	{ "BZPOPMAX", NULL, redis_blocks },
	{ "BZPOPMIN", NULL, redis_blocks },
	{ "CLIENT", "CACHING", redis_changes },
	{ "CLIENT", "REPLY", redis_changes },
	{ "CLIENT", "TRACKING", redis_changes },
	{ "DISCARD", NULL, redis_changes },
	{ "EXEC", NULL, redis_changes },
	{ "HELLO", NULL, redis_changes },
	{ "MONITOR", NULL, redis_streams },
	{ "MULTI", NULL, redis_changes },
	{ "PSUBSCRIBE", NULL, redis_streams },
	{ "PSYNC", NULL, redis_streams },
	{ "PUNSUBSCRIBE", NULL, redis_streams },
	{ "QUIT", NULL, redis_changes },
	{ "READONLY", NULL, redis_changes },
	{ "READWRITE", NULL, redis_changes },
	{ "REPLCONF", NULL, redis_changes },
	{ "RESET", NULL, redis_changes },
	{ "SCRIPT", "DEBUG", redis_changes },
	{ "SELECT", NULL, redis_changes },
	{ "SSUBSCRIBE", NULL, redis_streams },
	{ "SUBSCRIBE", NULL, redis_streams },
	{ "SUNSUBSCRIBE", NULL, redis_streams },
	{ "SYNC", NULL, redis_streams },
	{ "UNSUBSCRIBE", NULL, redis_streams },
	{ "UNWATCH", NULL, redis_changes },
	{ "WAIT", NULL, redis_blocks },
	{ "WAITAOF", NULL, redis_blocks },
	{ "WATCH", NULL, redis_changes },
	{ "XREAD", "BLOCK", redis_blocks },
	{ "XREADGROUP", "BLOCK", redis_blocks },
};

enum { REDIS_RULES = sizeof redis_rules / sizeof *redis_rules };

/* Consume "*3\r\n" or "$12\r\n".  Redis takes no number with a zero in front. */
static bool
redis_take_head(struct span *in, char kind, size_t *n)
{
	size_t at = 1, value = 0;

	if (in->len < 4 || in->at[0] != kind)
		return false;
	/* Most are so short. */
	if (in->at[1] >= '0' && in->at[1] <= '9' && in->at[2] == '\r' && in->at[3] == '\n') {
		*n = (size_t)(in->at[1] - '0');
		*in = span_skip(*in, 4);
		return true;
	}
	for (; at < in->len && in->at[at] >= '0' && in->at[at] <= '9'; at++) {
		if (value > in->len)
			return false;
		value = value * 10 + (size_t)(in->at[at] - '0');
	}
	if (at == 1 || (at > 2 && in->at[1] == '0') || in->len - at < 2 || in->at[at] != '\r' || in->at[at + 1] != '\n')
		return false;
	*in = span_skip(*in, at + 2);
	*n = value;
	return true;
}

static bool
redis_take_word(struct span *in, struct span *word)
{
	size_t n;

	if (!redis_take_head(in, '$', &n) || n > in->len || in->len - n < 2)
		return false;
	if (in->at[n] != '\r' || in->at[n + 1] != '\n')
		return false;
	*word = (struct span){ in->at, n };
	*in = span_skip(*in, n + 2);
	return true;
}

static bool
redis_word_is(struct span word, const char *name)
{
	return strlen(name) == word.len && strncasecmp(word.at, name, word.len) == 0;
}

/* The first letters of the names above.  GET, INCR, LPUSH and most others need no further look. */
#define REDIS_LETTER(c) (1u << ((c) - 'A'))
static const unsigned redis_letters = REDIS_LETTER('A') | REDIS_LETTER('B') | REDIS_LETTER('C') | REDIS_LETTER('D') |
    REDIS_LETTER('E') | REDIS_LETTER('H') | REDIS_LETTER('M') | REDIS_LETTER('P') | REDIS_LETTER('Q') |
    REDIS_LETTER('R') | REDIS_LETTER('S') | REDIS_LETTER('U') | REDIS_LETTER('W') | REDIS_LETTER('X');

/* The first rule for this name, or NULL. */
static const struct redis_rule *
redis_rule_find(struct span name)
{
	char first = (char)(name.at[0] & ~0x20);

	if (first < 'A' || first > 'Z' || !(redis_letters & REDIS_LETTER(first)))
		return NULL;
	for (size_t i = 0; i < REDIS_RULES && redis_rules[i].name[0] <= first; i++)
		if (redis_rules[i].name[0] == first && redis_word_is(name, redis_rules[i].name))
			return &redis_rules[i];
	return NULL;
}

static const char *
redis_rule_option(const struct redis_rule *rule, struct span word)
{
	const char *name = rule->name;

	for (; rule < redis_rules + REDIS_RULES && strcmp(rule->name, name) == 0; rule++)
		if (redis_word_is(word, rule->option))
			return rule->why;
	return NULL;
}

enum weft_rc
redis_command_check(struct span in, const char **why)
{
	const struct redis_rule *rule;
	struct span word;
	size_t words;

	*why = redis_unsound;
	if (!redis_take_head(&in, '*', &words) || words == 0 || !redis_take_word(&in, &word) || word.len == 0)
		return WEFT_INVALID;
	rule = redis_rule_find(word);
	if (rule != NULL && rule->option == NULL) {
		*why = rule->why;
		return WEFT_INVALID;
	}
	while (--words > 0) {
		const char *bad;

		if (!redis_take_word(&in, &word))
			return WEFT_INVALID;
		bad = rule == NULL ? NULL : redis_rule_option(rule, word);
		if (bad != NULL) {
			*why = bad;
			return WEFT_INVALID;
		}
		/* Options of XREAD end at STREAMS, behind which a key may have any name; a subcommand comes first. */
		if (rule != NULL && (rule->name[0] != 'X' || redis_word_is(word, "STREAMS")))
			rule = NULL;
	}
	return in.len == 0 ? WEFT_OK : WEFT_INVALID;
}
