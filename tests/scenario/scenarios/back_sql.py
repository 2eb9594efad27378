# SPDX-License-Identifier: ISC
"""A PostgreSQL that goes, is slow, or has its answers cut off; a SQLite that somebody else has locked."""
import calendar
import collections
import os
import random
import re
import signal
import sqlite3
import time

from lib import fcgi
from lib.askers import Askers, ask, between, percentile, tally
from lib.backends import ROWS
from lib.place import check, wait_until
from lib.suite import scenario
from lib.weft import PROBE
from scenarios.back import Back, check_all, ms, others_go_on
from scenarios.cuts import check_each_cut, check_each_flip, check_each_start
from scenarios.ledger import COMMIT, INSERT, begin, check_ledger

ROW = "op=sql&id=7"
RIGHT = b"7 49"
CANCELED = re.compile(r"^(\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+)\.(\d+) .*canceling statement due to user request", re.M)


def cancels(stage):
    """Returns when PostgreSQL has cancelled statements, in seconds of the wall clock."""
    return [calendar.timegm(tuple(map(int, at[:6]))) + int(at[6]) / 1000
            for at in CANCELED.findall(stage.postgres.process.log_text())]


def make_world(path):
    """A SQLite database with a row of world, and an empty ledger."""
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE ledger (token INTEGER NOT NULL)")
    db.execute("CREATE TABLE world (id INTEGER PRIMARY KEY, randomnumber INTEGER NOT NULL)")
    db.execute("INSERT INTO world VALUES (7, 49)")
    return db


# ---- somebody leaves ----

@scenario(Back)
def a_client_that_leaves_ends_its_statement(stage):
    """At once here, and in the database."""
    weft = stage.serve('pool "db" { url = "@DB@"  max = 4 }')
    stage.answers(ROW)
    running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'"
    for _ in range(3):
        before = len(cancels(stage))
        conn = fcgi.Connection(weft.socket)
        conn.send(fcgi.request(1, f"{PROBE}?op=wait&ms=30000"))
        wait_until(lambda: stage.postgres.query(running) == "1", "the statement runs", 5 * stage.relax)
        left, left_at = time.monotonic(), time.time()
        conn.close()
        wait_until(lambda: weft.status()["requests"] == 0, "the request is over", 5 * stage.relax, 0.001)
        here = time.monotonic() - left
        wait_until(lambda: len(cancels(stage)) > before, "the statement is cancelled", 5 * stage.relax)
        there = cancels(stage)[-1] - left_at
        print(f"# over after {ms(here)}, cancelled in the database after {ms(there)}")
        check(here < 0.1 * stage.relax, f"the request went on for {ms(here)}")
        check(there < 0.1 * stage.relax, f"the statement went on for {ms(there)}")
        check(stage.postgres.query(running) == "0", "it runs still")
        stage.answers(ROW)
    stage.wait_idle()


def sleep_until_cancelled(conn, other, rng, op):
    """A statement that ends when its deadline comes, and one that waits for its connection.  Returns both replies."""
    length = rng.randint(4, 8)
    deadline = length + rng.randint(-2, 2)
    conn.send(fcgi.request(1, f"{PROBE}?op={op}&ms={length}&deadline={deadline}"))
    # As long before as the first may need to get there.
    time.sleep(0.0005)
    other.send(fcgi.request(1, f"{PROBE}?{ROW}"))
    return conn.gather([1])[1], other.gather([1])[1]


def check_late_cancels(stage, op):
    """Statements that end within 2 ms of their deadline, on a pool of one connection: who borrows it next gets the answer."""
    rounds = stage.much(500, 5000)
    # A KILL that meets a statement at its very end may hold it up, and wait for it, for up to two seconds in mariadbd itself.
    spared = 0 if stage.database is stage.postgres else 1 + rounds // 500
    weft = stage.serve('pool "db" { url = "@DB@"  max = 1  min = 1  queue_timeout = "5s" }')
    stage.answers(ROW)
    rng = random.Random(1)
    codes = collections.Counter()
    slowest = 0.0
    with fcgi.Connection(weft.socket) as conn, fcgi.Connection(weft.socket) as other:
        for _ in range(rounds):
            began = time.monotonic()
            first, second = sleep_until_cancelled(conn, other, rng, op)
            slowest = max(slowest, time.monotonic() - began)
            codes[first.code] += 1
            check(first.code in (200, 504), f"the first is answered {first.code} {first.body!r}")
            check(second.code == 200 and second.body == RIGHT, f"the next is answered {second.code} {second.body!r}")
    pool = stage.pool("db")
    print(f"# {rounds} rounds: {dict(codes)}; the slowest round took {ms(slowest)}; {pool['connects']} connects")
    check(codes[200] > rounds / 20 and codes[504] > rounds / 20, f"too one-sided to tell anything: {codes}")
    check(pool["losses"] <= spared, f"{pool['losses']} connections were given up")
    stage.wait_idle()


def a_late_cancel_hits_nobody_else(stage):
    check_late_cancels(stage, "wait")


def a_late_cancel_on_a_borrowed_connection_hits_nobody_else(stage):
    check_late_cancels(stage, "held")


# ---- too few connections ----

@scenario(Back, limit=60)
def a_pool_that_is_used_up_has_a_queue(stage):
    """First come, first served; who waits for too long is told so, and other pools do not notice."""
    weft = stage.serve('pool "db" { url = "@DB@"  max = 1  min = 1  queue_timeout = "1s" }\n'
                       'pool "other" { url = "@DB@"  max = 2  min = 2 }')
    stage.answers(ROW, ROW + "&pool=other")
    with fcgi.Connection(weft.socket) as first, fcgi.Connection(weft.socket) as second:
        first.send(fcgi.request(1, f"{PROBE}?op=wait&ms=400"))
        time.sleep(0.1)
        waiters = ask(weft, "op=wait&ms=5", n=20, k=20, r=300)
        check(first.gather([1])[1].code == 200, "the first is not answered")
        check_all(waiters, 200, "who waited")
        order = [result.number for result in sorted(waiters, key=lambda result: result.began + result.took)]
        check(order == sorted(order), f"they were served in the order {order}")

        first.send(fcgi.request(1, f"{PROBE}?op=wait&ms=1600"))
        time.sleep(0.05)
        began = time.monotonic()
        second.send(fcgi.request(1, f"{PROBE}?op=wait&ms=1"))
        others = ask(weft, ROW + "&pool=other", n=100)
        told = second.gather([1])[1]
        took = told.ended_at - began
        check(first.gather([1])[1].code == 200, "the first is not answered")
    check(told.code == 503 and b"db: too busy" in told.body, f"it is told {told.code} {told.body!r}")
    print(f"# told after {ms(took)} that no connection came free; another pool answered within {ms(percentile(others, 0.99))}")
    check(1.0 <= took < 1.0 + 0.05 * stage.relax, f"it was told after {ms(took)}")
    check_all(others, 200, "another pool")
    check(percentile(others, 0.9) < 0.02 * stage.relax, "another pool had to wait")


FOUR = 'pool "db" { url = "@URL@"  max = 10  min = 4  queue_timeout = "20s" }'


def the_database_never_sees_one_connection_too_many(stage):
    """Ten for four workers, 500 requests at once: an eleventh would be refused by name."""
    stage.database.make_user("ten", 10)
    proxy, url = stage.database_proxy(user="ten")
    weft = stage.serve(FOUR.replace("@URL@", url), workers=4)
    stage.answers(ROW)
    results = Askers(weft, "op=wait&ms=10", "sleepers", k=250, n=stage.much(1500, 20000))
    quick = [result for _ in range(stage.long(1, 10)) for result in ask(weft, "op=sql&id=%n", k=250, n=stage.much(4000, ROWS))]
    slow = results.wait()
    stats = proxy.stats()
    print(f"# at most {stats.peak} connections, {stats.ever} in all; {tally(slow)} slow and {tally(quick)} quick answers")
    check_all(slow + quick, 200, "all of them")
    for result in quick:
        check(result.text == f"{result.number} {result.number * 7 % 10007}", f"a foreign row: {result}")
    check(stats.peak <= 10, f"it saw {stats.peak} connections")
    said = weft.process.log_text()
    check("too many connections for role" not in said and "max_user_connections" not in said, "it refused some")


for database in ("postgres", "mariadb"):
    scenario(Back, database, limit=60)(the_database_never_sees_one_connection_too_many)


# ---- the database hangs ----

HUNG = """\
pool "db" { url = "@DB@"  max = 100  min = 100  call_timeout = "500ms"  connect_timeout = "1s"  queue_timeout = "1s" }
pool "file" { url = "sqlite:@FILE@"  max = 2  call_timeout = "1s"  queue_timeout = "1s" }
"""


def a_stopped_database_holds_nobody_up(stage):
    """It takes statements, and cancels, and answers none of them.  Deadlines tell; nobody else waits, nor what needs a thread."""
    path = stage.place.path("world.db")
    make_world(path).close()
    weft = stage.serve(HUNG.replace("@FILE@", path))
    stage.answers(ROW, ROW + "&pool=file")
    wait_until(lambda: stage.pool("db")["open"] == 100, "the pool is full", 10 * stage.relax)
    found = {}

    def stopped():
        stage.database.pause()
        users = Askers(weft, ROW, "users", k=300, r=300)
        time.sleep(1.5)
        found["files"] = ask(weft, ROW + "&pool=file", name="files", n=100, k=100, r=100)
        time.sleep(stage.long(1, 20))
        stage.database.go_on()
        returned = time.monotonic()
        wait_until(lambda: weft.ask(ROW).code == 200, "it is used again", 2 * stage.relax)
        found["back"] = time.monotonic() - returned
        found["users"] = users.end()

    others_go_on(stage, stopped, bound=0.02)
    slowest = percentile(found["users"], 1)
    files = percentile(found["files"], 0.9)
    print(f"# told within {ms(slowest)}: {tally(found['users'])}; SQLite meanwhile within {ms(files)}: {tally(found['files'])};"
          f" served {ms(found['back'])} after its return")
    check(set(tally(found["users"])) <= {200, 503, 504}, f"it answers {tally(found['users'])}")
    check(slowest < 1.5 * stage.relax, f"one was told only after {ms(slowest)}")
    check_all(found["files"], 200, "SQLite meanwhile")
    check(files < 0.05 * stage.relax, f"SQLite took {ms(files)}")
    stage.wait_idle()


def weft_ends_while_the_database_hangs(stage):
    """With cancels under way that nobody answers."""
    weft = stage.serve('pool "db" { url = "@DB@"  max = 4  min = 4 }')
    stage.answers(ROW)
    wait_until(lambda: stage.pool("db")["open"] == 4, "the pool is full", 5 * stage.relax)
    stage.database.pause()
    check_all(ask(weft, ROW + "&deadline=100", n=4, k=4), 504, "who asks it")
    time.sleep(0.3)
    began = time.monotonic()
    status = weft.stop()
    took = time.monotonic() - began
    print(f"# it ended after {ms(took)}")
    check(status == 0 and took < 3 * stage.relax, f"it ended with {status} after {ms(took)}")


for database in ("postgres", "mariadb"):
    for function in (a_stopped_database_holds_nobody_up, weft_ends_while_the_database_hangs):
        scenario(Back, database, limit=60)(function)


# ---- the database goes ----

LEDGER = 'pool "db" { url = "@URL@"  max = 20  min = 20 }'


OURS = "FROM pg_stat_activity WHERE application_name = 'weft'"


@scenario(Back)
def connections_that_die_idle_are_replaced(stage):
    """Nobody is told of it, not even who asks before anybody has noticed; and be they old or new."""
    weft = stage.serve('pool "db" { url = "@DB@"  max = 8  min = 8 }')
    stage.answers(ROW)
    pid = weft.worker()
    for age in (0, 1.2, 0):
        wait_until(lambda: stage.pool("db")["open"] == 8, "the pool is full", 5 * stage.relax)
        time.sleep(age)
        # It finds all of that at once when it wakes up: eight ends, and a hundred requests.
        os.kill(pid, signal.SIGSTOP)
        try:
            stage.postgres.query(f"SELECT count(pg_terminate_backend(pid)) {OURS}")
            wait_until(lambda: stage.postgres.query(f"SELECT count(*) {OURS}") == "0", "they are gone", 5 * stage.relax)
            users = Askers(weft, ROW, "users", n=100, k=100)
            time.sleep(0.1)
        finally:
            os.kill(pid, signal.SIGCONT)
        check_all(users.wait(), 200, "who asks then")
    stage.wait_idle()


def check_ledger_over(stage, event, proxy=None, how=INSERT):
    """Inserts without a pause, and in their midst an event."""
    begin(stage)
    weft = stage.serve(LEDGER.replace("@URL@", stage.database.url if proxy is None else proxy[1]))
    stage.answers(ROW)
    users = Askers(weft, how, "users", k=40, r=1500)
    time.sleep(0.5)
    event()
    returned = time.monotonic()
    wait_until(lambda: weft.ask(ROW).code == 200, "the service resumes", 2 * stage.relax)
    print(f"# served {ms(time.monotonic() - returned)} after its return")
    time.sleep(0.7)
    return check_ledger(stage, users.end(), how)


@scenario(Back)
def no_insert_is_made_twice_over_a_fast_restart(stage):
    check_ledger_over(stage, lambda: stage.postgres.restart(signal.SIGINT))


@scenario(Back)
def no_insert_is_made_twice_over_an_immediate_restart(stage):
    check_ledger_over(stage, lambda: stage.postgres.restart(signal.SIGQUIT))


def no_insert_is_made_twice_over_a_kill(stage):
    def event():
        stage.database.kill()
        stage.database.start()
    check_ledger_over(stage, event)


@scenario(Back)
def no_insert_is_made_twice_when_connections_are_ended(stage):
    def event():
        for _ in range(5):
            stage.postgres.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'weft'")
            time.sleep(0.3)
    check_ledger_over(stage, event)


def check_random_cuts(stage, how):
    """Cuts in both directions, at any byte; then all at once, and the database with them."""
    proxy, url = stage.database_proxy()

    def event():
        for seed, lane in enumerate(("down", "up") * stage.long(2, 20)):
            proxy.tell("seed", seed)
            proxy.tell("chance", lane, 20000)
            time.sleep(0.7)
            proxy.tell("chance", lane, 0)
            proxy.tell("end", "reset" if seed % 2 else "close")
            time.sleep(0.1)
        stage.database.kill()
        proxy.tell("end", "reset")
        stage.database.start()

    _, unknown, _ = check_ledger_over(stage, event, (proxy, url), how)
    cuts = proxy.stats().cuts
    print(f"# {cuts} cuts")
    check(cuts > 10 and unknown > 0, f"{cuts} cuts, and {unknown} unknown outcomes: that tells nothing")


def no_insert_is_made_twice_over_random_cuts(stage):
    check_random_cuts(stage, INSERT)


def no_transaction_is_made_twice_over_random_cuts(stage):
    check_random_cuts(stage, COMMIT)


def a_reply_is_cut_at_each_byte(stage):
    check_each_cut(stage, "sql&id=7", RIGHT, stage.database_proxy, pools=12)


def it_is_cut_off_while_it_connects(stage):
    """And in the answer to a statement that is prepared for the first time."""
    check_each_start(stage, "sql&id=7", RIGHT, stage.database_proxy, pools=12)


def a_reply_has_a_flipped_bit(stage):
    check_each_flip(stage, "sql&id=7", RIGHT, stage.database_proxy, pools=12)


for database in ("postgres", "mariadb"):
    for function in (a_late_cancel_hits_nobody_else, no_insert_is_made_twice_over_a_kill,
                     no_insert_is_made_twice_over_random_cuts, a_reply_is_cut_at_each_byte, it_is_cut_off_while_it_connects,
                     a_reply_has_a_flipped_bit, a_late_cancel_on_a_borrowed_connection_hits_nobody_else,
                     no_transaction_is_made_twice_over_random_cuts):
        scenario(Back, database, limit=60)(function)


# ---- SQLite ----

@scenario(Back)
def a_locked_sqlite_holds_nobody_up(stage):
    """Another process has it: who writes is told in time, who reads is served, and nobody else notices."""
    path = stage.place.path("ledger.db")
    db = make_world(path)
    weft = stage.serve(f'pool "db" {{ url = "sqlite:{path}"  max = 4  call_timeout = "1s"  queue_timeout = "1s" }}')
    stage.answers("op=insert&n=0", ROW)
    found = {}

    def locked():
        db.execute("BEGIN EXCLUSIVE")
        writers = Askers(weft, "op=insert&n=%n", "writers", k=3, r=20)
        found["readers"] = ask(weft, ROW, name="readers", n=40, r=20)
        found["writers"] = writers.end()
        db.execute("COMMIT")

    others_go_on(stage, locked, bound=0.02)
    slowest = percentile(found["writers"], 1)
    print(f"# writers: {tally(found['writers'])} within {ms(slowest)}; readers: {tally(found['readers'])}")
    check(set(tally(found["writers"])) <= {500, 503, 504}, f"writers were answered {tally(found['writers'])}")
    check(slowest < 2.2 * stage.relax, f"one was told after {ms(slowest)}")
    check_all(between(found["readers"], 0), 200, "readers")
    stage.answers("op=insert&n=1")
    check(db.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "the database is damaged")
    rows = [row[0] for row in db.execute("SELECT token FROM ledger")]
    check(rows.count(1) >= 1 and set(rows) <= {0, 1}, f"writers that were told of a failure have written {rows}")
    db.close()
    stage.wait_idle()
