# SPDX-License-Identifier: ISC
"""What a pool promises: never more connections than max, none that is too old or dead, and what it does when its back end goes."""
import threading
import time

from lib import fcgi
from lib.askers import CLOSED, Askers, ask, percentile, tally
from lib.backends import ROWS
from lib.place import check, wait_until
from lib.suite import scenario
from lib.weft import PROBE
from scenarios.back import Back, check_all, ms
from scenarios.back_sql import sleepers
from scenarios.ledger import begin

ROW = "op=sql&id=7"
REFUSED = "too many connections for role"


class Seen:
    """The connections of weft, as PostgreSQL has them."""

    def __init__(self, stage, where="application_name = 'weft'"):
        self.stage = stage
        self.where = where

    def pids(self):
        return set(self.stage.postgres.query(f"SELECT pid FROM pg_stat_activity WHERE {self.where}").split())


def limited_role(stage, name, limit):
    """One that PostgreSQL itself lets have so many connections.  Returns a pool's URL for it."""
    stage.postgres.query(f"DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN CONNECTION LIMIT {limit};"
                         f" GRANT SELECT ON world TO {name}")
    return stage.postgres.url.replace("user=postgres", f"user={name}")


def refusals(stage):
    return stage.postgres.process.log_text().count(REFUSED)


def permits(weft):
    """What the workers that there are may have open, all together."""
    return sum(pool["permits"] for worker in weft.workers() for pool in worker["pools"])


# ---- max ----

@scenario(Back, limit=90)
def max_holds_during_a_reload(stage):
    """Ten for four workers, 500 requests at once, and two generations of them: PostgreSQL refuses none."""
    url = limited_role(stage, "ten_again", 10)
    before = refusals(stage)
    weft = stage.serve(f'pool "db" {{ url = "{url}"  max = 10  min = 10  queue_timeout = "10s" }}', workers=4)
    stage.answers(ROW)
    slow = Askers(weft, "op=wait&ms=10", "sleepers", k=250, r=400)
    quick = Askers(weft, "op=sql&id=%n", "quick", k=250, r=2000)
    took = []
    for _ in range(stage.much(5, 30)):
        time.sleep(0.4)
        began = time.monotonic()
        done = weft.verb("reload")
        took.append(time.monotonic() - began)
        check(done.returncode == 0, f"weft reload: {done.stdout}")
    time.sleep(0.4)
    results = slow.end() + quick.end()
    wait_until(lambda: len(weft.workers()) == 4 and permits(weft) == 10, "the new workers have all of it", 5 * stage.relax, 0.05)
    print(f"# {len(took)} reloads of at most {ms(max(took))}: {tally(results)}; 99 of 100 within {ms(percentile(results, 0.99))},"
          f" the slowest {ms(percentile(results, 1))}")
    # A kept connection may be closed by a worker that ends, just when the client asks again: hardly ever the half of the 500.
    wrong = [result for result in results if result.status not in (200, CLOSED) and not (result.status == 404 and result.number > ROWS)]
    check(not wrong, f"they are answered {tally(results)}, such as {wrong[:1]}")
    check(tally(results).get(CLOSED, 0) < len(took) * 500 / 2, f"they are answered {tally(results)}")
    for result in results:
        if result.status == 200 and not result.text.startswith("waited"):
            number = result.number
            check(result.text == f"{number} {number * 7 % 10007}", f"a foreign row: {result}")
    check(refusals(stage) == before, f"PostgreSQL refused {refusals(stage) - before} connections")


@scenario(Back, limit=60)
def fewer_connections_than_workers_are_shared_in_turns(stage):
    """Two for four workers: whoever has calls gets one, and nobody fails."""
    url = limited_role(stage, "two", 2)
    before = refusals(stage)
    weft = stage.serve(f'pool "db" {{ url = "{url}"  max = 2  queue_timeout = "10s" }}', workers=4)
    stage.answers(ROW)
    results = ask(weft, "op=wait&ms=2", k=100, n=stage.much(600, 6000))
    check_all(results, 200, "all of them")
    asked = [pool["calls"] for worker in weft.workers() for pool in worker["pools"]]
    print(f"# the workers asked {asked} times; the slowest answer took {ms(percentile(results, 1))}")
    check(all(asked), "a worker has asked nothing")
    # One may be on its way from a worker to the next.
    wait_until(lambda: permits(weft) == 2, "both permits are with workers", 5 * stage.relax, 0.01)
    done = weft.verb("reload")
    check(done.returncode == 0, f"weft reload: {done.stdout}")
    check_all(ask(weft, ROW, k=100, n=stage.much(600, 6000)), 200, "all of them, after a reload")
    wait_until(lambda: len(weft.workers()) == 4 and permits(weft) == 2, "the new workers have them", 5 * stage.relax, 0.05)
    check(refusals(stage) == before, f"PostgreSQL refused {refusals(stage) - before} connections")


@scenario(Back, limit=60)
def a_long_statement_survives_a_reload(stage):
    """An old worker keeps the connection that it needs; the new ones share what is left, and get the rest when it is done."""
    url = limited_role(stage, "six", 6)
    before = refusals(stage)
    # Whichever worker gets the three, half of all are its.
    weft = stage.serve(f'pool "db" {{ url = "{url}"  max = 6  min = 6 }}', workers=2)
    stage.answers(ROW)
    found = []
    waits = [threading.Thread(target=lambda: found.append(weft.ask("op=held&ms=2500", limit=20.0))) for _ in range(3)]
    for wait in waits:
        wait.start()
    seen = Seen(stage, "usename = 'six' AND state = 'active'")
    wait_until(lambda: len(seen.pids()) == 3, "three wait", 5 * stage.relax)
    done = weft.verb("reload")
    check(done.returncode == 0, f"weft reload: {done.stdout}")
    check_all(ask(weft, ROW, k=20, n=stage.much(200, 2000)), 200, "who asks meanwhile")
    check(len(found) == 0, "they did not wait")
    for wait in waits:
        wait.join()
    check(all(reply.code == 200 for reply in found), f"those that waited are answered {[reply.code for reply in found]}")
    wait_until(lambda: len(weft.workers()) == 2 and permits(weft) == 6, "the new workers have all of it", 5 * stage.relax, 0.05)
    check(refusals(stage) == before, f"PostgreSQL refused {refusals(stage) - before} connections")


def each_worker(stage):
    """Connections from a web server, one to each of the two workers."""
    found = {}
    spare = []
    wait_until(lambda: len(stage.weft.workers()) == 2, "both are there", 5 * stage.relax, 0.02)
    for _ in range(200):
        conn = fcgi.Connection(stage.weft.socket, 30.0)
        conn.send(fcgi.request(1, f"{PROBE}?op=pid"))
        worker = conn.gather([1])[1].body
        if worker in found:
            spare.append(conn)
        else:
            found[worker] = conn
        if len(found) == 2:
            break
    for conn in spare:
        conn.close()
    check(len(found) == 2, "all connections go to one worker")
    return list(found.values())


def start_waits(conn, ms, n):
    for number in range(1, n + 1):
        conn.send(fcgi.request(number, f"{PROBE}?op=wait&ms={ms}"))


def all_run_for_one_worker(stage, least):
    """Four for two workers.  One has eight slow statements and the other nothing to do: four run at once; and then the other has something."""
    role = f"four_{least}"
    url = limited_role(stage, role, 4)
    before = refusals(stage)
    weft = stage.serve(f'pool "db" {{ url = "{url}"  max = 4  min = {least}  queue_timeout = "20s" }}', workers=2)
    stage.answers(ROW, "op=wait&ms=10")
    seen = Seen(stage, f"usename = '{role}' AND state = 'active'")
    busy, other = each_worker(stage)
    with busy, other:
        start_waits(busy, 2000, 8)
        began = time.monotonic()
        wait_until(lambda: len(seen.pids()) == 4, "four run at once", 1.5 * stage.relax, 0.01)
        took = time.monotonic() - began
        replies = busy.gather(range(1, 9))
        check(all(reply.code == 200 for reply in replies.values()), f"they are answered {[reply.code for reply in replies.values()]}")
        # As soon as one of them is free, it is the other's.
        start_waits(busy, 300, 40)
        wait_until(lambda: len(seen.pids()) == 4, "four run at once again", 2 * stage.relax, 0.01)
        began = time.monotonic()
        other.send(fcgi.request(1, f"{PROBE}?{ROW}"))
        check(other.gather([1])[1].code == 200, "the other is not answered")
        answered = time.monotonic() - began
        check(answered < 2.0 * stage.relax, f"the other was answered after {ms(answered)}")
        replies = busy.gather(range(1, 41))
        check(all(reply.code == 200 for reply in replies.values()), f"they are answered {[reply.code for reply in replies.values()]}")
        wait_until(lambda: [pool["permits"] for worker in weft.workers() for pool in worker["pools"]] == [2, 2], "each has its share again",
                   5 * stage.relax, 0.05)
        print(f"# four ran after {ms(took)}; the other was answered after {ms(answered)}")
    check(refusals(stage) == before, f"PostgreSQL refused {refusals(stage) - before} connections")


@scenario(Back, limit=60)
def a_worker_gets_permits_that_others_do_not_use(stage):
    all_run_for_one_worker(stage, 1)


@scenario(Back, limit=60)
def a_worker_gets_connections_that_others_do_not_use(stage):
    all_run_for_one_worker(stage, 4)


# ---- age and rest ----

@scenario(Back)
def connections_end_when_they_are_idle_or_old(stage):
    seen = Seen(stage)
    weft = stage.serve('pool "db" { url = "@DB@"  max = 6  min = 2  idle_timeout = "600ms"  max_lifetime = "3s" }')
    stage.answers(ROW)
    check_all(ask(weft, "op=wait&ms=300", k=6, n=6), 200, "six at once")
    check(len(seen.pids()) == 6, f"{len(seen.pids())} connections for six")
    wait_until(lambda: len(seen.pids()) == 2, "those above min are closed", 3 * stage.relax)
    check(stage.pool("db")["idled"] == 4, f"{stage.pool('db')}")
    first = seen.pids()
    users = Askers(weft, ROW, "users", k=4, r=200)
    wait_until(lambda: not first & seen.pids(), "old ones are replaced", 5 * stage.relax)
    check_all(users.end(), 200, "who asks meanwhile")
    check(stage.pool("db")["aged"] > 0 and stage.pool("db")["losses"] == 0, f"{stage.pool('db')}")


def a_restart_that_nobody_saw_fails_no_request(stage):
    """It is restarted while nobody asks: who asks then is answered."""
    weft = stage.serve(f'pool "{stage.kind.pool}" {{ url = "{stage.kind.url}"  max = 8  min = 4 }}')
    stage.answers(stage.kind.quick)
    for _ in range(stage.much(2, 10)):
        stage.wait_idle()
        stage.kind.kill()
        # Long enough for a pool to give up hope, where it tries while nobody asks.
        if stage.kind.is_silent:
            time.sleep(0.5)
        else:
            wait_until(lambda: stage.pool()["down"], "the pool is down", 10 * stage.relax, 0.05)
        stage.kind.start()
        check_all(ask(weft, stage.kind.quick, n=20, k=5), 200, "who asks then")


def connections_that_died_in_silence_are_found_before_use(stage):
    """Nothing tells that they are gone, as where a firewall has forgotten them: they are checked after a rest."""
    proxy, url = stage.kind.proxy(tcp=True)
    weft = stage.serve(f'pool "{stage.kind.pool}" {{ url = "{url}"  max = 8  min = 4  check_after = "300ms" }}')
    stage.answers(stage.kind.quick)
    stage.wait_idle()
    time.sleep(0.4)
    # Those that there are hang, and what is opened from now on does not.
    proxy.tell("hang")
    began = time.monotonic()
    results = ask(weft, stage.kind.quick, n=20, k=10)
    check_all(results, 200, "who asks then")
    check(time.monotonic() - began < 2.0 * stage.relax, "it took long")
    wait_until(lambda: stage.pool()["checks_failed"] > 0, "dead ones are found", stage.relax)
    found = stage.pool()
    print(f"# {found['checks']} checked, {found['checks_failed']} dead; answered within {ms(percentile(results, 1))}")
    # A living one passes.
    stage.wait_idle()
    time.sleep(0.4)
    check_all(ask(weft, stage.kind.quick, n=1), 200, "the next")
    check(stage.pool()["checks"] > found["checks"], f"{stage.pool()}")


for kind in ("redis", "postgres", "mariadb", "http"):
    scenario(Back, kind, limit=60)(a_restart_that_nobody_saw_fails_no_request)
    if kind != "http":      # which has no question that nobody minds
        scenario(Back, kind)(connections_that_died_in_silence_are_found_before_use)


# ---- workers ----

@scenario(Back)
def a_worker_that_dies_takes_its_connections_along(stage):
    """No other process has them: neither the master, nor those that were started before and after it."""
    seen = Seen(stage)
    weft = stage.serve('pool "db" { url = "@DB@"  max = 12  min = 12 }', workers=3)
    stage.answers(ROW)
    for _ in range(3):
        wait_until(lambda: len(seen.pids()) == 12, "all are open", 5 * stage.relax, 0.05)
        before = seen.pids()
        victim = weft.worker()
        own = next(worker["pools"][0]["open"] for worker in weft.workers() if worker["pid"] == victim)
        stage.place.spawn("killer", ["kill", "-STOP", str(weft.process.pid)]).child.wait()
        try:
            # Nobody follows it meanwhile.
            stage.place.spawn("killer", ["kill", "-KILL", str(victim)]).child.wait()
            wait_until(lambda: len(seen.pids()) == 12 - own, f"its {own} connections are closed", 2 * stage.relax, 0.02)
        finally:
            stage.place.spawn("killer", ["kill", "-CONT", str(weft.process.pid)]).child.wait()
        check(seen.pids() < before, "others were closed, too")
        wait_until(lambda: len(weft.workers()) == 3, "another worker takes its place", 5 * stage.relax)


def switches(pid):
    """How often a process has waited for something."""
    with open(f"/proc/{pid}/status") as file:
        return int(next(line for line in file if line.startswith("voluntary_ctxt_switches")).split()[1])


@scenario(Back)
def a_worker_that_somebody_ends_gives_up_what_it_has(stage):
    """It finishes what it has begun, and the master does not give it back meanwhile what it has just given up."""
    weft = stage.serve('pool "db" { url = "@DB@"  max = 8  min = 8 }', workers=2)
    stage.answers(ROW)
    busy, other = each_worker(stage)
    with busy, other:
        start_waits(busy, 2000, 1)
        wait_until(lambda: sleepers(stage) == "1", "it runs", 5 * stage.relax)
        busy.send(fcgi.request(2, f"{PROBE}?op=pid"))
        victim = int(busy.gather([2])[2].body)
        stage.place.spawn("killer", ["kill", "-TERM", str(victim)]).child.wait()
        time.sleep(0.3)
        before = switches(weft.process.pid), switches(victim)
        time.sleep(1.0)
        after = switches(weft.process.pid), switches(victim)
        print(f"# within a second the master has waited {after[0] - before[0]} times, the worker {after[1] - before[1]}")
        check(after[0] - before[0] < 200 and after[1] - before[1] < 1000, "they talk all the time")
        check(busy.gather([1])[1].code == 200, "what had begun is not answered")
    wait_until(lambda: len(weft.workers()) == 2 and permits(weft) == 8, "another worker takes its place", 5 * stage.relax, 0.05)


# ---- failover ----

def set_read_only(stage, value):
    """And until new sessions are."""
    if stage.database is not stage.postgres:
        stage.database.query(f"SET GLOBAL read_only = {value}")
        return
    stage.postgres.query(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
    stage.postgres.query("SELECT pg_reload_conf()")
    wait_until(lambda: stage.postgres.query("SHOW default_transaction_read_only") == value, "it is set")


def plain_user(stage):
    """Returns a URL for one whom a read-only MariaDB refuses: the administrator may write all the same."""
    if stage.database is stage.postgres:
        return stage.postgres.url
    stage.database.query("CREATE OR REPLACE USER plain@localhost; GRANT ALL ON weft.* TO plain@localhost")
    return stage.database.url.replace("root@", "plain@")


def sessions(stage):
    """The connections of weft, as the database has them."""
    if stage.database is stage.postgres:
        return Seen(stage).pids()
    return set(stage.database.query("SELECT ID FROM information_schema.PROCESSLIST WHERE USER = 'plain'").split())


def a_database_that_turns_read_only_is_left(stage):
    """The write is refused, once; reads go on; and all connections are others afterwards."""
    begin(stage)
    weft = stage.serve(f'pool "db" {{ url = "{plain_user(stage)}"  max = 6  min = 6  backoff = "1s" }}')
    stage.answers(ROW)
    wait_until(lambda: stage.pool("db")["open"] == 6, "the pool is full", 5 * stage.relax)
    readers = Askers(weft, ROW, "readers", k=8, r=400)
    try:
        set_read_only(stage, "on")
        time.sleep(1.0)
        before = sessions(stage)
        # Once: the second one is within the pause.
        refused = ask(weft, "op=insert&n=%n", n=2, name="writers")
        check_all(refused, 500, "a write")
        wait_until(lambda: not before & sessions(stage), "the connections are others", 3 * stage.relax)
        wait_until(lambda: stage.pool("db")["open"] == 6, "the pool is full again", 3 * stage.relax)
        check(stage.pool("db")["failovers"] == 1, f"{stage.pool('db')}")
    finally:
        # A session of psql may begin read-only now, and ALTER SYSTEM does not mind.
        set_read_only(stage, "off")
    wait_until(lambda: weft.ask("op=insert&n=7").code == 200, "a write is done again", 5 * stage.relax, 0.3)
    check_all(readers.end(), 200, "who only reads")
    check(stage.database.query("SELECT count(*) FROM ledger") == "1", "a refused write is there")
    print(f"# {stage.pool('db')['failovers']} failovers")
    check(stage.pool("db")["down"] == 0 and stage.pool("db")["breaks"] == 0, f"{stage.pool('db')}")


@scenario(Back, "redis")
def a_redis_that_has_become_a_replica_is_left(stage):
    """Who writes is told so, once; reads go on; and all connections are others afterwards."""
    weft = stage.serve('pool "cache" { url = "@REDIS@"  max = 4  min = 4  backoff = "1s" }')
    stage.answers(stage.kind.quick)
    wait_until(lambda: stage.pool()["open"] == 4, "the pool is full", 5 * stage.relax)
    connects = stage.pool()["connects"]
    readers = Askers(weft, stage.kind.quick, "readers", k=4, r=400)
    stage.redis.ask("REPLICAOF", "127.0.0.1", "1")
    try:
        told = ask(weft, stage.kind.slow(1), n=2)
        check_all(told, 500, "who takes from a list")
        check(weft.process.log_text().count('fault="READONLY') == 2, "nobody says why")
        wait_until(lambda: stage.pool()["open"] == 4 and stage.pool()["connects"] >= connects + 4, "the connections are others", 3 * stage.relax)
        check(stage.pool()["failovers"] == 1, f"{stage.pool()}")
    finally:
        stage.redis.ask("REPLICAOF", "NO", "ONE")
    check_all(ask(weft, stage.kind.slow(1), name="later", n=1), 200, "who takes from a list later")
    check_all(readers.end(), 200, "who only reads")
    check(stage.pool()["breaks"] == 0, f"{stage.pool()}")


# ---- what is sent twice ----

def end_statement(stage):
    """End the connection on which a statement sleeps."""
    if stage.database is stage.postgres:
        running, end = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep%'", "SELECT pg_terminate_backend({})"
    else:
        running, end = "SELECT ID FROM information_schema.PROCESSLIST WHERE STATE = 'User sleep'", "KILL {}"
    stage.database.query(end.format(wait_until(lambda: stage.database.query(running), "it runs", 5 * stage.relax)))


def only_what_is_idempotent_is_sent_again(stage):
    weft = stage.serve('pool "db" { url = "@DB@"  max = 4  min = 4 }')
    stage.answers(ROW)
    for op, code in (("wait", 503), ("again", 200)):
        found = []
        waiting = threading.Thread(target=lambda op=op: found.append(weft.ask(f"op={op}&ms=1000")))
        waiting.start()
        end_statement(stage)
        waiting.join()
        check(found[0].code == code, f"{op} is answered {found[0].code} {found[0].body!r}")
        if code != 200:
            check(b"outcome unknown" in found[0].body, f"{found[0].body!r}")
    check(stage.pool("db")["again"] == 1, f"{stage.pool('db')}")


def a_fifth_of_all_may_be_sent_again(stage):
    """The database goes while fifty statements run that may be repeated: ten are, and the others are told."""
    proxy, url = stage.database_proxy()
    weft = stage.serve(f'pool "db" {{ url = "{url}"  max = 50  min = 50 }}')
    stage.answers(ROW)
    wait_until(lambda: stage.pool("db")["open"] == 50, "the pool is full", 5 * stage.relax)
    stage.wait_idle()
    crowd = Askers(weft, "op=again&ms=2500", "crowd", n=50, k=50)
    wait_until(lambda: sleepers(stage) == "50", "all of them run", 5 * stage.relax)
    proxy.tell("end", "reset")
    results = crowd.wait()
    found = stage.pool("db")
    print(f"# {tally(results)}; {found['again']} were sent again, {found['over_budget']} were too many")
    check(tally(results) == {200: 10, 503: 40}, f"they are answered {tally(results)}")
    check(found["again"] == 10 and found["over_budget"] == 40, f"{found}")
    check(all("outcome unknown" in result.text for result in results if result.status == 503), "it is not said what became of them")


for kind in ("postgres", "mariadb"):
    scenario(Back, kind, limit=60)(a_database_that_turns_read_only_is_left)
    for function in (only_what_is_idempotent_is_sent_again, a_fifth_of_all_may_be_sent_again):
        scenario(Back, kind)(function)
