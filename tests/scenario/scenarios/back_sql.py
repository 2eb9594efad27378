# SPDX-License-Identifier: ISC
"""A PostgreSQL that goes, is slow, or has its answers cut off; a SQLite that somebody else has locked."""
import calendar
import collections
import os
import random
import re
import shutil
import signal
import sqlite3
import time

from lib import fcgi
from lib.askers import Askers, ask, between, percentile, tally
from lib.place import check, wait_until
from lib.suite import scenario
from lib.weft import PROBE
from scenarios.back import TRIES, Back, check_all, ms, others_go_on
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

def sleepers(stage):
    """How many statements sleep in the database."""
    if stage.database is stage.postgres:
        return stage.database.query("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'")
    return stage.database.query("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'")


def a_client_that_leaves_ends_its_statement(stage):
    """At once here, and in the database."""
    weft = stage.serve('pool "db" { url = "@DB@"  max = 4 }')
    stage.answers(ROW)
    took = []
    for _ in range(TRIES):
        before = len(cancels(stage))
        conn = fcgi.Connection(weft.socket)
        conn.send(fcgi.request(1, f"{PROBE}?op=wait&ms=30000"))
        wait_until(lambda: sleepers(stage) == "1", "the statement runs", 5 * stage.relax)
        left, left_at = time.monotonic(), time.time()
        conn.close()
        wait_until(lambda: weft.status()["requests"] == 0, "the request is over", 5 * stage.relax, 0.001)
        here = time.monotonic() - left
        wait_until(lambda: sleepers(stage) == "0", "the statement is over", 5 * stage.relax, 0.001)
        there = time.monotonic() - left
        if stage.database is stage.postgres:    # whose log has the time
            wait_until(lambda: len(cancels(stage)) > before, "the statement is cancelled", 5 * stage.relax)
            there = cancels(stage)[-1] - left_at
        print(f"# over after {ms(here)}, cancelled in the database after {ms(there)}")
        took.append((here, there))
        stage.answers(ROW)
    here, there = map(min, zip(*took))
    check(here < 0.1 * stage.relax, f"the request went on for {ms(here)}")
    check(there < 0.1 * stage.relax, f"the statement went on for {ms(there)}")
    stage.wait_idle()


for database in ("postgres", "mariadb"):
    scenario(Back, database)(a_client_that_leaves_ends_its_statement)


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
    """Statements that end within 2 ms of their deadline, on a pool of one connection: who borrows it next gets the answer.

    A KILL QUERY that meets a statement of MariaDB's just as it leaves a wait, such as SLEEP's, holds both up for 2 s, in the
    server (THD::awake_no_mutex, sql/sql_class.cc of 10.11).  weft gives such a connection up after one, which is right.
    """
    rounds = stage.much(500, 5000)
    held_up = rounds // 100 if stage.database is not stage.postgres else 0
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
    print(f"# {rounds} rounds: {dict(codes)}; the slowest round took {ms(slowest)}; {pool['connects']} connects, {pool['losses']} given up")
    check(codes[200] > rounds / 20 and codes[504] > rounds / 20, f"too one-sided to tell anything: {codes}")
    check(pool["losses"] <= held_up, f"{pool['losses']} connections were given up")
    stage.wait_idle()


def a_late_cancel_hits_nobody_else(stage):
    check_late_cancels(stage, "wait")


def a_late_cancel_on_a_borrowed_connection_hits_nobody_else(stage):
    check_late_cancels(stage, "held")


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


def check_ledger_over(stage, event, proxy=None, how=INSERT, losses=1):
    """Inserts without a pause, and in their midst an event.

    losses      how often it ends all connections; None: nobody knows
    """
    begin(stage)
    weft = stage.serve(LEDGER.replace("@URL@", stage.database.url if proxy is None else proxy[1]))
    stage.answers(ROW)
    users = Askers(weft, how, "users", k=40, r=1500)
    time.sleep(0.5)
    connects, began = stage.pool("db")["connects"], time.monotonic()
    event()
    returned = time.monotonic()
    wait_until(lambda: weft.ask(ROW).code == 200, "the service resumes", 2 * stage.relax)
    print(f"# served {ms(time.monotonic() - returned)} after its return")
    time.sleep(0.7)
    tried, took = stage.pool("db")["connects"] - connects, time.monotonic() - began
    print(f"# {tried} connects in {took:.1f} s")
    check(losses is None or tried <= 20 * losses + 10 * took * stage.relax, f"{tried} connects in {took:.1f} s")
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
    check_ledger_over(stage, event, losses=5)


def check_random_cuts(stage, how):
    """Cuts in both directions, at any byte; then all at once, and the database with them, and what is between is killed, too."""
    proxy, url = stage.database_proxy()
    cuts = []

    def event():
        for seed, lane in enumerate(("down", "up") * stage.long(2, 20)):
            proxy.tell("seed", seed)
            proxy.tell("chance", lane, 20000)
            time.sleep(0.7)
            proxy.tell("chance", lane, 0)
            proxy.tell("end", "reset" if seed % 2 else "close")
            time.sleep(0.1)
            if seed % 4 == 3:
                stage.database.kill()
                proxy.tell("end", "reset")
                stage.database.start()
                time.sleep(0.5)
        cuts.append(proxy.stats().cuts)
        proxy.process.kill()
        proxy.start()

    _, unknown, _ = check_ledger_over(stage, event, (proxy, url), how, losses=None)
    print(f"# {cuts[0]} cuts")
    check(cuts[0] > 10 and unknown > 0, f"{cuts} cuts, and {unknown} unknown outcomes: that tells nothing")


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


# ---- what was prepared does not fit any more ----

def a_change_of_a_table_is_not_noticed(stage):
    """What was prepared has other columns now, or is to be planned anew: it is prepared once more, on the same connection."""
    weft = stage.serve('pool "db" { url = "@DB@"  max = 8  min = 8 }')
    stage.answers(ROW)
    wait_until(lambda: stage.pool("db")["open"] == 8, "the pool is full", 5 * stage.relax)
    connects = stage.pool("db")["connects"]
    change = "ALTER COLUMN randomnumber TYPE" if stage.database is stage.postgres else "MODIFY randomnumber"
    users = Askers(weft, ROW, "users", k=16, r=1500)
    try:
        for kind in ("bigint", "integer", "text" if stage.database is stage.postgres else "varchar(20)") * stage.much(2, 20):
            time.sleep(0.2)
            stage.database.query(f"ALTER TABLE world {change} {kind}" + (f" USING randomnumber::{kind}" if "TYPE" in change else ""))
    finally:
        stage.database.query(f"ALTER TABLE world {change} integer" + (" USING randomnumber::integer" if "TYPE" in change else ""))
    time.sleep(0.2)
    results = users.end()
    check_all(results, 200, "who asks meanwhile")
    check(all(result.text == RIGHT.decode() for result in results), "a wrong row")
    check(stage.pool("db")["connects"] == connects and stage.pool("db")["losses"] == 0, f"{stage.pool('db')}")


for database in ("postgres", "mariadb"):
    scenario(Back, database)(a_change_of_a_table_is_not_noticed)


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
        found["readers"] = ask(weft, ROW, limit=120, name="readers", n=stage.long(40, 1200), r=20)
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


# A file system of one process's own, so small that it can be filled, without any privilege; and a database in it.
SMALL = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=1m none "$0" && cp "$0".db "$0"/ledger.db && exec "$@"']


@scenario(Back, limit=60)
def a_full_disk_costs_nobody_his_rows(stage):
    """Who writes is told so, who reads is served; what was acknowledged is there, and when there is room again it goes on."""
    folder = stage.place.path("small")
    os.mkdir(folder)
    make_world(folder + ".db").close()
    weft = stage.serve(f'pool "db" {{ url = "sqlite:{folder}/ledger.db"  max = 4  call_timeout = "1s" }}', launcher=SMALL + [folder])
    inside = f"/proc/{weft.worker()}/root{folder}"
    stage.answers(ROW)
    found = {}

    def full():
        with open(inside + "/filler", "wb") as file:
            file.write(bytes(500000))
        writers = Askers(weft, "op=insert&n=%n", f"writers{len(found)}", f=100000 * (1 + len(found)), k=4, r=300)
        time.sleep(1.0)
        readers = ask(weft, ROW, name="readers", n=100, r=100)
        found[len(found)] = writers.end()
        check_all(readers, 200, "who reads")
        os.unlink(inside + "/filler")
        wait_until(lambda: weft.ask("op=insert&n=7").code == 200, "a write is done again", 5 * stage.relax)

    others_go_on(stage, full, bound=0.02)
    results = [result for each in found.values() for result in each]
    sure = {result.number for result in results if result.status == 200}
    print(f"# {tally(results)}")
    check(set(tally(results)) == {200, 500}, f"writers are answered {tally(results)}")
    check(any("full" in result.text for result in results if result.status == 500) or "full" in weft.process.log_text(), "nobody says why")
    stage.wait_idle()
    shutil.copytree(inside, stage.place.path("copy"))
    db = sqlite3.connect(stage.place.path("copy") + "/ledger.db")
    rows = [row[0] for row in db.execute("SELECT token FROM ledger WHERE token >= 100000")]
    check(len(rows) == len(set(rows)) and set(rows) == sure, f"{len(sure)} were acknowledged, and {len(rows)} are there")
    check(db.execute("PRAGMA integrity_check").fetchone()[0] == "ok", "the database is damaged")
    db.close()


@scenario(Back)
def a_file_as_large_as_it_may_be_ends_no_worker(stage):
    """The kernel has a signal for that, which ends whoever does not mind it."""
    path = stage.place.path("ledger.db")
    make_world(path).close()
    weft = stage.serve(f'pool "db" {{ url = "sqlite:{path}"  max = 2  call_timeout = "1s" }}', launcher=["prlimit", "--fsize=100000"])
    stage.answers(ROW)
    pid = weft.worker()
    results = ask(weft, "op=insert&n=%n", n=100)
    print(f"# {tally(results)}")
    check(set(tally(results)) == {200, 500}, f"writers are answered {tally(results)}")
    check_all(ask(weft, ROW, name="readers", n=20), 200, "who reads")
    check(weft.worker() == pid, "another worker answers")
