/* SPDX-License-Identifier: ISC */
#include "server/quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "back/url.h"
#include "base/must.h"
#include "loop/loop.h"

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
	unsigned settling;		/* of workers that have ended … */
	usec settled_at;		/* … until then */
	usec sought_at;			/* when others were asked for what they do not use */
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

/* The only writer of part->wants. */
static void
quota_set_wants(struct quota_part *part, unsigned n)
{
	if (part->wants == 0 && n > 0)
		TAILQ_INSERT_TAIL(&part->pool->wants, part, want);
	if (part->wants > 0 && n == 0)
		TAILQ_REMOVE(&part->pool->wants, part, want);
	part->wants = n;
}

/* In the books only. */
static void
quota_hand(struct quota_part *part, unsigned n)
{
	unsigned more = part->wants > n ? part->wants - n : 0;

	/* For what it wants still it stands behind the others. */
	quota_set_wants(part, 0);
	quota_set_wants(part, more);
	part->held += n;
	part->pool->held += n;
	part->since = ++part->pool->quota->grants;
}

/* As many as there are. */
static void
quota_grant(struct quota_part *part, unsigned n)
{
	unsigned left = quota_free_permits(part->pool);

	if (n > left)
		n = left;
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

/* How many it has a right to, of those that it wants: its share, and one in any case. */
static unsigned
quota_claim(const struct quota_part *part)
{
	unsigned kept = quota_kept(part), most = part->share > 1 ? part->share : 1, due = most > kept ? most - kept : 0;

	return due < part->wants ? due : part->wants;
}

/* From whom one is asked back. */
enum quota_from { QUOTA_ANY, QUOTA_RICH };	/* whoever has one; who has more than his share */

/* Whose turn it is to give one back: who has most; of several, who has had it for longest.  Those that drain do so unasked. */
static struct quota_part *
quota_richest(const struct quota_pool *p, enum quota_from from)
{
	struct quota_part *part, *richest = NULL;

	TAILQ_FOREACH(part, &p->parts, link) {
		if (part->drains || quota_kept(part) <= (from == QUOTA_RICH ? part->share : 0))
			continue;
		if (richest == NULL || quota_kept(part) > quota_kept(richest) ||
		    (quota_kept(part) == quota_kept(richest) && part->since < richest->since))
			richest = part;
	}
	return richest;
}

/* Ask one back.  Returns false when none of those has any that he was not asked for. */
static bool
quota_recall(struct quota_pool *p, enum quota_from from)
{
	struct quota_part *part = quota_richest(p, from);

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

/* Free permits to those who want them: one to each that has none, then up to their shares, then what there is. */
static void
quota_deal_wanted(struct quota_pool *p)
{
	struct quota_part *part, *next;

	for (part = TAILQ_FIRST(&p->wants); part != NULL; part = next) {
		next = TAILQ_NEXT(part, want);
		if (quota_kept(part) == 0)
			quota_grant(part, 1);
	}
	for (part = TAILQ_FIRST(&p->wants); part != NULL; part = next) {
		next = TAILQ_NEXT(part, want);
		quota_grant(part, quota_claim(part));
	}
	for (part = TAILQ_FIRST(&p->wants); part != NULL; part = next) {
		next = TAILQ_NEXT(part, want);
		if (!part->drains)
			quota_grant(part, part->wants);
	}
}

/* How many want one and have none. */
static unsigned
quota_without(const struct quota_pool *p)
{
	struct quota_part *part;
	unsigned n = 0;

	TAILQ_FOREACH(part, &p->wants, want)
		n += quota_kept(part) == 0;
	return n;
}

static unsigned
quota_claims(const struct quota_pool *p)
{
	struct quota_part *part;
	unsigned n = 0;

	TAILQ_FOREACH(part, &p->wants, want)
		n += quota_claim(part);
	return n;
}

/* Ask back what those have a right to who want it. */
static void
quota_recall_claims(struct quota_pool *p)
{
	while (quota_without(p) > p->asked && quota_recall(p, QUOTA_ANY))
		continue;
	while (quota_claims(p) > p->asked && quota_recall(p, QUOTA_RICH))
		continue;
}

/* Whoever was asked may need his own for long: ask another one. */
static void
quota_press(struct quota_pool *p)
{
	if (quota_without(p) > 0)
		(void)quota_recall(p, QUOTA_ANY);
	else if (quota_claims(p) > 0)
		(void)quota_recall(p, QUOTA_RICH);
}

/* To those who want them, then one to each that is entitled, then their shares; for those who want more still, ask some back. */
static void
quota_deal(struct quota_pool *p)
{
	struct quota_part *part;

	quota_deal_wanted(p);
	TAILQ_FOREACH(part, &p->parts, link)
		if (part->held == 0 && part->share > 0)
			quota_grant(part, 1);
	TAILQ_FOREACH(part, &p->parts, link)
		if (part->held < part->share)
			quota_grant(part, part->share - part->held);
	quota_recall_claims(p);
	if (!TAILQ_EMPTY(&p->wants))
		quota_look_at(p->quota, clock_add(loop_now(p->quota->loop), QUOTA_PATIENCE));
}

/* Does it have any, and nothing that waits for more? */
static bool
quota_may_cede(const struct quota_part *part)
{
	return part->wants == 0 && quota_kept(part) > 0 && !part->drains;
}

/* Ask those that may have nothing to do for what others want. */
static void
quota_seek(struct quota_pool *p)
{
	usec now = loop_now(p->quota->loop);
	unsigned wanted = 0, holders = 0;
	struct quota_part *part;

	TAILQ_FOREACH(part, &p->wants, want)
		wanted += part->drains ? 0 : part->wants < p->max ? part->wants : p->max;
	TAILQ_FOREACH(part, &p->parts, link)
		holders += quota_may_cede(part);
	if (wanted <= p->asked || holders == 0 || now < clock_add(p->sought_at, QUOTA_PATIENCE))
		return;
	p->sought_at = now;
	wanted = (wanted - p->asked + holders - 1) / holders;
	TAILQ_FOREACH(part, &p->parts, link)
		if (quota_may_cede(part))
			p->quota->ops->cede(part, wanted);
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
	quota_set_wants(part, 0);
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
quota_want(struct quota_part *part, unsigned n)
{
	if (part->pool == NULL)
		return;
	quota_set_wants(part, n);
	if (n == 0)
		return;
	quota_deal(part->pool);
	quota_seek(part->pool);
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
		quota_press(p);
		quota_seek(p);
		quota_deal(p);
	}
}
