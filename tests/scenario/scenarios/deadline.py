# SPDX-License-Identifier: ISC
"""The deadline of a route, wherever its handler waits and whatever it makes of it; and sections that are finished."""
import re
import sqlite3
import time

from lib import fcgi, http
from lib.askers import pulse
from lib.backends import Service
from lib.fronts import Nginx
from lib.place import Failure, check, wait_until
from lib.suite import Stage, scenario
from lib.weft import BASIC, Weft
from scenarios.back import TRIES, check_all, ms
from scenarios.back_sql import make_world

DEADLINE = 0.3      # of the routes of waits.c
LATE = 0.05         # more than that is too late

POOLS = """
pool "cache" { url = "redis+unix://@REDIS@"  max = 4 }
pool "db" { url = "@DB@"  max = 8 }
pool "one" { url = "@DB@"  max = 1  queue_timeout = "5s" }
pool "maria" { url = "@MARIA@"  max = 4 }
pool "lite" { url = "sqlite:@RUN@/waits.db"  max = 2 }
pool "service" { url = "http://127.0.0.1:@SERVICE@"  max = 4 }
module "waits" { file = "@SUPPORT@/waits.so"  prefix = "/app" }
limit { grace = "1s"  timeout = "60s" }
"""

# what, its query, how the log calls it, its pool
WAITS = [("sleep", "", "sleep", None), ("body", "", "client", None), ("fd", "", "descriptor", None),
         ("offload", "", "thread", None), ("redis", "", "redis", "cache"), ("blpop", "", "redis", "cache"),
         ("sql", "pool=db", "sql", "db"), ("sql", "pool=maria", "sql", "maria"), ("sql", "pool=lite", "sql", "lite"),
         ("http", "", "http", "service"), ("queue", "", "queue", "one"), ("lend", "", "queue", "one"),
         ("all", "", "sql", "db"), ("spawn", "pool=db", "sql", "db"),
         ("rows", "", "sql", "db"), ("message", "", "message", None), ("look", "", "sql", "db")]
ENDS = ["fail", "code", "write", "again", "forever"]
LINE = re.compile(r'request failed status=(\d+) route="waits: \* /app/waits/:what/:how" fault="[^"]*" '
                  r"waited=(\S+)(?: pool=(\S+))? for=(\d+)ms")


class Waiting(Stage):
    """Every back end there is, and a handler that waits for it."""

    def open(self):
        self.redis, self.postgres, self.mariadb = self.suite.redis, self.suite.postgres, self.suite.mariadb
        self.service = Service().start()
        make_world(self.place.path("waits.db")).close()
        self.postgres.query("CREATE TABLE IF NOT EXISTS ledger (token bigint NOT NULL)")
        self.weft = Weft(self.place, BASIC.replace('sandbox = "on"\n', "") + POOLS, REDIS=self.redis.socket,
                         DB=self.postgres.url, MARIA=self.mariadb.url, SERVICE=self.service.port).start()
        for pool in ("cache", "db", "one", "maria", "lite", "service"):
            wait_until(lambda pool=pool: self.is_open(pool), f"pool {pool} is there", 10 * self.relax)

    def close(self):
        self.redis.ask("CLIENT", "UNPAUSE")
        wrong = super().close()
        self.service.kill()
        return wrong

    def is_open(self, pool):
        """A call has got through, whatever its end."""
        query = {"cache": "op=redis&key=x&pool=cache", "service": "op=http&ms=0"}.get(pool, f"op=sql&id=7&pool={pool}")
        return self.weft.ask(query).code in (200, 404, 500)

    def log(self):
        return self.weft.process.log_text()

    def before(self, what):
        """Make sure that it has to be waited for.  Returns what ends that."""
        if what == "redis":
            # With a connection that is there already.
            wait_until(lambda: self.is_open("cache"), "the cache is there", 5 * self.relax)
            self.redis.ask("CLIENT", "PAUSE", "2000", "ALL")
            return lambda: self.redis.ask("CLIENT", "UNPAUSE")
        if what in ("queue", "lend"):
            other = fcgi.Connection(self.weft.socket)
            other.send(fcgi.request(1, "/app/hold?ms=1000"))
            time.sleep(0.1)
            return lambda: (other.gather([1]), other.close())
        return lambda: None


def wait_once(stage, what, how, query):
    """Returns its reply and how long after the deadline it came."""
    after = stage.before(what)
    body = b"" if what != "body" else b"12345678"
    request = fcgi.request(1, f"/app/waits/{what}/{how}?{query}", method="POST", body=body)
    if what == "body":
        request = request[:-16 - 8]     # neither the body's record, which is 16 bytes, nor its end
    with fcgi.Connection(stage.weft.socket) as conn:
        began = time.monotonic()
        conn.send(request)
        reply = conn.gather([1])[1]
        late = time.monotonic() - began - DEADLINE
    after()
    return reply, late


def check_wait(stage, what, query, word, pool, how):
    late = 1.0
    for _ in range(TRIES):
        reply, late = wait_once(stage, what, how, query)
        check(reply.code == 504, f"{what} {query} {how}: answered {reply.code} {reply.body!r}")
        check(late > -0.005, f"{what} {query} {how}: {ms(-late)} too early")
        if late <= LATE * stage.relax:
            break
    check(late <= LATE * stage.relax, f"{what} {query} {how}: {ms(late)} late, {TRIES} times")
    status, waited, of, length = LINE.findall(stage.log())[-1]
    check((status, waited, of) == ("504", word, pool or ""), f"{what} {query} {how}: the log says {waited} of {of!r}")
    check(word == "redis" or int(length) > 150, f"{what} {query} {how}: the log says for {length} ms")
    return late


def check_each_wait(stage, how):
    lates = {}
    for what, query, word, pool in WAITS:
        lates[f"{what} {query}".strip()] = check_wait(stage, what, query, word, pool, how)
    print(f"# {how}: 504 after the deadline: " + ", ".join(f"{name} {ms(late)}" for name, late in lates.items()))


for ending in ENDS:
    scenario(Waiting, name=f"every_wait_ends_in_504_{ending}", limit=60)(
        lambda stage, ending=ending: check_each_wait(stage, ending))


@scenario(Waiting)
def a_handler_that_never_stops_waiting_holds_up_nobody(stage):
    """It goes on until its writes fail; the others are answered as ever, and no time is burnt."""
    beats = pulse(stage.weft)
    for _ in range(3):
        check(wait_once(stage, "sleep", "forever", "")[0].code == 504, "answered otherwise")
    check_all(beats.end(), 200, "the others")
    check("a handler goes on waiting though it was told to end" in stage.log(), "the log does not say so")


@scenario(Waiting)
def who_reads_slowly_is_reset_at_the_deadline(stage):
    """Part of the answer is out: nobody takes it for the whole."""
    with fcgi.Connection(stage.weft.socket) as conn:
        conn.send(fcgi.request(1, "/app/waits/client/code"))
        began = time.monotonic()
        time.sleep(DEADLINE + 2 * LATE * stage.relax)
        check(stage.weft.status()["requests"] == 0, "it waits still")
        try:
            while (got := conn.receive()) is not None:
                check(got[0] != fcgi.END, "the answer has an end")
        except Failure as failure:
            check("inside a record" in str(failure), str(failure))
        print(f"# reset {ms(time.monotonic() - began)} after the beginning")
    wait_until(lambda: LINE.findall(stage.log())[-1][1] == "client", "the log says that it waited for the client", 5)


@scenario(Waiting)
def through_nginx(stage):
    """The same with a web server in between."""
    if not Nginx.is_there():
        raise Failure("no nginx here")
    front = Nginx(stage.place).start()
    wait_until(lambda: front.fetch("/app/probe?op=ok").is_ok, "a request passes", 15, 0.05)
    for what, query, _, _ in WAITS:
        if what == "body":
            continue        # nginx reads all of it before
        late = 1.0
        for _ in range(TRIES):
            after = stage.before(what)
            answer = http.fetch(front.port, f"/app/waits/{what}/again?{query}")
            late = answer.seconds - DEADLINE
            after()
            check(answer.status == 504, f"{what} {query}: answered {answer}")
            if late <= LATE * stage.relax:
                break
        check(late <= LATE * stage.relax, f"{what} {query}: {ms(late)} late, {TRIES} times")


# ---- sections that are finished ----

def leave(stage, query):
    """A client that leaves in the middle of its transaction."""
    with fcgi.Connection(stage.weft.socket) as conn:
        conn.send(fcgi.request(1, f"/app/order?{query}"))
        time.sleep(0.15)
    wait_until(lambda: stage.weft.status()["requests"] == 0, "the client's leaving is noticed", 5 * stage.relax)


def check_section(stage, pool, query):
    count = "SELECT count(*) FROM ledger WHERE token = {}"
    base = {"db": 7000, "lite": 8000, "maria": 9000}[pool]
    for n, shield in enumerate(("", "&shield=5000", "&shield=100")):
        token = base + n
        leave(stage, f"pool={pool}&token={token}{shield}")
        time.sleep(0.7 * stage.relax)
        done = query(count.format(token))
        told = b"committed" in stage.redis.ask("GET", f"waits:{token}")
        if shield == "&shield=5000":
            check(done == "1" and told, f"in a section: {done} rows, published: {told}")
        else:
            check(done == "0" and not told, f"with{shield or ' no section'}: {done} rows, published: {told}")


@scenario(Waiting)
def a_section_is_finished_though_the_client_left_postgres(stage):
    """Committed and published within it, rolled back without it, and behind its bound."""
    check_section(stage, "db", stage.postgres.query)


@scenario(Waiting)
def a_section_is_finished_though_the_client_left_mariadb(stage):
    stage.mariadb.query("CREATE TABLE IF NOT EXISTS ledger (token bigint NOT NULL) ENGINE = InnoDB")
    check_section(stage, "maria", stage.mariadb.query)


@scenario(Waiting)
def a_section_is_finished_though_the_client_left_sqlite(stage):
    def query(text):
        db = sqlite3.connect(stage.place.path("waits.db"))
        try:
            return str(db.execute(text).fetchone()[0])
        finally:
            db.close()
    check_section(stage, "lite", query)


@scenario(Waiting, limit=60)
def the_end_of_the_server_ends_a_section(stage):
    """One second after its grace, which is another."""
    with fcgi.Connection(stage.weft.socket) as conn:
        conn.send(fcgi.request(1, "/app/section"))
        time.sleep(0.2)
        began = time.monotonic()
        stage.weft.verb("stop")
        wait_until(lambda: not stage.weft.process.is_alive(), "weft has ended", 10 * stage.relax)
        took = time.monotonic() - began
    print(f"# ended after {ms(took)}")
    check(1.0 <= took < 3.5 * stage.relax, f"it took {took:.2f} s")
    stage.weft.start()
