/* SPDX-License-Identifier: ISC */
#include "server/quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/url.h"
#include "base/must.h"
#include "loop/loop.h"

/* How long one that was asked has before another is asked too. */
#define QUOTA_PATIENCE (100 * USEC_PER_MSEC)

struct quota {
	const struct quota_ops *ops;
	struct loop *loop;
	struct timer *timer;
	usec armed;			/* when it fires */
	unsigned long long grants;
	LIST_HEAD(, quota_pool) pools;
};

struct quota_pool {
	struct quota *quota;
	char name[64];
	char place[768];		/* its URL without the password, which may change */
	unsigned users;
	unsigned max;
	unsigned held;			/* by all its parts */
	unsigned asked;			/* of these, to be given back */
	unsigned wanting;		/* parts that want one */
	unsigned settling;		/* of workers that have ended … */
	usec settled_at;		/* … until then */
	TAILQ_HEAD(quota_parts, quota_part) parts;	/* the newest first */
	struct quota_parts wants;			/* first come, first served */
	LIST_ENTRY(quota_pool) link;
};

struct quota *
quota_new(struct loop *l, const struct quota_ops *ops)
{
	struct quota *q = calloc(1, sizeof *q);

	if (q == NULL)
		return NULL;
	q->ops = ops;
	q->loop = l;
	q->armed = CLOCK_NEVER;
	q->timer = timer_new(l, quota_on_timer, q);
	if (q->timer == NULL) {
		free(q);
		return NULL;
	}
	LIST_INIT(&q->pools);
	return q;
}

void
quota_free(struct quota **qp)
{
	struct quota *q = *qp;

	*qp = NULL;
	if (q == NULL)
		return;
	must(LIST_EMPTY(&q->pools));
	timer_free(&q->timer);
	free(q);
}

/* ---- pools ---- */

struct quota_pool *
quota_open(struct quota *q, const char *name, const char *url)
{
	char why[160], place[sizeof((struct quota_pool *)0)->place];
	struct quota_pool *p;
	struct back_url parsed;

	/* One that cannot be read is refused elsewhere. */
	place[0] = '\0';
	if (back_url_parse(url, &parsed, why, sizeof why) == WEFT_OK)
		back_url_describe(&parsed, place, sizeof place);
	explicit_bzero(&parsed, sizeof parsed);
	LIST_FOREACH(p, &q->pools, link)
		if (strcmp(p->name, name) == 0 && strcmp(p->place, place) == 0) {
			p->users++;
			return p;
		}
	p = calloc(1, sizeof *p);
	if (p == NULL)
		return NULL;
	p->quota = q;
	p->users = 1;
	snprintf(p->name, sizeof p->name, "%s", name);
	snprintf(p->place, sizeof p->place, "%s", place);
	TAILQ_INIT(&p->parts);
	TAILQ_INIT(&p->wants);
	LIST_INSERT_HEAD(&q->pools, p, link);
	return p;
}

void
quota_close(struct quota_pool **pp)
{
	struct quota_pool *p = *pp;

	*pp = NULL;
	if (p == NULL || --p->users > 0)
		return;
	must(TAILQ_EMPTY(&p->parts));
	LIST_REMOVE(p, link);
	free(p);
}

/* ---- dealing out ---- */

static unsigned
quota_free_permits(const struct quota_pool *p)
{
	unsigned out = p->held + p->settling;

	return p->max > out ? p->max - out : 0;
}

static void
quota_want_no_more(struct quota_part *part)
{
	if (!part->wants)
		return;
	part->wants = false;
	part->pool->wanting--;
	TAILQ_REMOVE(&part->pool->wants, part, want);
}

/* In the books only. */
static void
quota_hand(struct quota_part *part, unsigned n)
{
	quota_want_no_more(part);
	part->held += n;
	part->pool->held += n;
	part->since = ++part->pool->quota->grants;
}

static void
quota_grant(struct quota_part *part, unsigned n)
{
	if (n == 0)
		return;
	quota_hand(part, n);
	part->pool->quota->ops->grant(part, n);
}

static unsigned
quota_kept(const struct quota_part *part)
{
	return part->held - part->asked;
}

/* Whose turn it is to give one back: who has most; of several, who has had it for longest.  Those that drain do so unasked. */
static struct quota_part *
quota_richest(const struct quota_pool *p)
{
	struct quota_part *part, *richest = NULL;

	TAILQ_FOREACH(part, &p->parts, link) {
		if (part->drains || quota_kept(part) == 0)
			continue;
		if (richest == NULL || quota_kept(part) > quota_kept(richest) ||
		    (quota_kept(part) == quota_kept(richest) && part->since < richest->since))
			richest = part;
	}
	return richest;
}

/* Ask one back.  Returns false when nobody has any that he was not asked for. */
static bool
quota_recall(struct quota_pool *p)
{
	struct quota_part *part = quota_richest(p);

	if (part == NULL)
		return false;
	part->asked++;
	p->asked++;
	p->quota->ops->recall(part, 1);
	return true;
}

/* Look again, at that time or earlier. */
static void
quota_look_at(struct quota *q, usec at)
{
	if (at >= q->armed)
		return;
	q->armed = at;
	timer_set(q->timer, at);
}

/* Free permits to those who wait, then one to each that is entitled, then their shares; for those who wait still, ask some back. */
static void
quota_deal(struct quota_pool *p)
{
	struct quota_part *part;

	while (quota_free_permits(p) > 0 && (part = TAILQ_FIRST(&p->wants)) != NULL)
		quota_grant(part, 1);
	TAILQ_FOREACH(part, &p->parts, link)
		if (part->held == 0 && part->share > 0 && quota_free_permits(p) > 0)
			quota_grant(part, 1);
	TAILQ_FOREACH(part, &p->parts, link)
		if (part->held < part->share) {
			unsigned n = part->share - part->held, left = quota_free_permits(p);

			quota_grant(part, n < left ? n : left);
		}
	while (p->wanting > p->asked && quota_recall(p))
		continue;
	if (p->wanting > 0)
		quota_look_at(p->quota, clock_add(loop_now(p->quota->loop), QUOTA_PATIENCE));
}

void
quota_limit(struct quota_pool *p, unsigned max)
{
	p->max = max;
	quota_deal(p);
}

void
quota_make_room(struct quota_pool *p, unsigned n)
{
	unsigned left = quota_free_permits(p), holders = 0;
	struct quota_part *part;

	TAILQ_FOREACH(part, &p->parts, link)
		holders += quota_kept(part) > 0;
	if (n <= left || holders == 0)
		return;
	n = (n - left + holders - 1) / holders;
	TAILQ_FOREACH(part, &p->parts, link)
		if (quota_kept(part) > 0)
			p->quota->ops->spare(part, n);
}

/* ---- workers ---- */

unsigned
quota_begin(struct quota_part *part, struct quota_pool *p, unsigned share, void *arg)
{
	unsigned left = quota_free_permits(p);

	must(part->pool == NULL);
	*part = (struct quota_part){ .pool = p, .arg = arg, .share = share };
	TAILQ_INSERT_HEAD(&p->parts, part, link);
	quota_hand(part, share < left ? share : left);
	return part->held;
}

void
quota_end(struct quota_part *part)
{
	struct quota_pool *p = part->pool;

	if (p == NULL)
		return;
	quota_want_no_more(part);
	TAILQ_REMOVE(&p->parts, part, link);
	p->held -= part->held;
	p->asked -= part->asked;
	p->settling += part->held;
	p->settled_at = clock_add(loop_now(p->quota->loop), QUOTA_SETTLE);
	part->pool = NULL;
	quota_look_at(p->quota, p->settled_at);
}

void
quota_drain(struct quota_part *part)
{
	part->share = 0;
	part->drains = true;
}

void
quota_want(struct quota_part *part)
{
	/* Else one was granted while it asked. */
	if (part->pool == NULL || part->wants || quota_kept(part) > 0)
		return;
	part->wants = true;
	part->pool->wanting++;
	TAILQ_INSERT_TAIL(&part->pool->wants, part, want);
	quota_deal(part->pool);
}

void
quota_give(struct quota_part *part, unsigned n)
{
	struct quota_pool *p = part->pool;
	unsigned asked;

	if (p == NULL)
		return;
	if (n > part->held)
		n = part->held;
	asked = n < part->asked ? n : part->asked;
	part->held -= n;
	part->asked -= asked;
	p->held -= n;
	p->asked -= asked;
	quota_deal(p);
}

void
quota_on_timer(void *arg)
{
	struct quota *q = arg;
	usec now = loop_now(q->loop);
	struct quota_pool *p;

	q->armed = CLOCK_NEVER;
	LIST_FOREACH(p, &q->pools, link) {
		if (p->settling > 0 && p->settled_at > now)
			quota_look_at(q, p->settled_at);
		else
			p->settling = 0;
		/* Whoever was asked may need his own for long. */
		if (p->wanting > 0)
			(void)quota_recall(p);
		quota_deal(p);
	}
}
