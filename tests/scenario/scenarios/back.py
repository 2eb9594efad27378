# SPDX-License-Identifier: ISC
"""What the scenarios about broken back ends share."""
import os
import time

from lib.askers import between, percentile, pulse, tally
from lib.place import check, wait_until
from lib.proxy import Proxy
from lib.suite import Stage
from lib.weft import BASIC, Weft

NOISE = 0.001       # seconds: less than that is the machine's, which runs all of this at once
TRIES = 3           # of what is compared by time: a fault shows in each of them, a busy machine hardly


class Back(Stage):
    """Real back ends, proxies before them, and a weft of each scenario's own.  Its argument is what the pool "db" asks."""

    def open(self):
        self.redis = self.suite.redis
        self.postgres = self.suite.postgres
        self.database = getattr(self.suite, *self.arguments) if self.arguments else self.postgres
        self.weft = None

    def is_healthy(self):
        return False

    def close(self):
        self.redis.go_on()
        self.database.go_on()
        return super().close()

    def much(self, usual, soak):
        """How much of something: less in slow builds, more in a soak."""
        return soak if self.suite.soak else max(1, int(usual / self.relax))

    def long(self, usual, soak):
        """How long, in seconds."""
        return soak if self.suite.soak else usual

    def proxy(self, name, target, listen=""):
        return Proxy(self.place, name, target, listen)

    def redis_proxy(self, name="redis-proxy", tcp=False):
        """Returns a proxy before Redis, and a pool's URL for it."""
        proxy = self.proxy(name, "unix:" + self.redis.socket, "127.0.0.1:0" if tcp else "")
        return proxy, f"redis://127.0.0.1:{proxy.port}" if tcp else "redis+unix://" + proxy.path

    def postgres_proxy(self, name="postgres-proxy", tcp=False, user="postgres"):
        """Returns a proxy before PostgreSQL, and a pool's URL for it."""
        folder = self.place.path(name)
        os.mkdir(folder)
        proxy = self.proxy(name, f"unix:{self.postgres.folder}/.s.PGSQL.{self.postgres.port}",
                           "127.0.0.1:0" if tcp else f"unix:{folder}/.s.PGSQL.5432")
        if tcp:
            return proxy, f"postgresql://{user}@127.0.0.1:{proxy.port}/postgres"
        return proxy, f"postgresql:///postgres?host={folder}&port=5432&user={user}"

    def mariadb_proxy(self, name="mariadb-proxy", tcp=False, user="root"):
        """Returns a proxy before MariaDB, and a pool's URL for it."""
        proxy = self.proxy(name, "unix:" + self.database.socket, "127.0.0.1:0" if tcp else "")
        return proxy, f"mariadb://{user}@127.0.0.1:{proxy.port}/weft" if tcp else f"mariadb://{user}@/weft?socket={proxy.path}"

    def database_proxy(self, name="database-proxy", tcp=False, user=None):
        """The same before the one of the two that this is about."""
        proxy = self.postgres_proxy if self.database is self.postgres else self.mariadb_proxy
        return proxy(name, tcp) if user is None else proxy(name, tcp, user)

    def serve(self, pools, limits="", workers=1, launcher=()):
        """A weft that has these pools and answers, whether they are there or not."""
        text = BASIC.replace("workers = 1", f"workers = {workers}") + pools + f"\nlimit {{ {limits} }}\n"
        self.weft = Weft(self.place, text, launcher=launcher, REDIS="redis+unix://" + self.redis.socket,
                         DB=self.database.url).start()
        return self.weft

    def pool(self, name):
        """What weft status says of a pool of the first worker."""
        return next(pool for pool in self.weft.status()["pools"] if pool["name"] == name)

    def is_idle(self):
        """Nobody asks, and nothing that was asked is still owed."""
        return all(worker["requests"] == 0 and all(pool["busy"] == pool["queued"] == 0 for pool in worker["pools"])
                   for worker in self.weft.workers())

    def wait_idle(self, limit=5.0):
        wait_until(self.is_idle, "the pools are idle", limit * self.relax, 0.02)

    def answers(self, *queries):
        """Wait until each of these is answered with 200."""
        for query in queries:
            wait_until(lambda query=query: self.weft.ask(query).code == 200, f"{query} is answered", 10 * self.relax)


def ms(seconds):
    return f"{seconds * 1000:.1f} ms"


def check_all(results, status, what):
    other = [result for result in results if result.status != status]
    check(not other, f"{what}: {tally(results)} instead of {status}, such as {other[:1]}")


def check_others(stage, fault, bound=None, before=1.0):
    """What needs no back end is answered as fast as before while fault() lasts.

    fault   called once under load; it returns when the fault is over
    bound   seconds for 99 of 100; None: twice what it was before
    Returns when the fault began and was over, and the results of the others.
    """
    beats = pulse(stage.weft)
    time.sleep(before * stage.relax)
    began = time.monotonic()
    fault()
    over = time.monotonic()
    others = beats.end()
    check_all(others, 200, "what needs no back end")
    usual = percentile(between(others, 0, began), 0.99)
    meanwhile = percentile(between(others, began, over), 0.99)
    allowed = max(2 * usual, usual + NOISE) if bound is None else bound
    print(f"# others: 99 of 100 within {ms(usual)} before, {ms(meanwhile)} meanwhile, {ms(allowed * stage.relax)} allowed")
    return meanwhile <= allowed * stage.relax, meanwhile


def others_go_on(stage, fault, bound=None):
    """check_others, and again where it was too slow: the machine does other things, too."""
    for _ in range(TRIES):
        fast, meanwhile = check_others(stage, fault, bound)
        if fast:
            return
    check(False, f"99 of 100 of the others took up to {ms(meanwhile)}, {TRIES} times")
