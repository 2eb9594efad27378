/* SPDX-License-Identifier: ISC */
/*
 * Which commands may go down a connection that all requests share, and which down one that is lent.
 *
 * Not down a shared one: those that hold up everybody behind them, those that change the
 * connection for everybody, and those whose replies are not one for one.  The last may not go down a lent one either, nor
 * may those that would make it another user's, or end it.  The bytes are checked
 * to be exactly one command too: two in one would shift every later reply by one.
 */
#include "back/redis/reply.h"

#include <strings.h>

static const char redis_blocks[] = "the command may block, and the connection is shared with other requests: use weft_lend";
static const char redis_changes[] = "the command changes the connection, which is shared with other requests: use weft_lend";
static const char redis_streams[] = "the command is answered more than once, and the connection is shared";

/* On one that is lent. */
static const char redis_unanswered[] = "the command is not answered once, as the connection's next borrower would find out";
static const char redis_logs_in[] = "the command changes the user or the protocol of the connection, which its pool's URL says";
static const char redis_ends[] = "the command ends the connection: give it back instead";
static const char redis_unsound[] = "the bytes are not one whole command";

/* Sorted by name.  An option, where there is one, is what makes the command unfit. */
static const struct redis_rule {
	const char *name;
	const char *option;
	const char *why;		/* down one that is shared */
	enum redis_effect effect;
	const char *never;		/* nor down one that is lent; NULL: it may */
} redis_rules[] = {
	{ "ASKING", NULL, redis_changes, REDIS_SPOILS, NULL },
	{ "AUTH", NULL, redis_changes, REDIS_SPOILS, redis_logs_in },
	{ "BLMOVE", NULL, redis_blocks, REDIS_WAITS, NULL },
	{ "BLMPOP", NULL, redis_blocks, REDIS_WAITS, NULL },
	{ "BLPOP", NULL, redis_blocks, REDIS_WAITS, NULL },
	{ "BRPOP", NULL, redis_blocks, REDIS_WAITS, NULL },
	{ "BRPOPLPUSH", NULL, redis_blocks, REDIS_WAITS, NULL },
	{ "BZMPOP", NULL, redis_blocks, REDIS_WAITS, NULL },
	{ "BZPOPMAX", NULL, redis_blocks, REDIS_WAITS, NULL },
	{ "BZPOPMIN", NULL, redis_blocks, REDIS_WAITS, NULL },
	{ "CLIENT", "CACHING", redis_changes, REDIS_SPOILS, NULL },
	{ "CLIENT", "NO-EVICT", redis_changes, REDIS_SPOILS, NULL },
	{ "CLIENT", "NO-TOUCH", redis_changes, REDIS_SPOILS, NULL },
	{ "CLIENT", "REPLY", redis_changes, REDIS_SPOILS, redis_unanswered },
	{ "CLIENT", "TRACKING", redis_changes, REDIS_SPOILS, NULL },
	{ "DISCARD", NULL, redis_changes, REDIS_EXECUTES, NULL },
	{ "EXEC", NULL, redis_changes, REDIS_EXECUTES, NULL },
	{ "HELLO", NULL, redis_changes, REDIS_SPOILS, redis_logs_in },
	{ "MONITOR", NULL, redis_streams, REDIS_SPOILS, redis_unanswered },
	{ "MULTI", NULL, redis_changes, REDIS_BEGINS, NULL },
	{ "PSUBSCRIBE", NULL, redis_streams, REDIS_SPOILS, redis_unanswered },
	{ "PSYNC", NULL, redis_streams, REDIS_SPOILS, redis_unanswered },
	{ "PUNSUBSCRIBE", NULL, redis_streams, REDIS_SPOILS, redis_unanswered },
	{ "QUIT", NULL, redis_changes, REDIS_SPOILS, redis_ends },
	{ "READONLY", NULL, redis_changes, REDIS_SPOILS, NULL },
	{ "READWRITE", NULL, redis_changes, REDIS_SPOILS, NULL },
	{ "REPLCONF", NULL, redis_changes, REDIS_SPOILS, redis_unanswered },
	{ "RESET", NULL, redis_changes, REDIS_SPOILS, redis_ends },
	{ "SCRIPT", "DEBUG", redis_changes, REDIS_SPOILS, redis_unanswered },
	{ "SELECT", NULL, redis_changes, REDIS_MOVES, NULL },
	{ "SSUBSCRIBE", NULL, redis_streams, REDIS_SPOILS, redis_unanswered },
	{ "SUBSCRIBE", NULL, redis_streams, REDIS_SPOILS, redis_unanswered },
	{ "SUNSUBSCRIBE", NULL, redis_streams, REDIS_SPOILS, redis_unanswered },
	{ "SYNC", NULL, redis_streams, REDIS_SPOILS, redis_unanswered },
	{ "UNSUBSCRIBE", NULL, redis_streams, REDIS_SPOILS, redis_unanswered },
	{ "UNWATCH", NULL, redis_changes, REDIS_UNWATCHES, NULL },
	{ "WAIT", NULL, redis_blocks, REDIS_WAITS, NULL },
	{ "WAITAOF", NULL, redis_blocks, REDIS_WAITS, NULL },
	{ "WATCH", NULL, redis_changes, REDIS_WATCHES, NULL },
	{ "XREAD", "BLOCK", redis_blocks, REDIS_WAITS, NULL },
	{ "XREADGROUP", "BLOCK", redis_blocks, REDIS_WAITS, NULL },
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

/* The rule of this name for an option, or NULL. */
static const struct redis_rule *
redis_rule_option(const struct redis_rule *rule, struct span word)
{
	const char *name = rule->name;

	for (; rule < redis_rules + REDIS_RULES && strcmp(rule->name, name) == 0; rule++)
		if (redis_word_is(word, rule->option))
			return rule;
	return NULL;
}

/* Read what should be one command.  Returns whether it is; the rule for it, or NULL, is put in *found. */
static inline bool
redis_command_read(struct span in, const struct redis_rule **found)
{
	const struct redis_rule *rule;
	struct span word;
	size_t words;
	int names = 0;		/* of a group and a consumer, which may be anything, are still to come */

	*found = NULL;
	if (!redis_take_head(&in, '*', &words) || words == 0 || !redis_take_word(&in, &word) || word.len == 0)
		return false;
	rule = redis_rule_find(word);
	if (rule != NULL && rule->option == NULL) {
		*found = rule;
		rule = NULL;
	}
	while (--words > 0) {
		if (!redis_take_word(&in, &word))
			return false;
		if (rule == NULL || names-- > 0)
			continue;
		names = rule->name[0] == 'X' && redis_word_is(word, "GROUP") ? 2 : 0;
		*found = redis_rule_option(rule, word);
		/* Options of XREAD end at STREAMS, behind which a key may have any name; a subcommand comes first. */
		if (*found != NULL || rule->name[0] != 'X' || redis_word_is(word, "STREAMS"))
			rule = NULL;
	}
	return in.len == 0;
}

enum weft_rc
redis_command_check(struct span command, const char **why)
{
	const struct redis_rule *rule;

	*why = redis_unsound;
	if (!redis_command_read(command, &rule))
		return WEFT_INVALID;
	if (rule == NULL)
		return WEFT_OK;
	*why = rule->why;
	return WEFT_INVALID;
}

enum weft_rc
redis_command_look(struct span command, enum redis_effect *effect, const char **why)
{
	const struct redis_rule *rule;

	*why = redis_unsound;
	if (!redis_command_read(command, &rule))
		return WEFT_INVALID;
	*effect = rule == NULL ? REDIS_PLAIN : rule->effect;
	if (rule == NULL || rule->never == NULL)
		return WEFT_OK;
	*why = rule->never;
	return WEFT_INVALID;
}
