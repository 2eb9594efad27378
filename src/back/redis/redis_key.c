/* SPDX-License-Identifier: ISC */
/*
 * The keys of a command, by a table of those whose only key is not their first argument.
 *
 * A command that is not in the table, as of a module, is taken to have one key, the first argument.  Where that is wrong no harm
 * is done: a node refuses what is not its own, or says whose it is.
 */
#include "back/redis/redis_key.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

static const char redis_key_several[] = "its keys are in several slots of the cluster; keys with the same {tag} are in one";
static const char redis_key_unsound[] = "the number of keys in the command makes no sense";

/* Sorted by name.  Positions count from the command's name, which is 0; one below zero from the end, where -1 is the last word. */
static const struct redis_key_rule {
	const char *name;
	signed char first, last, step;	/* keys stand there; first 0: there are none like that */
	signed char count;		/* there is the number of further keys, which follow it; 0: nowhere */
} redis_key_rules[] = {
	{ "ACL", 0, 0, 0, 0 },
	{ "BGREWRITEAOF", 0, 0, 0, 0 },
	{ "BGSAVE", 0, 0, 0, 0 },
	{ "BITOP", 2, -1, 1, 0 },
	{ "CLIENT", 0, 0, 0, 0 },
	{ "CLUSTER", 0, 0, 0, 0 },
	{ "COMMAND", 0, 0, 0, 0 },
	{ "CONFIG", 0, 0, 0, 0 },
	{ "COPY", 1, 2, 1, 0 },
	{ "DBSIZE", 0, 0, 0, 0 },
	{ "DEBUG", 2, 2, 1, 0 },
	{ "DEL", 1, -1, 1, 0 },
	{ "ECHO", 0, 0, 0, 0 },
	{ "EVAL", 0, 0, 0, 2 },
	{ "EVALSHA", 0, 0, 0, 2 },
	{ "EVALSHA_RO", 0, 0, 0, 2 },
	{ "EVAL_RO", 0, 0, 0, 2 },
	{ "EXISTS", 1, -1, 1, 0 },
	{ "FAILOVER", 0, 0, 0, 0 },
	{ "FCALL", 0, 0, 0, 2 },
	{ "FCALL_RO", 0, 0, 0, 2 },
	{ "FLUSHALL", 0, 0, 0, 0 },
	{ "FLUSHDB", 0, 0, 0, 0 },
	{ "FUNCTION", 0, 0, 0, 0 },
	{ "GEOSEARCHSTORE", 1, 2, 1, 0 },
	{ "INFO", 0, 0, 0, 0 },
	{ "KEYS", 0, 0, 0, 0 },
	{ "LASTSAVE", 0, 0, 0, 0 },
	{ "LATENCY", 0, 0, 0, 0 },
	{ "LCS", 1, 2, 1, 0 },
	{ "LMOVE", 1, 2, 1, 0 },
	{ "LMPOP", 0, 0, 0, 1 },
	{ "LOLWUT", 0, 0, 0, 0 },
	{ "MEMORY", 2, 2, 1, 0 },
	{ "MGET", 1, -1, 1, 0 },
	{ "MIGRATE", 3, 3, 1, 0 },
	{ "MODULE", 0, 0, 0, 0 },
	{ "MSET", 1, -1, 2, 0 },
	{ "MSETNX", 1, -1, 2, 0 },
	{ "OBJECT", 2, 2, 1, 0 },
	{ "PFCOUNT", 1, -1, 1, 0 },
	{ "PFMERGE", 1, -1, 1, 0 },
	{ "PING", 0, 0, 0, 0 },
	{ "PUBLISH", 0, 0, 0, 0 },
	{ "PUBSUB", 0, 0, 0, 0 },
	{ "RANDOMKEY", 0, 0, 0, 0 },
	{ "RENAME", 1, 2, 1, 0 },
	{ "RENAMENX", 1, 2, 1, 0 },
	{ "REPLICAOF", 0, 0, 0, 0 },
	{ "ROLE", 0, 0, 0, 0 },
	{ "RPOPLPUSH", 1, 2, 1, 0 },
	{ "SAVE", 0, 0, 0, 0 },
	{ "SCAN", 0, 0, 0, 0 },
	{ "SCRIPT", 0, 0, 0, 0 },
	{ "SDIFF", 1, -1, 1, 0 },
	{ "SDIFFSTORE", 1, -1, 1, 0 },
	{ "SHUTDOWN", 0, 0, 0, 0 },
	{ "SINTER", 1, -1, 1, 0 },
	{ "SINTERCARD", 0, 0, 0, 1 },
	{ "SINTERSTORE", 1, -1, 1, 0 },
	{ "SLAVEOF", 0, 0, 0, 0 },
	{ "SLOWLOG", 0, 0, 0, 0 },
	{ "SMOVE", 1, 2, 1, 0 },
	{ "SUNION", 1, -1, 1, 0 },
	{ "SUNIONSTORE", 1, -1, 1, 0 },
	{ "SWAPDB", 0, 0, 0, 0 },
	{ "TIME", 0, 0, 0, 0 },
	{ "TOUCH", 1, -1, 1, 0 },
	{ "UNLINK", 1, -1, 1, 0 },
	{ "XGROUP", 2, 2, 1, 0 },
	{ "XINFO", 2, 2, 1, 0 },
	{ "ZDIFF", 0, 0, 0, 1 },
	{ "ZDIFFSTORE", 1, 1, 1, 2 },
	{ "ZINTER", 0, 0, 0, 1 },
	{ "ZINTERCARD", 0, 0, 0, 1 },
	{ "ZINTERSTORE", 1, 1, 1, 2 },
	{ "ZMPOP", 0, 0, 0, 1 },
	{ "ZRANGESTORE", 1, 2, 1, 0 },
	{ "ZUNION", 0, 0, 0, 1 },
	{ "ZUNIONSTORE", 1, 1, 1, 2 },
};
static const struct redis_key_rule redis_key_usual = { "", 1, 1, 1, 0 };

/* ---- slots ---- */

/* CRC16 with the polynomial 0x1021, as XMODEM has it; half a byte at a time. */
static uint16_t
redis_key_crc(struct span s)
{
	static const uint16_t table[16] = { 0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a,
		0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef };
	unsigned crc = 0;

	for (size_t i = 0; i < s.len; i++) {
		unsigned c = (unsigned char)s.at[i];

		crc = (crc << 4 & 0xffff) ^ table[(crc >> 12 ^ c >> 4) & 15];
		crc = (crc << 4 & 0xffff) ^ table[(crc >> 12 ^ c) & 15];
	}
	return (uint16_t)crc;
}

unsigned
redis_key_slot(struct span key)
{
	const char *open = key.len == 0 ? NULL : memchr(key.at, '{', key.len), *end;

	if (open != NULL) {
		end = memchr(open + 1, '}', key.len - (size_t)(open + 1 - key.at));
		if (end != NULL && end > open + 1)
			key = (struct span){ open + 1, (size_t)(end - open - 1) };
	}
	return redis_key_crc(key) % REDIS_SLOTS;
}

/* ---- words ---- */

/* The number of "*3\r\n" or "$12\r\n", which is taken. */
static size_t
redis_key_take_number(struct span *in)
{
	size_t n = 0, at = 1;

	for (; at < in->len && in->at[at] >= '0' && in->at[at] <= '9'; at++)
		n = n * 10 + (size_t)(in->at[at] - '0');
	*in = span_skip(*in, at + 2 <= in->len ? at + 2 : in->len);
	return n;
}

static struct span
redis_key_take_word(struct span *in)
{
	size_t n = redis_key_take_number(in);
	struct span word = { in->at, n <= in->len ? n : in->len };

	*in = span_skip(*in, n + 2 <= in->len ? n + 2 : in->len);
	return word;
}

static bool
redis_key_word_is(struct span word, const char *name)
{
	return strlen(name) == word.len && strncasecmp(word.at, name, word.len) == 0;
}

static const struct redis_key_rule *
redis_key_rule_find(struct span name)
{
	char first = (char)(name.len == 0 ? 0 : name.at[0] & ~0x20);

	for (size_t i = 0; i < sizeof redis_key_rules / sizeof *redis_key_rules && redis_key_rules[i].name[0] <= first; i++)
		if (redis_key_rules[i].name[0] == first && redis_key_word_is(name, redis_key_rules[i].name))
			return &redis_key_rules[i];
	return &redis_key_usual;
}

/* ---- a command ---- */

/* Put a key's slot together with those before it.  Returns false when they are several. */
static bool
redis_key_join(int *slot, struct span key)
{
	int its = (int)redis_key_slot(key);

	if (*slot != REDIS_NO_SLOT && *slot != its)
		return false;
	*slot = its;
	return true;
}

/* "3": so many; false where it is no number, or larger than most. */
static bool
redis_key_read_count(struct span word, size_t most, size_t *out)
{
	*out = 0;
	for (size_t i = 0; i < word.len; i++) {
		if (word.at[i] < '0' || word.at[i] > '9' || *out > most)
			return false;
		*out = *out * 10 + (size_t)(word.at[i] - '0');
	}
	return word.len > 0 && *out <= most;
}

/*
 * XREAD and XREADGROUP: half of what stands behind STREAMS.  What stands before is no key, so it may be looked through; but a
 * group and a consumer may have that name.
 */
static enum weft_rc
redis_key_find_streams(struct span in, size_t words, int *slot, const char **why)
{
	size_t i = 1;
	int names = 0;

	while (i < words) {
		struct span word = redis_key_take_word(&in);

		i++;
		if (names-- > 0)
			continue;
		names = redis_key_word_is(word, "GROUP") ? 2 : 0;
		if (redis_key_word_is(word, "STREAMS"))
			break;
	}
	for (size_t keys = (words - i) / 2; keys > 0; keys--)
		if (!redis_key_join(slot, redis_key_take_word(&in))) {
			*why = redis_key_several;
			return WEFT_INVALID;
		}
	return WEFT_OK;
}

static enum weft_rc
redis_key_find_by(const struct redis_key_rule *rule, struct span in, size_t words, int *slot, const char **why)
{
	size_t last = rule->last < 0 ? words - (size_t)-rule->last : (size_t)rule->last, from = 0, count = 0;

	for (size_t i = 1; i < words; i++) {
		struct span word = redis_key_take_word(&in);
		bool is_key = rule->first > 0 && i >= (size_t)rule->first && i <= last &&
		    (i - (size_t)rule->first) % (size_t)rule->step == 0;

		if (rule->count > 0 && i == (size_t)rule->count) {
			from = i + 1;
			if (!redis_key_read_count(word, words - from, &count)) {
				*why = redis_key_unsound;
				return WEFT_INVALID;
			}
		}
		is_key |= from > 0 && i >= from && i < from + count;
		if (is_key && !redis_key_join(slot, word)) {
			*why = redis_key_several;
			return WEFT_INVALID;
		}
	}
	return WEFT_OK;
}

enum weft_rc
redis_key_find(struct span command, int *slot, const char **why)
{
	size_t words = redis_key_take_number(&command);
	struct span name = redis_key_take_word(&command);

	*slot = REDIS_NO_SLOT;
	if (redis_key_word_is(name, "XREAD") || redis_key_word_is(name, "XREADGROUP"))
		return redis_key_find_streams(command, words, slot, why);
	return redis_key_find_by(redis_key_rule_find(name), command, words, slot, why);
}
