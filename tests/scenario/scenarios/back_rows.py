# SPDX-License-Identifier: ISC
"""Exports: many rows, part by part, to clients that take them slowly."""
import sqlite3
import time

from lib import fcgi
from lib.askers import pulse
from lib.place import check, wait_until
from lib.suite import scenario
from lib.weft import PROBE
from limits import measure
from scenarios.back import Back, check_all, ms
from scenarios.cuts import check_each_cut, check_each_flip

READERS = 100
ROWS = 1000000                  # of each export: some 67 MB
LINE = b" sixty characters that make a row as long as most rows are ..\n"
POOL = f'pool "db" {{ url = "@DB@"  max = {READERS}  queue_timeout = "20s"  connect_timeout = "20s" }}'
TICKS = 10                      # a second
PIECE = 2000                    # bytes a tick


def lines(count):
    return b"".join(b"%d" % number + LINE for number in range(1, count + 1))


def take(sock):
    try:
        return len(sock.recv(PIECE))
    except BlockingIOError:
        return 0


def make_numbers(stage):
    """1, 2, 3 … as they are asked for."""
    series = f"SELECT generate_series(1, {ROWS}) AS i" if stage.database is stage.postgres else f"SELECT seq AS i FROM seq_1_to_{ROWS}"
    stage.database.query(f"CREATE OR REPLACE VIEW number AS {series}")


def nobody_is_left(stage):
    """Nothing of an export runs in the database any more."""
    if stage.database is stage.postgres:
        return stage.postgres.query("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT i,%'") == "0"
    return stage.database.query("SELECT count(*) FROM information_schema.processlist WHERE info LIKE 'SELECT i,%'") == "0"


def check_slow_clients(stage, pool, bound=512):
    """bound   KiB for each, with its connection to the database"""
    weft = stage.serve(pool, 'timeout = "120s"')
    stage.answers("op=rows&n=3")
    pid = weft.worker()
    before = measure.settle(pid)
    beats = pulse(weft)
    conns = [fcgi.Connection(weft.socket) for _ in range(READERS)]
    for conn in conns:
        conn.send(fcgi.request(1, f"{PROBE}?op=rows&n={ROWS}"))
    wait_until(lambda: stage.pool("db")["lent"] == READERS, "all of them are open", 20 * stage.relax, 0.1)
    for conn in conns:
        conn.sock.setblocking(False)
    most = got = 0
    for tick in range(int(stage.long(4, 30) * TICKS)):
        began = time.monotonic()
        got += sum(take(conn.sock) for conn in conns)
        if tick % TICKS == TICKS - 1:
            most = max(most, measure.memory(pid) - before)
        time.sleep(max(0.0, began + 1 / TICKS - time.monotonic()))
    others = beats.end()
    check_all(others, 200, "what needs no back end")
    print(f"# {READERS} exports: {most / READERS / measure.KIB:.0f} KiB each; each has read {got / READERS / 1000:.0f} kB")
    check(got > READERS * PIECE, "nobody got anything")
    if stage.relax == 1:
        check(most < READERS * bound * measure.KIB, f"{most / measure.MIB:.0f} MiB for {READERS} exports")
    left = time.monotonic()
    for conn in conns:
        conn.close()
    stage.wait_idle(10.0)
    print(f"# all over {ms(time.monotonic() - left)} after the clients had left")
    reply = weft.ask("op=rows&n=1000")
    check(reply.code == 200 and reply.body == lines(1000), "the next export is not what it should be")


def exports_to_slow_clients_take_little_memory(stage):
    """A hundred of them at once, of 67 MB each, and nobody else notices."""
    make_numbers(stage)
    check_slow_clients(stage, POOL)
    wait_until(lambda: nobody_is_left(stage), "the statements are over", 10 * stage.relax)


def check_whole(stage, pool):
    weft = stage.serve(pool)
    for count in (1, 255, 256, 257, 5000, stage.much(200000, 1000000)):
        reply = weft.ask(f"op=rows&n={count}", 30 * stage.relax)
        check(reply.code == 200 and reply.body == lines(count), f"{count} rows: answered {reply.code}, {len(reply.body)} bytes")
    with fcgi.Connection(weft.socket, 60 * stage.relax) as conn:
        conn.send(fcgi.request(1, f"{PROBE}?op=rows&n=50000"))
        time.sleep(1.0)
        reply = conn.gather([1])[1]
    check(reply.body == lines(50000), f"{len(reply.body)} bytes after a rest")
    check(stage.pool("db")["losses"] == 0, "connections were given up")
    stage.wait_idle()


def an_export_is_whole(stage):
    """However slowly, and in whatever pieces it is read."""
    make_numbers(stage)
    check_whole(stage, POOL)


def an_export_ends_with_its_database(stage):
    """The answer is broken off, so that nobody takes it for the whole."""
    make_numbers(stage)
    weft = stage.serve(POOL)
    stage.answers("op=rows&n=3")
    with fcgi.Connection(weft.socket) as conn:
        conn.send(fcgi.request(1, f"{PROBE}?op=rows&n={ROWS}"))
        wait_until(lambda: not nobody_is_left(stage), "it runs", 10 * stage.relax)
        kind, _, content = conn.receive()
        check(kind == fcgi.STDOUT and b"1 sixty" in content, "no rows came")
        stage.database.end_connections("postgres" if stage.database is stage.postgres else "weft", READERS)
        while True:
            got = conn.receive()
            if got is None:
                break
            check(got[0] != fcgi.END, "an answer came to its end that was not whole")
    stage.answers("op=rows&n=3")
    stage.wait_idle()


def an_export_has_a_deadline(stage):
    """Also while its client takes nothing; then it is broken off, and cancelled."""
    make_numbers(stage)
    weft = stage.serve(POOL)
    stage.answers("op=rows&n=3")
    with fcgi.Connection(weft.socket) as conn:
        began = time.monotonic()
        conn.send(fcgi.request(1, f"{PROBE}?op=rows&n={ROWS}&deadline=500"))
        wait_until(lambda: not nobody_is_left(stage), "it runs", 10 * stage.relax, 0.01)
        stage.wait_idle()
        took = time.monotonic() - began
        check(0.4 < took < 1.5 * stage.relax, f"it was over after {took:.1f} s")
        wait_until(lambda: nobody_is_left(stage), "the statement is over", 5 * stage.relax)
        while (got := conn.receive()) is not None:
            check(got[0] != fcgi.END, "an answer came to its end that was not whole")
    stage.answers("op=rows&n=3")
    check(stage.pool("db")["lent"] == 0, "its connection is still out")


def rows_are_cut_at_each_byte(stage):
    make_numbers(stage)
    check_each_cut(stage, "rows&n=2", lines(2), stage.database_proxy, pools=12)


def rows_have_a_flipped_bit(stage):
    make_numbers(stage)
    check_each_flip(stage, "rows&n=2", lines(2), stage.database_proxy, pools=12)


for database in ("postgres", "mariadb"):
    for function in (exports_to_slow_clients_take_little_memory, an_export_is_whole, an_export_ends_with_its_database,
                     an_export_has_a_deadline, rows_are_cut_at_each_byte, rows_have_a_flipped_bit):
        scenario(Back, database, limit=120)(function)


# ---- SQLite ----

def make_file(stage):
    """Returns a pool of as many connections to a file."""
    path = stage.place.path("numbers.sqlite")
    db = sqlite3.connect(path)
    db.execute("CREATE VIEW number AS WITH RECURSIVE g(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM g "
               f"WHERE i < {ROWS}) SELECT i FROM g")
    db.close()
    return POOL.replace("@DB@", "sqlite:" + path)


@scenario(Back, limit=60)
def an_export_of_sqlite_is_whole(stage):
    check_whole(stage, make_file(stage))


@scenario(Back, limit=120)
def exports_of_sqlite_to_slow_clients_take_little_memory(stage):
    # Its own cache is in it.
    check_slow_clients(stage, make_file(stage), bound=1024)
