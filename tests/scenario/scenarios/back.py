# SPDX-License-Identifier: ISC
"""What the scenarios about broken back ends share."""
import os
import time

from lib.askers import between, percentile, pulse, tally
from lib.place import Place, check, wait_until
from lib.proxy import Proxy
from lib.suite import Stage
from lib.weft import BASIC, Weft
from scenarios.kinds import KINDS

NOISE = 0.001       # seconds: less than that is the machine's, which runs all of this at once
TRIES = 3           # of what is compared by time: a fault shows in each of them, a busy machine hardly


class Back(Stage):
    """Real back ends, proxies before them, and a weft of each scenario's own.  Its argument is the kind that a scenario is about."""

    def open(self):
        self.redis = self.suite.redis
        self.postgres = self.suite.postgres
        self.kind = KINDS[self.arguments[0] if self.arguments else "postgres"](self)
        self.database = self.kind.server if self.kind.is_sql else self.postgres
        self.weft = self.quiet = None

    def is_healthy(self):
        return False

    def close(self):
        self.redis.go_on()
        self.database.go_on()
        wrong = self.quiet.place.stop_all() if self.quiet else []
        wrong += super().close()
        self.kind.close()
        return wrong

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

    def mariadb_proxy(self, name="mariadb-proxy", tcp=False):
        """Returns a proxy before MariaDB, and a pool's URL for it."""
        proxy = self.proxy(name, "unix:" + self.database.socket, "127.0.0.1:0" if tcp else "")
        return proxy, f"mariadb://root@127.0.0.1:{proxy.port}/weft" if tcp else f"mariadb://root@/weft?socket={proxy.path}"

    def service_proxy(self, name="service-proxy", tcp=True):
        """The same before the HTTP service, always over TCP."""
        proxy = self.proxy(name, f"127.0.0.1:{self.kind.server.port}", "127.0.0.1:0")
        return proxy, f"http://127.0.0.1:{proxy.port}"

    def database_proxy(self, name="database-proxy", tcp=False):
        """The same before the one of the two that this is about."""
        return (self.postgres_proxy if self.database is self.postgres else self.mariadb_proxy)(name, tcp)

    def serve(self, pools, limits="", workers=1, launcher=()):
        """A weft that has these pools and answers, whether they are there or not."""
        text = BASIC.replace("workers = 1", f"workers = {workers}") + pools + f"\nlimit {{ {limits} }}\n"
        self.weft = Weft(self.place, text, launcher=launcher, REDIS="redis+unix://" + self.redis.socket,
                         DB=self.database.url).start()
        return self.weft

    def calm(self):
        """Another weft, of which nothing is broken: where it is slow, the machine is."""
        if self.quiet is None:
            self.quiet = Weft(Place(self.place.path("calm"), self.suite.words)).start()
        return self.quiet

    def pool(self, name=""):
        """What weft status says of a pool of the first worker; by default that of the kind."""
        name = name or self.kind.pool
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


def check_others(stage, fault, bound=0.0, before=1.0):
    """What needs no back end is answered as fast as before, and as by a weft that has no such trouble, while fault() lasts.

    fault   called once under load; it returns when the fault is over
    bound   seconds that 99 of 100 may take, whatever was usual
    Returns whether they were fast enough, and what 99 of 100 took.
    """
    calm = pulse(stage.calm())
    beats = pulse(stage.weft)
    time.sleep(before * stage.relax)
    began = time.monotonic()
    fault()
    over = time.monotonic()
    others, usuals = beats.end(), calm.end()
    check_all(others, 200, "what needs no back end")
    usual = max(percentile(between(results, since, until), 0.99)
                for results, since, until in ((others, 0, began), (usuals, began, over)))
    meanwhile = percentile(between(others, began, over), 0.99)
    allowed = max(2 * usual, usual + NOISE, bound * stage.relax)
    print(f"# others: 99 of 100 within {ms(usual)} usually, {ms(meanwhile)} meanwhile, {ms(allowed)} allowed")
    return meanwhile <= allowed, meanwhile


def others_go_on(stage, fault, bound=0.0):
    """check_others, and again where it was too slow: the machine does other things, too."""
    for _ in range(TRIES):
        fast, meanwhile = check_others(stage, fault, bound)
        if fast:
            return
    check(False, f"99 of 100 of the others took up to {ms(meanwhile)}, {TRIES} times")
