/* SPDX-License-Identifier: ISC */
/*
 * shop: items in an SQL database, and how often each was looked at in Redis.
 *
 *	GET /		the items, and a form for a new one
 *	POST /item	a new item: name, price
 *	GET /item/:id	an item as JSON
 *
 * Build: cc -std=c11 -D_DEFAULT_SOURCE -fPIC -shared $(pkg-config --cflags weft jansson) -o shop.so shop.c $(pkg-config --libs jansson)
 */
#include <weft/weft.h>

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

enum { SHOP_NAME_MAX = 100, SHOP_CENTS_MAX = 100000000 };

/*
 * Make the table in a SQLite database, once in each worker.  PostgreSQL
 * refuses this statement, for AUTOINCREMENT; there schema.sql was loaded.
 */
static int
shop_table(struct weft_request *rq)
{
	static int is_there;
	int rc;

	if (is_there)
		return WEFT_OK;
	rc = weft_sql(rq, "shop", NULL, "CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY AUTOINCREMENT, "
	    "name TEXT NOT NULL, cents INTEGER NOT NULL CHECK (cents >= 0))");
	if (rc != WEFT_OK && rc != WEFT_REFUSED)
		return rc;	/* not reached: the next request tries again */
	is_there = 1;
	return WEFT_OK;
}

/* ---- GET /item/:id: two waits at once ------------------------------------ */

/* Returns the number that the text is, from 1 to 999999999; else 0. */
static int
shop_id(const char *text)
{
	size_t len = strspn(text, "0123456789");

	return len > 9 || text[len] != '\0' ? 0 : atoi(text);
}

/* counted is how the call for the views ended.  Returns NULL when memory is refused or the name is no UTF-8. */
static json_t *
shop_item_json(struct weft_request *rq, int id, const struct weft_rows *item, int counted, const struct weft_reply *views)
{
	const char *name = weft_rows_text(item, 0, 0);
	long long cents = weft_rows_int(item, 0, 1);
	const char *price = weft_sprintf(rq, "%lld.%02lld", cents / 100, cents % 100);

	if (counted == WEFT_OK)
		return json_pack("{s:i, s:s, s:s, s:I}", "id", id, "name", name, "price", price,
		    "views", (json_int_t)weft_reply_int(views));
	return json_pack("{s:i, s:s, s:s, s:s}", "id", id, "name", name, "price", price,
	    "note", weft_sprintf(rq, "Views are not counted: %s.", weft_strerror(counted)));
}

static int
shop_item(struct weft_request *rq)
{
	int id = shop_id(weft_param(rq, "id")), rc, counted;
	struct weft_call *call[2];
	struct weft_rows *item;
	json_t *all;

	if (id == 0)
		return weft_error(rq, 404, "There is no such item.");
	if (shop_table(rq) != WEFT_OK)
		return weft_fail(rq);

	/* Both are on their way before the first wait: together they take as long as the slower one. */
	call[0] = weft_sql_start(rq, "shop", "SELECT name, cents FROM item WHERE id = $1", WEFT_INT(id));
	call[1] = weft_redis_start(rq, "cache", "INCR views:%d", id);
	rc = weft_wait_all(rq, call, 2);

	/* Which one failed?  Without the item there is no answer; without Redis there is one, which says so. */
	if (rc != WEFT_OK && weft_wait(rq, call[0]) != WEFT_OK)
		return weft_fail(rq);
	counted = weft_wait(rq, call[1]);

	item = weft_call_rows(call[0]);
	if (weft_rows_count(item) == 0) {
		/* Visitors must not fill Redis with counters of nothing. */
		if (counted == WEFT_OK && weft_redis(rq, "cache", NULL, "DEL views:%d", id) != WEFT_OK)
			weft_log(rq, "views:%d is left over: %s", id, weft_fault_text(rq));
		return weft_error(rq, 404, "There is no such item.");
	}
	all = shop_item_json(rq, id, item, counted, weft_call_reply(call[1]));
	if (all == NULL)
		return weft_error(rq, 500, "This item cannot be shown.");
	rc = weft_json(rq, all);
	json_decref(all);
	return rc;
}

/* ---- POST /item ------------------------------------------------------------ */

/* Returns the cents of a price, "12" or "12.50"; -1 when it is none. */
static long
shop_cents(const char *text)
{
	char *end;
	long cents;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	cents = strtol(text, &end, 10);
	if (cents > SHOP_CENTS_MAX / 100)
		return -1;
	cents *= 100;
	if (end[0] == '.' && isdigit((unsigned char)end[1]) && isdigit((unsigned char)end[2])) {
		cents += (end[1] - '0') * 10 + (end[2] - '0');
		end += 3;
	}
	return *end == '\0' ? cents : -1;
}

/* Returns 1 for UTF-8, which JSON and PostgreSQL want; else 0. */
static int
shop_is_utf8(const char *text)
{
	json_t *value = json_string(text);

	json_decref(value);
	return value != NULL;
}

static int
shop_add(struct weft_request *rq)
{
	const char *name = weft_form(rq, "name"), *price = weft_form(rq, "price");
	long cents = price == NULL ? -1 : shop_cents(price);

	if (name == NULL || name[0] == '\0' || strlen(name) > SHOP_NAME_MAX || !shop_is_utf8(name))
		return weft_error(rq, 400, "name: 1 to 100 bytes of UTF-8, please.");
	if (cents < 0)
		return weft_error(rq, 400, "price: 12 or 12.50, please.");
	if (shop_table(rq) != WEFT_OK)
		return weft_fail(rq);
	if (weft_sql(rq, "shop", NULL, "INSERT INTO item (name, cents) VALUES ($1, $2)", WEFT_TEXT(name), WEFT_INT(cents)) != WEFT_OK)
		return weft_fail(rq);
	/* Relative, so that it is right under any prefix. */
	return weft_redirect(rq, 303, "./");
}

/* ---- GET / ------------------------------------------------------------------- */

static const char shop_head[] =
    "<!DOCTYPE html><html lang='en'><meta charset='utf-8'><title>Shop</title>"
    "<style>body{font:16px/1.6 system-ui,sans-serif;max-width:36rem;margin:2rem auto;padding:0 1rem}"
    "td,th{padding:.1rem 2rem .1rem 0;text-align:left}td+td,th+th{text-align:right}</style>"
    "<h1>Shop</h1><table><tr><th>Item<th>Price";

static const char shop_form[] =
    "</table><h2>A new one</h2><form method='post' action='item'>"
    "<input name='name' placeholder='name' required maxlength='100'> "
    "<input name='price' placeholder='12.50' required pattern='[0-9]+([.][0-9][0-9])?'> <button>Add</button></form>";

static int
shop_list(struct weft_request *rq)
{
	struct weft_rows *item;

	if (shop_table(rq) != WEFT_OK)
		return weft_fail(rq);
	if (weft_sql(rq, "shop", &item, "SELECT id, name, cents FROM item ORDER BY id DESC LIMIT 100") != WEFT_OK)
		return weft_fail(rq);
	weft_set_header(rq, "Content-Type", "text/html; charset=utf-8");
	weft_puts(rq, shop_head);
	for (size_t i = 0; i < weft_rows_count(item); i++) {
		long long cents = weft_rows_int(item, i, 2);

		weft_printf(rq, "<tr><td><a href='item/%lld'>", weft_rows_int(item, i, 0));
		weft_html(rq, weft_rows_text(item, i, 1));	/* what visitors wrote is never printed as it is */
		weft_printf(rq, "</a><td>%lld.%02lld", cents / 100, cents % 100);
	}
	/* Once a write has failed, later ones fail too: the last one's result is enough. */
	return weft_puts(rq, shop_form);
}

WEFT_MODULE(
	{ "GET", "/", shop_list },
	{ "POST", "/item", shop_add },
	{ "GET", "/item/:id", shop_item },
)
