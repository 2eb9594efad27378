# SPDX-License-Identifier: ISC
"""What every kind of back end has to bear: too few connections, ends that nobody sees, a death, and nobody that answers."""
import os
import signal
import time

from lib import fcgi
from lib.askers import Askers, ask, between, percentile, tally
from lib.place import check, wait_until
from lib.suite import scenario
from lib.weft import PROBE
from limits.measure import KIB, MIB, memory
from scenarios.back import TRIES, Back, check_all, check_others, ms
from scenarios.cuts import check_each_cut_of_what_is_repeated

ALL = ("redis", "postgres", "mariadb", "http")
TEN = 10


def for_each(kinds, *functions, limit=60):
    for kind in kinds:
        for function in functions:
            scenario(Back, kind, limit=limit)(function)


def pool(stage, more, url=None, name=None):
    """The section of a pool of this kind."""
    return f'pool "{name or stage.kind.pool}" {{ url = "{url or stage.kind.url}"  {more} }}\n'


def wait_open(stage, n):
    wait_until(lambda: stage.pool()["open"] == n, f"{n} connections are open", 10 * stage.relax)


def check_right(stage, results, what):
    check_all(results, 200, what)
    for result in results:
        check(result.text == stage.kind.right.decode(), f"{what}: a foreign answer: {result}")


# ---- max ----

def it_never_sees_one_connection_too_many(stage):
    """Ten for four workers, 500 requests at once: counted by the back end, by what is between, and an eleventh would be refused."""
    before = stage.kind.refused()
    proxy, url = stage.kind.proxy()
    url = stage.kind.only_ten(url)
    try:
        watch = stage.kind.watch()
        try:
            weft = stage.serve(pool(stage, 'max = 10  min = 4  queue_timeout = "20s"', url), workers=4)
            stage.answers(stage.kind.quick)
            slow = Askers(weft, stage.kind.slow(10), "sleepers", k=250, n=stage.much(1500, 20000))
            quick = [result for _ in range(stage.long(1, 10))
                     for result in ask(weft, stage.kind.quick, limit=60 * stage.relax, k=250, n=stage.much(4000, 10000))]
            slept = slow.wait(600 if stage.suite.soak else 60 * stage.relax)
        finally:
            most = watch.end()
        stats = proxy.stats()
        weft.stop()
    finally:
        stage.kind.any_number()
    refused = stage.kind.refused() - before
    print(f"# it had {most} connections at most in {watch.looks} looks; what is between had {stats.peak}, and {stats.ever} in all;"
          f" {refused} refused; {tally(slept)} slow and {tally(quick)} quick answers")
    check_all(slept, 200, "the slow ones")
    check_right(stage, quick, "the quick ones")
    check(watch.looks > 100, f"it was looked at {watch.looks} times: that tells nothing")
    check(most <= TEN and stats.peak <= TEN and refused == 0, "there were more than ten")
    check(stats.peak == TEN, "there were never ten: that tells nothing")


for_each(("redis", "postgres", "mariadb"), it_never_sees_one_connection_too_many)


# ---- the queue ----

WAITERS = 20


def check_order(stage, weft, conn):
    """While one is busy, so many wait; one more is told at once; and they are served in the order in which they came."""
    conn.send(fcgi.request(1, f"{PROBE}?{stage.kind.slow(800)}"))
    wait_until(lambda: stage.pool()["busy"] == 1, "the first is busy", stage.relax, 0.002)
    line = Askers(weft, stage.kind.slow(5), "line", n=WAITERS, k=WAITERS, r=300)
    wait_until(lambda: stage.pool()["queued"] == WAITERS, "all of them wait", stage.relax, 0.002)
    more = ask(weft, stage.kind.slow(5), name="more", n=20)
    is_early = stage.pool()["queued"] == WAITERS
    first = conn.gather([1])[1]
    waited = line.wait()
    order = [result.number for result in sorted(waited, key=lambda result: result.began + result.took)]
    told = percentile(more, 0.5)
    print(f"# one too many was told within {ms(told)}; the others were served in order")
    check(first.code == 200, f"the first is answered {first.code}")
    check_all(waited, 200, "who waited")
    check(order == sorted(order), f"they were served in the order {order}")
    check_all(more, 503, "one too many")
    check(is_early and all("too busy" in result.text for result in more), f"one too many is told {more[:1]}")
    check(told < 0.01 * stage.relax, f"half of those that were too many were told after {ms(told)}")


def check_leaves(stage, weft, conn):
    """Who waits for too long is told so when his time is over, and then, not before, that of his request; another pool serves."""
    conn.send(fcgi.request(1, f"{PROBE}?{stage.kind.slow(1800)}"))
    wait_until(lambda: stage.pool()["busy"] == 1, "the first is busy", stage.relax, 0.002)
    waiters = Askers(weft, stage.kind.slow(1), "waiters", n=10, k=10)
    hasty = Askers(weft, stage.kind.slow(1) + "&deadline=300", "hasty", n=10, k=10)
    others = ask(weft, stage.kind.quick + "&pool=other", name="others", n=100)
    waited, left = waiters.wait(), hasty.wait()
    served = conn.gather([1])[1]
    late = percentile(waited, 0.5) - 1.0, percentile(left, 0.5) - 0.3
    print(f"# told {ms(late[0])} and {ms(late[1])} after their time; another pool answered within {ms(percentile(others, 0.99))}")
    check(served.code == 200, f"the first is answered {served.code}")
    check_all(waited, 503, "who waited for too long")
    check(all(stage.kind.pool + ": too busy" in result.text for result in waited), f"he is told {waited[:1]}")
    check(set(tally(left)) <= {503, 504}, f"who had less time is answered {tally(left)}")
    check(all(0 <= each < 0.05 * stage.relax for each in late), f"they were told {ms(late[0])} and {ms(late[1])} after their time")
    check_right(stage, others, "another pool")
    check(percentile(others, 0.5) < 0.02 * stage.relax, "another pool had to wait")


def a_pool_that_is_used_up_has_a_queue(stage):
    """First come, first served, no more than there is room for, and nobody for longer than he has time."""
    weft = stage.serve(pool(stage, f'max = 1  min = 1  queue = {WAITERS}  queue_timeout = "1s"') + pool(stage, "max = 2  min = 2", name="other"))
    stage.answers(stage.kind.quick, stage.kind.quick + "&pool=other")
    stage.wait_idle()
    with fcgi.Connection(weft.socket) as conn:
        check_order(stage, weft, conn)
        stage.wait_idle()
        check_leaves(stage, weft, conn)
    stage.wait_idle()
    found = stage.pool()
    check(found["losses"] == 0 and found["connects"] == 1, f"connections were lost: {found}")


for_each(ALL, a_pool_that_is_used_up_has_a_queue)


# ---- ends that nobody sees ----

def connections_that_end_idle_are_replaced(stage):
    """Nobody is told of it, not even who asks before anybody has noticed; however they end."""
    proxy, url = stage.kind.proxy()
    weft = stage.serve(pool(stage, "max = 8  min = 8", url))
    stage.answers(stage.kind.quick)
    pid = weft.worker()
    for how in ("close", "reset", "close"):
        stage.answers(stage.kind.quick)
        stage.wait_idle()
        # It finds all of that at once when it wakes up: the ends, and a hundred requests.
        os.kill(pid, signal.SIGSTOP)
        try:
            proxy.tell("end", how)
            users = Askers(weft, stage.kind.quick, "users", n=100, k=100)
            time.sleep(0.1)
        finally:
            os.kill(pid, signal.SIGCONT)
        check_right(stage, users.wait(), "who asks then")
    stage.wait_idle()
    check(stage.pool()["breaks"] == 0, f"{stage.pool()}")


for_each(ALL, connections_that_end_idle_are_replaced)


# ---- it dies ----

def it_is_killed_and_comes_back(stage):
    """Who has asked is told before the deadline, nobody storms it, and it is used again soon."""
    weft = stage.serve(pool(stage, 'max = 8  min = 8  queue_timeout = "1s"'))
    stage.answers(stage.kind.quick)
    users = Askers(weft, stage.kind.quick, "users", k=50, r=500)
    time.sleep(0.5)
    connects = stage.pool()["connects"]
    died = time.monotonic()
    stage.kind.kill()
    time.sleep(stage.long(3, 5))
    tried = stage.pool()["connects"] - connects
    gone = time.monotonic() - died
    stage.kind.start()
    returned = time.monotonic()
    time.sleep(1.5 * stage.relax)
    # While it starts attempts are made, too: those are no burst.
    back = stage.pool()["connects"] - connects - tried
    starting = returned - died - gone
    results = users.end()
    check(set(tally(results)) <= {200, 404, 503}, f"it answers {tally(results)}")
    check_all([result for result in between(results, 0, died - 0.1)], 200, "before")
    slowest = percentile([result for result in results if result.status == 503], 1)
    served = [result.began + result.took for result in between(results, died + gone) if result.status != 503]
    check(served, "it is not used again")
    print(f"# {tried} connects in {gone:.1f} s without it, {back} in the {starting:.1f} s that it took to start and when it was back;"
          f" served {ms(min(served) - returned)} after its return; the slowest failure took {ms(slowest)}")
    check(slowest < (1.0 + 0.1) * stage.relax, f"one was told only after {ms(slowest)}")
    check(min(served) - returned < 1.0 * stage.relax, f"served only {ms(min(served) - returned)} after its return")
    check(tried <= 8 + 4 * gone * stage.relax, f"{tried} connects in {gone:.1f} s")
    check(back <= 8 + 4 + 4 * starting * stage.relax, f"{back} connects at its return")


for_each(ALL, it_is_killed_and_comes_back)


def it_fails_at_once_while_it_is_down(stage):
    """The breaker is open: who asks is told so at once, and one attempt at a time is made, however many ask."""
    weft = stage.serve(pool(stage, "max = 8  min = 4"))
    stage.answers(stage.kind.quick)
    stage.kind.kill()
    try:
        wait_until(lambda: weft.ask(stage.kind.quick).code == 503 and stage.pool()["down"], "it is down", 5 * stage.relax, 0.05)
        # Asked all the time, and not at all.
        for rate, most in ((300, 20), (0, 7)):
            connects, began = stage.pool()["connects"], time.monotonic()
            users = Askers(weft, stage.kind.quick, "users", k=20, r=rate) if rate else None
            time.sleep(2.0)
            found = stage.pool()
            tried, took = found["connects"] - connects, time.monotonic() - began
            check(found["down"] and found["connecting"] <= 1 and found["open"] == 0, f"{found}")
            if users:
                results = users.end()
                check_all(results, 503, "who asks meanwhile")
                half = percentile(results, 0.5)
                print(f"# half are told within {ms(half)}, 99 of 100 within {ms(percentile(results, 0.99))}")
                check(half < 0.001 * stage.relax, f"half of them took {ms(half)}")
            print(f"# {tried} attempts in {took:.1f} s at {rate} requests a second")
            check(tried <= most * stage.relax, f"{tried} attempts")
        check(stage.pool()["breaks"] == 1, f"{stage.pool()}")
    finally:
        stage.kind.start()
    returned = time.monotonic()
    wait_until(lambda: weft.ask(stage.kind.quick).code == 200, "it is used again", 1.0 * stage.relax)
    print(f"# served {ms(time.monotonic() - returned)} after its return")
    stage.wait_idle()
    check(not stage.pool()["down"], "it is down still")


for_each(ALL, it_fails_at_once_while_it_is_down)


# ---- it is stopped ----

STOPPED = 'max = 8  min = 2  call_timeout = "1s"  connect_timeout = "1s"  queue_timeout = "1s"'


def stop_it(stage, seconds, found):
    """2000 requests on what is stopped, then 200 a second more."""
    connects = stage.pool()["connects"]
    began = time.monotonic()
    stage.kind.pause()
    crowd = Askers(stage.weft, stage.kind.quick, "crowd", k=2000, n=2000, r=4000)
    users = Askers(stage.weft, stage.kind.quick, "users", k=400, r=200)
    time.sleep(seconds)
    stage.kind.go_on()
    returned = time.monotonic()
    time.sleep(2.5)
    found.update(began=began, returned=returned, crowd=crowd.wait(), users=users.end(), connects=stage.pool()["connects"] - connects)


def check_stopped(stage, found):
    """Those who asked are told at their deadline, those who come later at once, and it is used again."""
    crowd, users = found["crowd"], found["users"]
    check(set(tally(crowd)) <= {503, 504}, f"who had asked it is answered {tally(crowd)}")
    late = percentile(crowd, 1)
    check(late < (2.0 + 0.3) * stage.relax, f"one of {len(crowd)} was told only after {ms(late)}")
    check(any(result.status == 504 for result in crowd), "nobody met the deadline")
    last = between(users, found["began"] + 2.0, found["returned"] - 1.2)
    check(set(tally(last)) <= ({503, 504} if stage.kind.is_silent else {503}), f"while it is down: {tally(last)}")
    quick = percentile(last, 0.5)
    again = [result for result in users if result.status == 200 and result.began + result.took > found["returned"]]
    check(again, "it is not used again")
    first = min(result.began + result.took for result in again) - found["returned"]
    check_all(between(users, found["returned"] + 2.0), 200, "2 s after its return")
    print(f"# told within {ms(late)}; half within {ms(quick)} once it is down; served {ms(first)} after its return,"
          f" {found['connects']} connects in all")
    seconds = found["returned"] - found["began"] + 2.5
    # Where nobody can tell, each that is given up is replaced.
    check(found["connects"] <= 8 + 2 + (9 if stage.kind.is_silent else 2) * seconds, f"{found['connects']} connects in {seconds:.0f} s")
    return quick


def it_is_stopped_under_load(stage):
    """Nothing tells that it hangs: deadlines do.  Who does not need it does not notice."""
    stage.serve(pool(stage, STOPPED))
    stage.answers(stage.kind.quick)
    for _ in range(TRIES):
        found = {}
        fast, meanwhile = check_others(stage, lambda: stop_it(stage, stage.long(5, 20), found))
        quick = check_stopped(stage, found)
        if fast:
            break
        stage.wait_idle()
    check(fast, f"99 of 100 of the others took up to {ms(meanwhile)}")
    if not stage.kind.is_silent:
        check(quick < 0.01 * stage.relax, f"the breaker is not open: half of them took {ms(quick)}")
    stage.wait_idle()


for_each(ALL, it_is_stopped_under_load, limit=90)


def ten_thousand_wait_while_it_is_stopped(stage):
    """They cost little; one more is turned away at once; and when it goes on they are answered."""
    n = 10000
    weft = stage.serve(pool(stage, f'max = 1  queue = {n}  queue_timeout = "60s"  call_timeout = "60s"'),
                       "requests = 20000  connections = 20000")
    stage.answers(stage.kind.quick)
    pid = weft.worker()
    before = memory(pid)
    stage.kind.pause()
    crowd = Askers(weft, stage.kind.quick, "crowd", k=n, n=n, r=10000)
    wait_until(lambda: weft.status()["requests"] >= n, f"{n} requests wait", 20 * stage.relax)
    # Some have been sent: as many more fill up the queue.
    room = n - stage.pool()["queued"]
    check(0 < room < 2000, f"there is room for {room}")
    rest = Askers(weft, stage.kind.quick, "rest", k=room, n=room)
    wait_until(lambda: stage.pool()["queued"] == n, "the queue is full", 5 * stage.relax)
    grown = memory(pid) - before
    more = ask(weft, stage.kind.quick, name="more", n=200, k=10)
    check_all(more, 503, "one too many")
    told = percentile(more, 0.9)
    stage.kind.go_on()
    returned = time.monotonic()
    wait_until(lambda: weft.ask(stage.kind.quick).code == 200, "it recovers", (2 if stage.kind.pool == "cache" else 10) * stage.relax)
    recovered = time.monotonic() - returned
    check_right(stage, crowd.wait() + rest.wait(), "who waited")
    print(f"# {n + room} waiting: {grown / (n + room) / KIB:.1f} KiB each; one more is refused within {ms(told)};"
          f" served again after {ms(recovered)}")
    check(stage.relax > 1 or grown < n * 64 * KIB + 16 * MIB, f"they take {grown / MIB:.0f} MiB")
    check(told < 0.05 * stage.relax, f"a refusal took {ms(told)}")
    stage.wait_idle()


for_each(ALL, ten_thousand_wait_while_it_is_stopped)


# ---- an HTTP service's answer is cut off ----

@scenario(Back, "http", limit=60)
def a_reply_is_cut_at_each_byte(stage):
    check_each_cut_of_what_is_repeated(stage, "http&ms=0", stage.kind.right, stage.kind.proxy, pools=6)
