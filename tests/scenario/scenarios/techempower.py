# SPDX-License-Identifier: ISC
"""The example techempower keeps the rules of that benchmark, behind a web server, on either kind of database."""
import email.utils
import json
import sqlite3

from lib import fronts
from lib.place import Failure, check, wait_until
from lib.suite import Stage, scenario
from lib.weft import Weft

CONF = """\
workers = 1
control = "@RUN@/control.sock"
status = "/app/weft"
listen "web" { address = "unix:@RUN@/web.sock"  mode = "0666" }
module "probe" { file = "@MODULES@/probe.so"  prefix = "/app" }
module "techempower" { file = "@MODULES@/techempower.so"  prefix = "/app" }
pool "db" { url = "@DB@"  max = 8  min = 8  queue = 20000  queue_timeout = "10s" }
pool "cache" { url = "@CACHE@"  max = 2  queue_timeout = "200ms"  connect_timeout = "200ms"  call_timeout = "500ms" }
"""

ROWS = 10000
ADDITIONAL = (0, "Additional fortune added at request time.")

# What is asked for, and how many rows that is.
COUNTS = (("", 1), ("=", 1), ("=foo", 1), ("=7x", 1), ("=0", 1), ("=-1", 1), ("=-99999999999999999999", 1), ("=1", 1),
          ("=2", 2), ("=20", 20), ("=499", 499), ("=500", 500), ("=501", 500), ("=99999999999999999999", 500))


def escaped(text):
    for plain, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(plain, entity)
    return text


def page(fortunes):
    """The page that shows these, sorted by the bytes of their messages."""
    rows = sorted([*fortunes, ADDITIONAL], key=lambda one: one[1].encode())
    return ("<!DOCTYPE html><html><head><title>Fortunes</title></head><body><table><tr><th>id</th><th>message</th></tr>" +
            "".join(f"<tr><td>{number}</td><td>{escaped(text)}</td></tr>" for number, text in rows) +
            "</table></body></html>")


class Sqlite:
    def __init__(self, stage):
        self.path = stage.place.path("techempower.sqlite")
        self.url = "sqlite:" + self.path
        self.run(fronts.examples["techempower/seed.sql"])

    def connect(self):
        return sqlite3.connect(self.path, timeout=20, isolation_level=None)

    def run(self, text):
        connection = self.connect()
        connection.executescript(text)
        connection.close()

    def rows(self, text):
        connection = self.connect()
        found = connection.execute(text).fetchall()
        connection.close()
        return [tuple(str(value) for value in row) for row in found]


class Postgres:
    def __init__(self, stage):
        self.server = stage.suite.postgres
        self.url = self.server.load("techempower", fronts.examples["techempower/seed.sql"])

    def run(self, text):
        self.server.query(text, "techempower")

    def rows(self, text):
        return [tuple(line.split("|")) for line in self.server.query(text, "techempower").splitlines()]


class Techempower(Stage):
    """The example, alone or with Redis; each scenario leaves the tables as rows that any other can use."""

    def open(self):
        kind = fronts.ALL[self.arguments[0]]
        if not kind.is_there():
            raise Failure(f"no {kind.program} here")
        self.database = {"sqlite": Sqlite, "postgres": Postgres}[self.arguments[1]](self)
        self.redis = self.suite.redis if self.arguments[2] == "redis" else None
        self.weft = Weft(self.place, CONF, DB=self.database.url, CACHE="redis+unix://" + (
            self.redis.socket if self.redis else self.place.path("no-redis.sock"))).start()
        self.front = kind(self.place).start()
        wait_until(lambda: self.front.fetch("/app/db").is_ok, "the database answers", 15, 0.05)

    def get(self, path, kind):
        """Returns the body of an answer of that type."""
        answer = self.front.fetch("/app" + path)
        check(answer.is_ok, f"{path} is answered {answer}")
        check(answer.headers.get("content-type") == kind, f"{path} has the headers {answer.headers}")
        check(int(answer.headers.get("content-length", -1)) == len(answer.body), f"{path} has the headers {answer.headers}")
        return answer.body

    def rows_of(self, path, count):
        """What an answer of so many rows has, as (id, number); checked for its form, to the byte."""
        body = self.get(path, "application/json").decode()
        rows = [(one["id"], one["randomNumber"]) for one in json.loads(body)]
        check(len(rows) == count, f"{path} has {len(rows)} rows")
        check(all(1 <= value <= ROWS for row in rows for value in row), f"{path} is {body}")
        again = ",".join(f'{{"id":{number},"randomNumber":{value}}}' for number, value in rows)
        check(body == f"[{again}]", f"{path} is {body}")
        return rows

    def stored(self, table="world"):
        """All rows, id: number."""
        return {int(number): int(value) for number, value in self.database.rows(f"SELECT id, randomnumber FROM {table}")}

    def calls(self):
        """How many queries the pool has been asked."""
        status = json.loads(self.front.fetch("/app/weft/status.json").body)
        return next(pool["calls"] for pool in status["pools"] if pool["name"] == "db")


def the_fixed_answers(stage):
    check(stage.get("/plaintext", "text/plain") == b"Hello, World!", "the plain text is another")
    check(stage.get("/json", "application/json") == b'{"message":"Hello, World!"}', "the object is another")
    headers = stage.front.fetch("/app/plaintext").headers
    check(headers.get("server"), f"no Server in {headers}")
    check(email.utils.parsedate_to_datetime(headers["date"]), f"no Date in {headers}")


def one_row(stage):
    stored, seen = stage.stored(), set()
    for _ in range(20):
        row = json.loads(stage.get("/db", "application/json"))
        check(list(row) == ["id", "randomNumber"], f"the row is {row}")
        check(stored[row["id"]] == row["randomNumber"], f"{row} is not in the table")
        seen.add(row["id"])
    check(len(seen) > 15, f"20 random rows are {seen}")


def as_many_rows_as_are_asked_for(stage):
    stored = stage.stored()
    for asked, count in COUNTS:
        before = stage.calls()
        rows = stage.rows_of("/queries" + (asked and "?queries" + asked), count)
        check(all(stored[number] == value for number, value in rows), f"{asked}: a row is not in the table: {rows}")
        check(stage.calls() == before + count, f"{count} rows were {stage.calls() - before} queries")
    check(len(set(stage.rows_of("/queries?queries=500", 500))) > 400, "the rows are not random")


def numbers_are_written(stage):
    changed = 0
    for asked, count in COUNTS:
        before, calls = stage.stored(), stage.calls()
        rows = stage.rows_of("/updates" + (asked and "?queries" + asked), count)
        check(stage.calls() == calls + count + 1, f"{count} rows were {stage.calls() - calls} queries")
        after = stage.stored()
        check(len(dict(rows)) == count, f"{asked}: a row is there twice: {rows}")
        check(after == {**before, **dict(rows)}, f"{asked}: the table does not have {rows}")
        changed += sum(before[number] != value for number, value in rows)
    check(changed > 0.95 * sum(count for _, count in COUNTS), f"only {changed} numbers are new")


def updates_at_once_do_not_lock_each_other_out(stage):
    """Of 60 requests with up to 500 rows of 10000 nearly all meet."""
    counts = [1, 5, 20, 100, 500, 300] * 10
    before = stage.stored()
    for answer, count in zip(stage.front.fetch_all([f"/app/updates?queries={count}" for count in counts]), counts):
        check(answer.is_ok and len(json.loads(answer.body)) == count, f"updates={count} is answered {answer}")
    check(sum(before[number] != value for number, value in stage.stored().items()) > 5000, "the numbers are not written")


def fortunes_are_sorted_and_escaped(stage):
    fortunes = [(int(number), text) for number, text in stage.database.rows("SELECT id, message FROM fortune")]
    check(len(fortunes) == 12, f"there are {len(fortunes)} fortunes")
    body = stage.get("/fortunes", "text/html; charset=utf-8").decode()
    check(body == page(fortunes), f"the page is {body}")
    check("&lt;script&gt;" in body and "<script>" not in body and "フレームワークのベンチマーク" in body, f"the page is {body}")


def another_fortune_is_shown_at_once(stage):
    more = [(13, "Zürich & \"Genève\" <b>aren't</b> far"), (14, ""), (15, "A" * 2048), (16, "\u00ff"), (17, "additional")]
    for number, text in more:
        quoted = text.replace("'", "''")
        stage.database.run(f"INSERT INTO fortune (id, message) VALUES ({number}, '{quoted}')")
    fortunes = [(int(number), text) for number, text in stage.database.rows("SELECT id, message FROM fortune")]
    body = stage.get("/fortunes", "text/html; charset=utf-8").decode()
    stage.database.run("DELETE FROM fortune WHERE id > 12")
    check(set(more) < set(fortunes) and body == page(fortunes), f"the page is {body}")


def cached_rows_are_those_of_the_table(stage):
    stored = stage.stored("cachedworld")
    if stage.redis:
        stage.redis.ask("FLUSHALL")
    for asked, count in COUNTS:
        rows = stage.rows_of("/cached-queries" + (asked and "?count" + asked), count)
        check(all(stored[number] == value for number, value in rows), f"{asked}: a row is not in the table: {rows}")


def rows_are_read_once_and_kept_for_a_time(stage):
    stage.redis.ask("FLUSHALL")
    before = stage.calls()
    rows = stage.rows_of("/cached-queries?count=20", 20)
    check(stage.calls() == before + 20, f"20 rows that are not cached are {stage.calls() - before} queries")
    for number, value in rows:
        kept = stage.redis.ask("GET", f"world:{number}").split(b"\r\n")[1]
        check(int(kept) == value, f"row {number} is cached as {kept}")
        left = int(stage.redis.ask("TTL", f"world:{number}").strip()[1:])
        check(590 <= left <= 600, f"row {number} is cached for {left} s")
    # The whole table, with numbers that it does not have: nothing is asked of the database any more.
    words = [word for number in range(1, ROWS + 1) for word in (f"world:{number}", str(ROWS + 1 - number))]
    check(stage.redis.ask("MSET", *words) == b"+OK\r\n", "the cache cannot be filled")
    before = stage.calls()
    for count in (1, 20, 500):
        rows = stage.rows_of(f"/cached-queries?count={count}", count)
        check(all(value == ROWS + 1 - number for number, value in rows), f"they are not from the cache: {rows}")
    check(stage.calls() == before, "the database was asked")


def without_its_table_it_fails(stage):
    """An answer of an error, not half a list."""
    stage.database.run("DELETE FROM cachedworld; DELETE FROM world WHERE id > 5000")
    if stage.redis:
        stage.redis.ask("FLUSHALL")
    answers = [stage.front.fetch("/app" + path) for path in ("/queries?queries=500", "/updates?queries=500", "/cached-queries")]
    stage.database.run(fronts.examples["techempower/seed.sql"])
    check([answer.status for answer in answers] == [500] * 3, f"it is answered {answers}")
    wait_until(lambda: stage.front.fetch("/app/queries?queries=500").is_ok, "it answers again")


for arguments in (("nginx", "postgres", "redis"), ("lighttpd", "sqlite", "redis"), ("lighttpd", "sqlite", "alone")):
    for function in (the_fixed_answers, one_row, as_many_rows_as_are_asked_for, numbers_are_written,
                     updates_at_once_do_not_lock_each_other_out, fortunes_are_sorted_and_escaped,
                     another_fortune_is_shown_at_once, cached_rows_are_those_of_the_table, without_its_table_it_fails):
        scenario(Techempower, *arguments, limit=60)(function)
    if arguments[2] == "redis":
        scenario(Techempower, *arguments, limit=60)(rows_are_read_once_and_kept_for_a_time)
