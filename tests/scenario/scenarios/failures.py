# SPDX-License-Identifier: ISC
"""Each kind of failure that a handler can tell apart, from each back end that has it: its result, the back end's code, its HTTP status."""
import collections
import re
import time
import urllib.parse

from lib import fcgi
from lib.backends import Service
from lib.place import check, wait_until
from lib.proxy import Proxy
from lib.suite import Stage, scenario
from lib.weft import BASIC, Weft
from scenarios.back_sql import make_world

# rc.h
NOT_SENT, UNKNOWN, REFUSED, TIMEOUT, CANCELED, BUSY, DOWN = range(1, 8)
STATUS = {NOT_SENT: 503, UNKNOWN: 503, REFUSED: 500, TIMEOUT: 504, BUSY: 503, DOWN: 503}
WORDS = {NOT_SENT: b"could not be reached", UNKNOWN: b"outcome unknown", REFUSED: b"refused the request",
         TIMEOUT: b"no answer in time", BUSY: b"too busy", DOWN: b": down"}
NAME = {NOT_SENT: "not sent", UNKNOWN: "unknown", REFUSED: "refused", TIMEOUT: "timeout", CANCELED: "cancelled", BUSY: "busy", DOWN: "down"}
LINE = re.compile(r'failure rc=(\d+) noted=(\d+) code="([^"]*)" text="([^"]*)')

ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000000000) SELECT count(*) FROM c"

# kind, a question that takes long, one that is refused, with its code, one that is quick
Kind = collections.namedtuple("Kind", "kind long wrong code quick")
KINDS = {
    "redis": Kind("redis", None, "GET failures:list", "WRONGTYPE", "PING"),
    "postgres": Kind("sql", "SELECT pg_sleep(2)", "SELECT 1 / 0", "22012", "SELECT 1"),
    "mariadb": Kind("sql", "SELECT SLEEP(2)", "SELECT * FROM nowhere", "1146", "SELECT 1"),
    "sqlite": Kind("sql", ENDLESS, "SELECT * FROM nowhere", "SQLITE_ERROR", "SELECT 1"),
    "http": Kind("http", "/wait?ms=2000", None, None, "/wait?ms=0"),
}


class Failing(Stage):
    """One back end: as it is, behind a proxy, where nobody is, and with one connection and a queue of one."""

    def open(self):
        self.name = self.arguments[0]
        self.kind = KINDS[self.name]
        self.service = None
        self.proxy = None
        address, url = getattr(self, "begin_" + self.name)()
        pools = f'pool "good" {{ url = "{url(address)}"  max = 4 }}\npool "few" {{ url = "{url(address)}"  max = 1  queue = 1  queue_timeout = "5s" }}\n'
        if self.name == "sqlite":
            pools += 'pool "gone" { url = "sqlite:/nowhere/at/all.db"  max = 1  queue_timeout = "300ms" }\n'
        else:
            self.proxy = Proxy(self.place, "proxy", address, "127.0.0.1:0")
            behind = f"127.0.0.1:{self.proxy.port}"
            pools += f'pool "cut" {{ url = "{url(behind)}"  max = 1 }}\n'
            pools += f'pool "gone" {{ url = "{url("127.0.0.1:1")}"  max = 1  queue_timeout = "300ms" }}\n'
        text = BASIC.replace('sandbox = "on"\n', "") + pools + 'module "waits" { file = "@SUPPORT@/waits.so"  prefix = "/app" }\n'
        self.weft = Weft(self.place, text).start()
        wait_until(lambda: self.ask("good", self.kind.quick)[0].code == 200, "it answers", 10 * self.relax)

    def close(self):
        wrong = super().close()
        if self.service is not None:
            self.service.kill()
        return wrong

    def begin_redis(self):
        self.suite.redis.ask("LPUSH", "failures:list", "x")
        return "unix:" + self.suite.redis.socket, lambda at: f"redis+{at.replace('unix:', 'unix://')}" if "unix" in at else f"redis://{at}"

    def begin_postgres(self):
        return f"127.0.0.1:{self.suite.postgres.port}", lambda at: f"postgresql://postgres@{at}/postgres"

    def begin_mariadb(self):
        sock = self.suite.mariadb.socket
        return "unix:" + sock, lambda at: f"mariadb://root@/weft?socket={sock}" if "unix" in at else f"mariadb://root@{at}/weft"

    def begin_sqlite(self):
        make_world(self.place.path("failing.db")).close()
        return self.place.path("failing.db"), lambda at: f"sqlite:{at}"

    def begin_http(self):
        self.service = Service().start()
        return f"127.0.0.1:{self.service.port}", lambda at: f"http://{at}"

    def question(self, pool, text, **more):
        return "/app/failure?" + urllib.parse.urlencode({"kind": self.kind.kind, "pool": pool, "text": text, **more}, quote_via=urllib.parse.quote)

    def long(self, pool, **more):
        """What takes two seconds.  Redis has that only for who has borrowed the connection."""
        if self.name == "redis":
            return self.question(pool, "BLPOP failures:none 2", lend=1, **more)
        return self.question(pool, self.kind.long, **more)

    def ask(self, pool, text, **more):
        return self.reply(self.question(pool, text, **more))

    def reply(self, uri):
        """Returns the reply and what the handler has logged of its failure."""
        reply = fcgi.ask(self.weft.socket, uri)
        return reply, self.told()

    def told(self):
        found = LINE.findall(self.weft.process.log_text())
        return found[-1] if found else None

    def begin(self, uri):
        conn = fcgi.Connection(self.weft.socket)
        conn.send(fcgi.request(1, uri))
        return conn

    def expect(self, rc, got, code="", took=None):
        reply, told = got
        check(told is not None and int(told[0]) == rc and int(told[1]) == rc,
              f"{NAME[rc]}: the handler was told {told}, its client {reply.code} {reply.body!r}")
        check(told[2].startswith(code) if code else True, f"{NAME[rc]}: its code is {told[2]!r}")
        check(told[3] != "", f"{NAME[rc]}: nothing is said of it")
        check(reply.code == STATUS[rc] and WORDS[rc] in reply.body, f"{NAME[rc]}: answered {reply.code} {reply.body!r}")
        check((b"Retry-After: 1" in reply.head) == (reply.code == 503), f"{NAME[rc]}: its head is {reply.head!r}")
        check(took is None or took < 0.1 * self.relax, f"{NAME[rc]}: after {took} s")


def refused(stage):
    """With the back end's own code and text.  An HTTP service's error is an answer like any other."""
    stage.expect(REFUSED, stage.ask("good", stage.kind.wrong), stage.kind.code)


def late(stage):
    stage.expect(TIMEOUT, stage.reply(stage.long("good", deadline=200)))


def cancelled(stage):
    """Nobody is there any more: it is only the handler who learns of it."""
    before = stage.told()
    stage.begin(stage.long("good")).close()
    wait_until(lambda: stage.told() != before, "the handler is told", 5 * stage.relax)
    check(int(stage.told()[0]) == CANCELED, f"the handler was told {stage.told()}")


def busy(stage):
    """One has the connection, one waits for it, the third is refused at once."""
    first, second = stage.begin(stage.long("few", deadline=700)), None
    time.sleep(0.2)
    second = stage.begin(stage.long("few", deadline=600))
    time.sleep(0.2)
    began = time.monotonic()
    got = stage.ask("few", stage.kind.quick)
    stage.expect(BUSY, got, took=time.monotonic() - began)
    for conn in (first, second):
        conn.gather([1])
        conn.close()


def down(stage):
    """At first after the time in the queue, and at once when it is known."""
    def is_known():
        began = time.monotonic()
        stage.expect(DOWN, stage.ask("gone", stage.kind.quick))
        return time.monotonic() - began < 0.1 * stage.relax
    wait_until(is_known, "it is known to be down", 10 * stage.relax)
    reasons = {pool["name"]: pool.get("reason") for pool in stage.weft.status()["pools"] if pool["down"] or "reason" in pool}
    check(list(reasons) == ["gone"] and reasons["gone"], f"weft status says why, of whom it is down: {reasons}")


def unknown(stage):
    """The connection ends while the answer is owed."""
    wait_until(lambda: stage.ask("cut", stage.kind.quick)[0].code == 200, "it answers", 10 * stage.relax)
    conn = stage.begin(stage.long("cut", **({"method": "POST"} if stage.name == "http" else {})))
    time.sleep(0.3)
    stage.proxy.tell("end", "reset")
    reply = conn.gather([1])[1]
    conn.close()
    stage.expect(UNKNOWN, (reply, stage.told()))


def not_sent(stage):
    """A connection that was borrowed, and lost while nothing was asked of it; never another one instead."""
    quick = stage.kind.quick
    wait_until(lambda: stage.ask("cut", quick)[0].code == 200, "it answers", 10 * stage.relax)
    conn = stage.begin(stage.question("cut", quick, lend=1, again=quick))
    time.sleep(0.3)
    stage.proxy.tell("end", "reset")
    reply = conn.gather([1])[1]
    conn.close()
    stage.expect(NOT_SENT, (reply, stage.told()))


APPLY = {
    "redis": [refused, late, cancelled, busy, down, unknown, not_sent],
    "postgres": [refused, late, cancelled, busy, down, unknown, not_sent],
    "mariadb": [refused, late, cancelled, busy, down, unknown, not_sent],
    "sqlite": [refused, late, cancelled, busy, down],       # no connection that could be lost
    "http": [late, cancelled, busy, down, unknown],         # none that is lent
}
for back_end, functions in APPLY.items():
    for function in functions:
        scenario(Failing, back_end, name=f"{function.__name__}_is_told_apart")(function)
