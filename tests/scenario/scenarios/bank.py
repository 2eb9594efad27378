# SPDX-License-Identifier: ISC
"""Transactions over several statements: many at once, the same one twice, and connections that die in the middle."""
import collections
import random
import re
import sqlite3
import threading
import time
import urllib.parse

from lib import fronts, http
from lib.place import Failure, check, wait_until
from lib.suite import Stage, scenario
from lib.weft import PROBE, Weft

ACCOUNTS = 4
FULL = 100000       # cents in each at first
CONNECTIONS = 5

CONF = """\
workers = 1
control = "@RUN@/control.sock"
listen "web" { address = "unix:@RUN@/web.sock"  mode = "0666" }
module "probe" { file = "@MODULES@/probe.so"  prefix = "/app" }
module "bank" { file = "@MODULES@/bank.so"  prefix = "/app/bank" }
pool "bank" { url = "@DB@"  max = 5  queue_timeout = "20s" }
"""


class Bank(Stage):
    """The example on a database of each kind, with accounts that are full."""

    def open(self):
        if not fronts.Lighttpd.is_there():
            raise Failure("no lighttpd here")
        self.server = None if self.arguments[0] == "sqlite" else getattr(self.suite, self.arguments[0])
        self.file = self.place.path("bank.sqlite")
        schema = fronts.examples["bank/schema.sql"]
        if self.server:
            database = self.server.load("bank", schema)
        else:
            with sqlite3.connect(self.file) as connection:
                connection.executescript(schema)
            database = "sqlite:" + self.file
        self.weft = Weft(self.place, CONF, DB=database).start()
        self.front = fronts.Lighttpd(self.place).start()
        wait_until(lambda: self.front.fetch(PROBE + "?op=ok").is_ok, "a request passes", 15, 0.05)

    def ask(self, text):
        """Returns the rows of a query that is not weft's."""
        if self.server:
            return [tuple(map(int, re.split(r"[|\t]", line))) for line in self.server.query(text, "bank").splitlines()]
        with sqlite3.connect(self.file, timeout=20) as connection:
            return connection.execute(text).fetchall()

    def fill(self):
        for text in ("DELETE FROM transfer", f"UPDATE account SET cents = {FULL}"):
            self.ask(text)

    def request(self, token, payer, payee, cents):
        form = urllib.parse.urlencode({"token": token, "from": payer, "to": payee, "cents": cents})
        return http.Request(self.front.port, "/app/bank/transfer", "POST", form.encode(),
                            [("Content-Type", "application/x-www-form-urlencoded")])

    def transfers(self, number):
        """So many requests, each between two accounts by lot, and their tokens."""
        lot = random.Random(7)
        tokens = [f"t{i}" for i in range(number)]
        return tokens, [self.request(token, *lot.sample(range(1, ACCOUNTS + 1), 2), lot.randint(1, 50)) for token in tokens]

    def check_books(self):
        """What is in the accounts is what the transfers say."""
        want = collections.Counter({number: FULL for number in range(1, ACCOUNTS + 1)})
        for payer, payee, cents in self.ask("SELECT payer, payee, cents FROM transfer"):
            want[payer] -= cents
            want[payee] += cents
        found = dict(self.ask("SELECT id, cents FROM account"))
        check(found == dict(want), f"the accounts have {found}, and should have {dict(want)}")

    def check_idle(self):
        """Nothing is lent any more, and nothing left behind by a handler."""
        pool = wait_until(lambda: next((pool for pool in self.weft.status()["pools"] if pool["lent"] == 0), None),
                          "all connections are given back", 5, 0.05)
        check(pool["left"] == 0, f"handlers left {pool['left']} connections behind")
        return pool


def two_hundred_share_five_connections(stage):
    stage.fill()
    _, requests = stage.transfers(200)
    answers = http.fetch_all(requests, 20 * stage.relax)
    for answer in answers:
        check(answer.is_ok and answer.body == b"done\n", f"a transfer is answered {answer}")
    print(f"# 200 transfers: the last after {max(answer.seconds for answer in answers) * 1000:.0f} ms")
    check(stage.ask("SELECT count(*) FROM transfer") == [(200,)], "not all are in the books")
    stage.check_books()
    pool = stage.check_idle()
    check(pool["open"] <= CONNECTIONS, f"{pool['open']} connections are open")
    drawn = stage.weft.verb("timeline", "-n", 50).stdout
    check("p pool queue" in drawn and "s sql" in drawn, f"the timeline does not say what was waited for: {drawn}")


def one_token_moves_once(stage):
    stage.fill()
    answers = http.fetch_all([stage.request("same", 1, 2, 700)] * 20, 20 * stage.relax)
    for answer in answers:
        check(answer.is_ok, f"a transfer is answered {answer}")
    check(dict(stage.ask("SELECT id, cents FROM account"))[2] == FULL + 700, "it was not moved once")
    stage.check_books()


def nothing_is_moved_by_half(stage):
    stage.fill()
    for payer, payee, cents in ((1, 99, 100), (99, 1, 100), (1, 2, FULL + 1)):
        answer, = http.fetch_all([stage.request("half", payer, payee, cents)])
        check(answer.status == 409, f"{cents} from {payer} to {payee} is answered {answer}")
    for payer, payee, cents in ((1, 1, 100), (0, 1, 100), (1, 2, -1), (1, 2, "x")):
        answer, = http.fetch_all([stage.request("half", payer, payee, cents)])
        check(answer.status == 400, f"{cents} from {payer} to {payee} is answered {answer}")
    check(stage.ask("SELECT count(*) FROM transfer") == [(0,)], "something is in the books")
    stage.check_books()
    stage.check_idle()
    page = stage.front.fetch("/app/bank/accounts")
    check(page.is_ok and page.body.splitlines()[0] == b"1\t1000.00\tAda", f"the accounts are {page}")


for database in ("postgres", "mariadb", "sqlite"):
    for function in (two_hundred_share_five_connections, one_token_moves_once, nothing_is_moved_by_half):
        scenario(Bank, database, limit=60)(function)


def connections_die_in_the_middle(stage):
    """Who is told that it is done, finds it in the books, once; what is not known may be in them or not; all else is not."""
    stage.fill()
    tokens, requests = stage.transfers(6000)
    killing = threading.Event()

    def kill():
        while not killing.is_set():
            stage.server.end_connections("bank", 2)
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    answers = []
    # So many at least, and on until one was hit: a transfer takes less than a millisecond.
    while len(answers) < 600 or (len(answers) < len(requests) and all(answer.is_ok for answer in answers)):
        answers += http.fetch_all(requests[len(answers):len(answers) + 50], 20 * stage.relax)
    killing.set()
    killer.join()
    books = {f"t{number}" for number, in stage.ask("SELECT CAST(substr(token, 2) AS integer) FROM transfer")}
    ends = collections.Counter()
    for token, answer in zip(tokens, answers):
        check(answer.error is None and answer.status in (200, 503), f"a transfer is answered {answer}")
        is_unknown = b"done or not" in answer.body
        ends["done" if answer.is_ok else "unknown" if is_unknown else "not done"] += 1
        check(is_unknown or (token in books) == answer.is_ok, f"{token} is {'' if token in books else 'not '}in the books, and {answer}")
    print(f"# {dict(ends)}")
    check(ends["done"] > 0 and len(answers) > ends["done"], f"nothing was hit, or all was: {dict(ends)}")
    stage.check_books()
    wait_until(lambda: http.fetch_all(requests[:1])[0].is_ok, "it serves again", 5 * stage.relax)


for database in ("postgres", "mariadb"):
    scenario(Bank, database, limit=60)(connections_die_in_the_middle)
