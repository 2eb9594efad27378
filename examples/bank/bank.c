/* SPDX-License-Identifier: ISC */
/*
 * bank: money goes from one account to another, or stays where it is.
 *
 *	GET /accounts	who has how much
 *	POST /transfer	a form: token, from, to, cents
 *
 * What a transfer does is one transaction.  Two things may still come in between.  Others may want the same
 * accounts, so that the database rolls one of them back: that one is tried again.  And
 * where the answer to COMMIT is lost, nobody knows whether it was done.  So who asks for a transfer makes up a
 * token, which is kept together with it: to ask again with the same one does nothing twice.
 *
 * The statements are such as PostgreSQL, MariaDB and SQLite all understand.  What differs is how each calls its errors.
 *
 * Build: cc -std=c11 -fPIC -shared $(pkg-config --cflags weft) -o bank.so bank.c
 */
#include <weft/weft.h>

#include <stdlib.h>
#include <string.h>

enum { BANK_TRIES = 5, BANK_TOKEN_MAX = 64 };

struct bank_transfer {
	const char *token;
	long long from, to, cents;
};

enum bank_end {
	BANK_DONE,
	BANK_BEFORE,		/* there is one of this token: nothing is left to do */
	BANK_REFUSED,		/* no such account, or too little money in it */
	BANK_CONFLICT,		/* another was in the way: nothing is done, try again */
	BANK_FAILED,		/* weft_fault() is why */
};

/* Is it one of these of the back end's codes, a list that ends with NULL? */
static int
bank_is_refused(struct weft_request *rq, const char *const *code)
{
	while (*code != NULL && strcmp(weft_fault_code(rq), *code) != 0)
		code++;
	return weft_fault(rq) == WEFT_REFUSED && *code != NULL;
}

static enum bank_end
bank_failure(struct weft_request *rq)
{
	/* PostgreSQL's for a serialization failure and a deadlock, MariaDB's for a deadlock, SQLite's for a lock that did not come free. */
	static const char *const conflicts[] = { "40001", "40P01", "1213", "SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT", NULL };
	static const char *const twice[] = { "23505", "1062", "SQLITE_CONSTRAINT_PRIMARYKEY", NULL };

	return bank_is_refused(rq, conflicts) ? BANK_CONFLICT : bank_is_refused(rq, twice) ? BANK_BEFORE : BANK_FAILED;
}

/* Within the transaction.  cents may be negative. */
static enum bank_end
bank_change(struct weft_request *rq, struct weft_lease *lease, long long account, long long cents)
{
	struct weft_rows *changed;

	if (weft_lease_sql(lease, &changed, "UPDATE account SET cents = cents + $1 WHERE id = $2 AND cents + $1 >= 0",
	    WEFT_INT(cents), WEFT_INT(account)) != WEFT_OK)
		return bank_failure(rq);
	return weft_rows_affected(changed) == 1 ? BANK_DONE : BANK_REFUSED;
}

/* Within the transaction.  Returns BANK_DONE when it is to be committed. */
static enum bank_end
bank_move(struct weft_request *rq, struct weft_lease *lease, const struct bank_transfer *t)
{
	enum bank_end end;

	if (weft_lease_sql(lease, NULL, "INSERT INTO transfer (token, payer, payee, cents) VALUES ($1, $2, $3, $4)",
	    WEFT_TEXT(t->token), WEFT_INT(t->from), WEFT_INT(t->to), WEFT_INT(t->cents)) != WEFT_OK)
		return bank_failure(rq);
	/* The lower number first, always: else two transfers could each have the account that the other waits for. */
	end = t->from < t->to ? bank_change(rq, lease, t->from, -t->cents) : bank_change(rq, lease, t->to, t->cents);
	if (end != BANK_DONE)
		return end;
	return t->from < t->to ? bank_change(rq, lease, t->to, t->cents) : bank_change(rq, lease, t->from, -t->cents);
}

static enum bank_end
bank_try(struct weft_request *rq, const struct bank_transfer *t)
{
	struct weft_lease *lease;
	enum bank_end end;

	/* Only this request waits: for a connection, and for each statement. */
	if (weft_begin(rq, "bank", &lease) != WEFT_OK)
		return bank_failure(rq);
	end = bank_move(rq, lease, t);
	if (end == BANK_DONE)
		return weft_commit(lease) == WEFT_OK ? BANK_DONE : bank_failure(rq);
	weft_rollback(lease);
	return end;
}

/* Returns the number that the text is, from 1 to 999999999; else 0. */
static long long
bank_number(const char *text)
{
	size_t len = text == NULL ? 0 : strspn(text, "0123456789");

	return len == 0 || len > 9 || text[len] != '\0' ? 0 : atoll(text);
}

static int
bank_transfer(struct weft_request *rq)
{
	struct bank_transfer t = {
		.token = weft_form(rq, "token"),
		.from = bank_number(weft_form(rq, "from")),
		.to = bank_number(weft_form(rq, "to")),
		.cents = bank_number(weft_form(rq, "cents")),
	};
	enum bank_end end = BANK_CONFLICT;

	if (t.token == NULL || t.token[0] == '\0' || strlen(t.token) > BANK_TOKEN_MAX)
		return weft_error(rq, 400, "token: something unique, please.");
	if (t.from == 0 || t.to == 0 || t.cents == 0 || t.from == t.to)
		return weft_error(rq, 400, "from, to and cents: numbers, please.");
	for (int i = 0; i < BANK_TRIES && end == BANK_CONFLICT; i++)
		end = bank_try(rq, &t);
	switch (end) {
	case BANK_DONE:
	case BANK_BEFORE:
		weft_set_header(rq, "Content-Type", "text/plain");
		return weft_puts(rq, "done\n");
	case BANK_REFUSED:
		return weft_error(rq, 409, "There is no such account, or too little in it.");
	case BANK_CONFLICT:
		return weft_error(rq, 503, "Too many want these accounts: nothing is done, ask again.");
	case BANK_FAILED:
		break;
	}
	if (weft_fault(rq) == WEFT_UNKNOWN)
		return weft_error(rq, 503, "It may be done or not: ask again with the same token.");
	return weft_fail(rq);
}

static int
bank_accounts(struct weft_request *rq)
{
	struct weft_rows *account;

	if (weft_sql(rq, "bank", &account, "SELECT id, owner, cents FROM account ORDER BY id LIMIT 1000") != WEFT_OK)
		return weft_fail(rq);
	weft_set_header(rq, "Content-Type", "text/plain; charset=utf-8");
	for (size_t i = 0; i < weft_rows_count(account); i++) {
		long long cents = weft_rows_int(account, i, 2);

		weft_printf(rq, "%lld\t%lld.%02lld\t%s\n", weft_rows_int(account, i, 0), cents / 100, cents % 100,
		    weft_rows_text(account, i, 1));
	}
	return WEFT_OK;
}

WEFT_MODULE(
	{ "GET", "/accounts", bank_accounts },
	{ "POST", "/transfer", bank_transfer },
)
