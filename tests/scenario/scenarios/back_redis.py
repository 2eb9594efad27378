# SPDX-License-Identifier: ISC
"""A Redis that stops, dies, or has its answers cut off."""
import time

from lib.askers import Askers, ask, between, percentile, tally
from lib.place import check, wait_until
from lib.suite import scenario
from limits.measure import KIB, MIB, memory
from scenarios.back import TRIES, Back, check_all, check_others, ms
from scenarios.cuts import check_each_cut, check_each_flip, check_each_start

GET = "op=redis&key=scenario"
DEPTH = 1024            # commands that a connection may owe


def set_key(stage):
    stage.redis.ask("SET", "scenario", "shuttle")


@scenario(Back, limit=60)
def ten_thousand_wait_for_a_stopped_redis(stage):
    """They cost little; one more is turned away at once; and when it goes on they are answered."""
    n = stage.much(10000, 10000)
    set_key(stage)
    weft = stage.serve(f'pool "cache" {{ url = "@REDIS@"  max = 1  queue = {n - DEPTH}  queue_timeout = "60s"'
                       '  call_timeout = "60s" }', "requests = 20000  connections = 20000")
    stage.answers(GET)
    pid = weft.worker()
    before = memory(pid)
    stage.redis.pause()
    crowd = Askers(weft, GET, "crowd", k=n, n=n, r=10000)
    wait_until(lambda: weft.status()["requests"] >= n, f"{n} requests wait", 20 * stage.relax)
    grown = memory(pid) - before
    more = ask(weft, GET, name="more", n=200, k=10)
    check_all(more, 503, "one too many")
    slowest = percentile(more, 1)
    stage.redis.go_on()
    returned = time.monotonic()
    wait_until(lambda: weft.ask(GET).code == 200, "it recovers", 2 * stage.relax)
    recovered = time.monotonic() - returned
    check_all(crowd.wait(), 200, "who waited")
    print(f"# {n} waiting: {grown / n / KIB:.1f} KiB each; one more is refused within {ms(slowest)};"
          f" served again after {ms(recovered)}")
    check(stage.relax > 1 or grown < n * 64 * KIB + 16 * MIB, f"they take {grown / MIB:.0f} MiB")
    check(slowest < 0.05 * stage.relax, f"a refusal took {ms(slowest)}")
    stage.wait_idle()


@scenario(Back, limit=60)
def redis_is_killed_and_comes_back(stage):
    """Who has asked is told before the deadline, nobody storms it, and it is used again soon."""
    set_key(stage)
    weft = stage.serve('pool "cache" { url = "@REDIS@"  max = 8  min = 8 }')
    stage.answers(GET)
    users = Askers(weft, GET, "users", k=50, r=500)
    time.sleep(0.5)
    connects = stage.pool("cache")["connects"]
    died = time.monotonic()
    stage.redis.kill()
    time.sleep(stage.long(3, 5))
    tried = stage.pool("cache")["connects"] - connects
    gone = time.monotonic() - died
    stage.redis.start()
    returned = time.monotonic()
    time.sleep(1.5)
    back = stage.pool("cache")["connects"] - connects - tried
    results = users.end()
    check(set(tally(results)) <= {200, 404, 503}, f"it answers {tally(results)}")
    check_all([result for result in between(results, 0, died - 0.1)], 200, "before")
    slowest = percentile([result for result in results if result.status == 503], 1)
    check(slowest < 1.0 * stage.relax, f"one was told only after {ms(slowest)}")
    served = min(result.began + result.took for result in between(results, died + 0.5) if result.status != 503)
    print(f"# {tried} connects in {gone:.1f} s without it, {back} when it was back; served after {ms(served - returned)};"
          f" the slowest failure took {ms(slowest)}")
    check(served - returned < 1.0 * stage.relax, f"served only {ms(served - returned)} after its return")
    check(tried <= 20 * gone, f"{tried} connects in {gone:.1f} s")
    check(back <= 8 + 2, f"{back} connects at its return")


STOPPED = """\
pool "cache" { url = "@REDIS@"  max = 8  min = 2  call_timeout = "1s"  connect_timeout = "1s"  queue_timeout = "1s" }
"""


def stop_redis(stage, seconds, found):
    """2000 requests on a Redis that is stopped, then 200 a second more."""
    connects = stage.pool("cache")["connects"]
    began = time.monotonic()
    stage.redis.pause()
    crowd = Askers(stage.weft, GET, "crowd", k=2000, n=2000)
    users = Askers(stage.weft, GET, "users", k=400, r=200)
    time.sleep(seconds)
    stage.redis.go_on()
    returned = time.monotonic()
    time.sleep(2.5)
    found.update(began=began, returned=returned, crowd=crowd.wait(), users=users.end(),
                 connects=stage.pool("cache")["connects"] - connects)


def check_stopped_redis(stage, found):
    """Those who asked are told at their deadline, those who come later at once."""
    crowd, users = found["crowd"], found["users"]
    check(set(tally(crowd)) <= {503, 504}, f"who had asked it is answered {tally(crowd)}")
    late = percentile(crowd, 1)
    check(late < (1.0 + 0.3) * stage.relax, f"one of {len(crowd)} was told only after {ms(late)}")
    check(any(result.status == 504 for result in crowd), "nobody met the deadline")
    last = between(users, found["returned"] - 1.0, found["returned"] - 0.05)
    check_all(last, 503, "while it is down")
    quick = percentile(last, 0.9)
    check(quick < 0.01 * stage.relax, f"the breaker is not open: 90 of 100 took {ms(quick)}")
    again = [result for result in users if result.status == 200 and result.began + result.took > found["returned"]]
    check(again, "it is not used again")
    first = min(result.began + result.took for result in again) - found["returned"]
    check_all(between(users, found["returned"] + 2.0 * stage.relax), 200, "2 s after its return")
    print(f"# told within {ms(late)}; 90 of 100 within {ms(quick)} once it is down; served {ms(first)} after its return,"
          f" {found['connects']} connects in all")
    seconds = found["returned"] - found["began"] + 2.5
    check(found["connects"] <= 8 + 2 * seconds, f"{found['connects']} connects in {seconds:.0f} s")


@scenario(Back, limit=90)
def redis_is_stopped_under_load(stage):
    """Nothing tells that it hangs: deadlines do.  Who does not need it does not notice."""
    set_key(stage)
    stage.serve(STOPPED)
    stage.answers(GET)
    for _ in range(TRIES):
        found = {}
        fast, meanwhile = check_others(stage, lambda: stop_redis(stage, stage.long(5, 20), found))
        check_stopped_redis(stage, found)
        if fast:
            break
        stage.wait_idle()
    check(fast, f"99 of 100 of the others took up to {ms(meanwhile)}")
    stage.wait_idle()


@scenario(Back, limit=60)
def a_reply_of_redis_is_cut_at_each_byte(stage):
    set_key(stage)
    check_each_cut(stage, "redis&key=scenario", b"shuttle", stage.redis_proxy, pools=4)


@scenario(Back, limit=60)
def redis_is_cut_off_while_it_connects(stage):
    set_key(stage)
    check_each_start(stage, "redis&key=scenario", b"shuttle", stage.redis_proxy, pools=4)


@scenario(Back, limit=60)
def a_reply_of_redis_has_a_flipped_bit(stage):
    set_key(stage)
    check_each_flip(stage, "redis&key=scenario", b"shuttle", stage.redis_proxy, pools=8)
