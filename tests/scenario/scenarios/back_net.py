# SPDX-License-Identifier: ISC
"""Names, connections and handshakes that hang; latency and clients who leave; too many who come at once."""
import os
import re
import signal
import socket
import time

from lib.askers import LEFT, NO_CONNECTION, Askers, ask, percentile, tally
from lib.place import check, free_port, wait_until
from lib.suite import scenario
from scenarios.back import Back, check_all, ms, others_go_on
from scenarios.back_sql import make_world
from scenarios.kinds import KINDS

QUICK = 0.020           # seconds: what those may take who need nobody
ROW = "op=sql&id=7"
EVERY = ("redis", "postgres", "mariadb", "http")
POOLS = 4               # of each kind: more look-ups hang than there are threads


def pool(kind, url, name=None, patience="1s"):
    """It has what it needs before a fault begins.

    patience    how long an answer may take
    """
    return f'pool "{name or kind.pool}" {{ url = "{url}"  min = 4  connect_timeout = "500ms"  queue_timeout = "1s"  call_timeout = "{patience}" }}\n'


def ask_in_vain(stage, queries, seconds=2.0, is_late=False):
    """Requests that need what cannot be reached are told so in time.

    is_late     they wait for a connection and then for an answer, for as long as each may take
    """
    users = [Askers(stage.weft, query, f"vain{i}", k=200, r=max(10, 100 // len(queries))) for i, query in enumerate(queries)]
    time.sleep(seconds)
    results = [result for each in users for result in each.end()]
    slowest = percentile(results, 1)
    connects = {found["name"]: found["connects"] for found in stage.weft.status()["pools"]}
    print(f"# told within {ms(slowest)}: {tally(results)}; connects: {connects}")
    check(set(tally(results)) <= ({503, 504} if is_late else {503}), f"who needs it is answered {tally(results)}")
    check(slowest < (2.0 if is_late else 1.0) + 0.2 * stage.relax, f"one was told after {ms(slowest)}")


def wait_served(stage):
    began = time.monotonic()
    wait_until(lambda: stage.weft.ask(stage.kind.quick).code == 200, "it is used again", 2 * stage.relax)
    print(f"# served {ms(time.monotonic() - began)} after it was over")


def through_tcp(stage, patience="1s"):
    """Returns a proxy before the back end; weft goes through it."""
    proxy, url = stage.kind.proxy(tcp=True)
    stage.serve(pool(stage.kind, url, patience=patience))
    stage.answers(stage.kind.quick)
    # An HTTP service's are opened as they are needed.
    wait_until(lambda: stage.pool()["open"] >= (1 if stage.kind.pool == "service" else 4), "the pool is full")
    return proxy


def check_nowhere(stage, server):
    """With this name server nobody waits but who needs a name: neither what needs a thread, nor the end of weft."""
    conf = stage.place.write("resolv.conf", f"nameserver {server}\n")
    path = stage.place.path("world.db")
    make_world(path).close()
    names = [(KINDS[name], f"{name}{i}") for name in EVERY for i in range(POOLS)]
    stage.serve("".join(pool(kind, kind.scheme.format("back.example.org"), name) for kind, name in names) +
                f'pool "file" {{ url = "sqlite:{path}" }}\n', launcher=[stage.place.words["SUPPORT"] + "/nowhere", conf])
    stage.answers(ROW + "&pool=file")

    def fault():
        files = Askers(stage.weft, ROW + "&pool=file", "files", k=2, r=50)
        ask_in_vain(stage, [f"{kind.quick}&pool={name}" for kind, name in names], stage.long(3.0, 30.0))
        answers = files.end()
        check_all(answers, 200, "SQLite")
        print(f"# SQLite meanwhile within {ms(percentile(answers, 0.99))}")
        check(percentile(answers, 0.9) < QUICK * stage.relax, f"SQLite took {ms(percentile(answers, 0.9))}")

    others_go_on(stage, fault, QUICK)
    began = time.monotonic()
    status = stage.weft.stop()
    print(f"# ended {ms(time.monotonic() - began)} after it was told to")
    check(status == 0, f"its exit status is {status}")
    check(time.monotonic() - began < 2 * stage.relax, "look-ups under way held up its end")


@scenario(Back, limit=60)
def names_that_nobody_looks_up(stage):
    """There is a name server, and it answers nothing."""
    check_nowhere(stage, "127.0.0.1")


@scenario(Back, limit=60)
def names_that_cannot_be_looked_up(stage):
    """There is no name server, and the kernel says so."""
    check_nowhere(stage, "127.0.0.2")


def fill_backlog(port):
    """Returns the connections that do it: with a backlog of 0 no more than one is taken."""
    full = []
    for _ in range(4):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(("127.0.0.1", port))
        full.append(sock)
    return full


def connections_whose_packets_are_dropped(stage):
    """A listener with a full backlog: SYN after SYN gets no answer."""
    proxy = through_tcp(stage)

    def fault():
        proxy.tell("pause", "on")
        full = fill_backlog(proxy.port)
        proxy.tell("end", "reset")
        ask_in_vain(stage, [stage.kind.quick])
        for sock in full:
            sock.close()
        proxy.tell("clear")
        wait_served(stage)

    others_go_on(stage, fault, QUICK)
    stage.wait_idle()


def handshakes_that_hang(stage):
    """Whoever listens takes the connection and says nothing; where no greeting is due, it says nothing to a request."""
    proxy = through_tcp(stage)

    def fault():
        proxy.tell("hole", "on")
        proxy.tell("end", "close")
        ask_in_vain(stage, [stage.kind.quick], is_late=stage.kind.is_silent)
        proxy.tell("clear")
        proxy.tell("end", "close")
        wait_served(stage)

    others_go_on(stage, fault, QUICK)
    stage.wait_idle()


def bytes_that_come_one_by_one(stage):
    """Slow, and right."""
    proxy = through_tcp(stage, patience="10s")
    proxy.tell("dribble", "down", 1000)
    others_go_on(stage, lambda: check_all(ask(stage.weft, stage.kind.quick, name="slow", n=20, k=4), 200, "who asks"), QUICK)
    proxy.tell("clear")
    wait_served(stage)
    stage.wait_idle()


for name in EVERY:
    for function in (connections_whose_packets_are_dropped, handshakes_that_hang, bytes_that_come_one_by_one):
        scenario(Back, name, limit=60)(function)


# ---- everything at once ----

@scenario(Back, limit=120)
def nobody_gets_the_answer_to_anothers_question(stage):
    """Latency of 5 to 150 ms, of two back ends at once, and 15 of 100 clients leave at some time or other."""
    n = stage.much(20000, 200000)
    cache, cache_url = stage.redis_proxy()
    db, db_url = stage.postgres_proxy()
    weft = stage.serve(f'pool "cache" {{ url = "{cache_url}"  max = 8  min = 8 }}\n'
                       f'pool "db" {{ url = "{db_url}"  max = 200  min = 200  queue_timeout = "10s" }}')
    stage.answers("op=token&n=1")
    wait_until(lambda: stage.pool("db")["open"] == 200 and stage.pool("cache")["open"] == 8, "the pools are full", 20)
    for proxy in (cache, db):
        proxy.tell("delay", "up", 2000, 50000)
        proxy.tell("delay", "down", 3000, 100000)
    began = time.monotonic()
    results = ask(weft, "op=token&n=%n", limit=90 * stage.relax * (20 if stage.suite.soak else 1), k=300, n=n, l=270, w=200000, T=30)
    took = time.monotonic() - began
    foreign = [result for result in results if result.status == 200 and result.text != f"{result.number} {result.number}"]
    print(f"# {n} requests in {took:.1f} s: {tally(results)}, half within {ms(percentile(results, 0.5))};"
          f" {db.stats().ever} connections to the database and for cancels")
    check(not foreign, f"{len(foreign)} foreign answers, such as {foreign[:2]}")
    check(set(tally(results)) <= {200, LEFT}, f"some failed: {[r for r in results if r.status not in (200, LEFT)][:2]}")
    check(tally(results).get(LEFT, 0) > n / 10, "hardly anybody left")
    stage.wait_idle(10)
    for name, size in (("cache", 8), ("db", 200)):
        pool = stage.pool(name)
        check(pool["open"] == size and pool["losses"] == 0, f"{name}: {pool}")
    for proxy in (cache, db):
        proxy.tell("clear")
    again = ask(weft, "op=token&n=%n", name="again", n=500, k=50)
    check_all(again, 200, "afterwards")
    check(all(result.text == f"{result.number} {result.number}" for result in again), "a foreign answer afterwards")


# ---- who comes when nobody takes him in ----

def crowd_before_a_stopped_worker(stage, address, patience, **options):
    """Five thousand come while it stands still, for so long.  Returns what became of them, and when it went on."""
    pid = stage.weft.worker()
    os.kill(pid, signal.SIGSTOP)
    try:
        crowd = Askers(stage.weft, "op=ok", "crowd", address=address, k=5000, n=5000, **options)
        time.sleep(patience)
    finally:
        os.kill(pid, signal.SIGCONT)
    returned = time.monotonic()
    results = crowd.wait()
    over = max(result.began + result.took for result in results) - returned
    print(f"# {tally(results)}; all answered after {ms(over)}")
    check(stage.weft.worker() == pid, "another worker answers")
    return results, over


@scenario(Back)
def more_come_than_the_backlog_holds(stage):
    """While the worker stands still: as many wait as the kernel keeps, the others are told at once; nobody who waited is lost."""
    stage.serve("", "requests = 10000  connections = 10000")
    with open(f"/proc/{stage.weft.worker()}/status") as file:
        room = int(re.search(r"^FDSize:\s+(\d+)", file.read(), re.M).group(1))
    check(room >= 10000, f"the kernel has room for {room} descriptors, and will hold the worker up to make more")
    with open("/proc/sys/net/core/somaxconn") as file:
        backlog = min(4096, int(file.read()))
    results, over = crowd_before_a_stopped_worker(stage, "", 1.0 * stage.relax)
    told = [result for result in results if result.status == NO_CONNECTION]
    check(set(tally(results)) <= {200, NO_CONNECTION}, f"{tally(results)}")
    check(len(results) - len(told) >= min(backlog, 5000), f"only {len(results) - len(told)} waited")
    check(not told or percentile(told, 1) < 0.05 * stage.relax, "some were told late")
    check(over < 2 * stage.relax, f"it took {ms(over)}")


@scenario(Back, limit=60)
def more_come_over_tcp_than_the_backlog_holds(stage):
    """There nobody is told: the kernel drops what it has no room for, and it is sent again, so all are answered in the end."""
    port = free_port()
    stage.serve(f'listen "tcp" {{ address = "127.0.0.1:{port}"  allow = {{ "127.0.0.1" }} }}\n', "requests = 10000  connections = 10000")
    results, over = crowd_before_a_stopped_worker(stage, f"127.0.0.1:{port}", 0.5, T=30)
    check_all(results, 200, "all of them")
    # The kernel tries again after 1 s, 3 s and 7 s.
    check(over < 8 * stage.relax, f"it took {ms(over)}")
    check_all(ask(stage.weft, "op=ok", name="later", address=f"127.0.0.1:{port}", n=200, k=20), 200, "who comes later")
