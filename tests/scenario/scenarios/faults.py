# SPDX-License-Identifier: ISC
"""Back ends that die under load: who needs them is told so, all others go on."""
import threading
import time

from lib import http
from lib.fronts import Nginx
from lib.place import Failure, check, wait_until
from lib.suite import Stage, scenario
from lib.weft import POOLS, PROBE, Weft

BACK_WITHIN = 2.0       # seconds after a back end's return


class Faults(Stage):
    """weft with its pools behind nginx; the argument is the database."""

    def open(self):
        if not Nginx.is_there():
            raise Failure("no nginx here")
        self.redis = self.suite.redis
        self.database = getattr(self.suite, self.arguments[0])
        self.weft = Weft(self.place, POOLS, REDIS=self.redis.socket, SQL=self.database.url).start()
        self.front = Nginx(self.place).start()
        self.redis.ask("SET", "scenario", "shuttle")
        wait_until(lambda: self.get("op=redis&key=scenario").is_ok and self.get("op=sql&id=1").is_ok,
                   "the back ends answer", 15, 0.05)

    def is_healthy(self):
        return self.redis.is_up() and self.database.is_up()

    def get(self, query, **more):
        return self.front.fetch(f"{PROBE}?{query}", **more)


def check_backend_dies(stage, query, pool, die, come_back):
    """Under load: die, be told of it, come back, be served."""
    pid = stage.weft.worker()
    with stage.front.load([f"{PROBE}?op=ok"]) as others, \
            stage.front.load([f"{PROBE}?{query}"], at_once=20) as users:
        time.sleep(0.3)
        check(stage.get(query).is_ok, "it does not answer before the fault")
        died = time.monotonic()
        die()
        time.sleep(1.0)
        told = stage.get(query)
        check(told.status == 503, f"without {pool} it answers {told}")
        check(pool.encode() in told.body, f"the pool is not named: {told}")
        come_back()
        returned = time.monotonic()
        wait_until(lambda: stage.get(query).is_ok, "the service resumes", BACK_WITHIN * stage.relax)
        print(f"# {pool}: served again {(time.monotonic() - returned) * 1000:.0f} ms after its return")
        served = time.monotonic()
        time.sleep(0.3)
        others_answers, users_answers = others.end(), users.end()
    bad = [answer for answer in others_answers if not answer.is_ok]
    check(not bad, f"{len(bad)} of {len(others_answers)} requests that need no back end failed, such as {bad[:1]}")
    check(len(others_answers) > 100, f"only {len(others_answers)} of them were answered")
    check(http.percentile(others_answers, 0.99) < 0.1 * stage.relax, "they had to wait")
    for answer in users_answers:
        # A Redis that is back is empty at first: 404.
        check(answer.error is None and answer.status in (200, 404, 503), f"a request of {pool} is answered {answer}")
        if answer.at + answer.seconds < died or answer.at > served + 0.2:
            check(answer.is_ok, f"a request before the fault or after it: {answer}")
    check(stage.weft.worker() == pid, "another process answers now")


def redis_dies(stage):
    def come_back():
        stage.redis.start()
        stage.redis.ask("SET", "scenario", "shuttle")
    check_backend_dies(stage, "op=redis&key=scenario", "cache", stage.redis.kill, come_back)


def database_dies(stage):
    check_backend_dies(stage, "op=sql&id=7", "db", stage.database.kill, stage.database.start)


def database_dies_in_mid_query(stage):
    """Requests that wait for an answer get 503, not silence."""
    first = []
    waiting = threading.Thread(target=lambda: first.extend(stage.front.fetch_all([f"{PROBE}?op=wait&ms=5000"] * 50)))
    waiting.start()
    time.sleep(0.7)
    stage.database.kill()
    time.sleep(0.5)
    stage.database.start()
    wait_until(lambda: stage.get("op=sql&id=7").is_ok, "the service resumes", BACK_WITHIN * stage.relax + 1)
    waiting.join()
    check(len(first) == 50, f"{len(first)} of 50 were answered")
    for answer in first:
        check(answer.status == 503 and b"db" in answer.body, f"a query cut short is answered {answer}")
        check(answer.seconds < 3 * stage.relax, f"it was told only after {answer.seconds:.1f} s")


def weft_starts_without_its_back_ends(stage):
    """It serves what it can, and the rest once they are there."""
    stage.redis.kill()
    stage.weft.stop()
    stage.weft.start()
    try:
        check(stage.get("op=ok").is_ok, "it serves nothing")
        told = stage.get("op=redis&key=scenario")
        check(told.status == 503 and b"cache" in told.body, f"it answers {told}")
    finally:
        stage.redis.start()
        stage.redis.ask("SET", "scenario", "shuttle")
    wait_until(lambda: stage.get("op=redis&key=scenario").is_ok, "the service resumes", BACK_WITHIN * stage.relax)


for database in ("postgres", "mariadb"):
    scenario(Faults, database, limit=60)(database_dies)
    scenario(Faults, database, limit=60)(database_dies_in_mid_query)
    if database == "postgres":
        scenario(Faults, database, limit=60)(redis_dies)
        scenario(Faults, database, limit=60)(weft_starts_without_its_back_ends)
