# SPDX-License-Identifier: ISC
"""Two hundred requests at once: their waits overlap, in one process."""
from lib import fronts, http
from lib.place import Failure, check, wait_until
from lib.suite import Stage, scenario
from lib.weft import POOLS, PROBE, Weft

AT_ONCE = 200
WAIT = 500          # milliseconds that each request waits
BOUND = 0.65        # seconds in which each has to be answered
SHORT_BOUND = 0.020


class Load(Stage):
    """One web server, weft with its pools, and all of it warm; the second argument is the database, if it is another."""

    def open(self):
        kind = fronts.ALL[self.arguments[0]]
        if not kind.is_there():
            raise Failure(f"no {kind.program} here")
        database = getattr(self.suite, self.arguments[1] if len(self.arguments) > 1 else "postgres")
        self.weft = Weft(self.place, POOLS, REDIS=self.suite.redis.socket, SQL=database.url)
        self.weft.start()
        self.front = kind(self.place).start()
        if kind is fronts.ApacheFcgid:
            self.warm_gates()
        wait_until(self.is_warm, "200 requests at once pass", 30)

    def warm_gates(self):
        """A few more than are wanted: a gate that is free again while it warms serves two of these requests."""
        url = f"http://127.0.0.1:{self.front.port}{PROBE}?op=sleep&ms=1500"
        for _ in range(3):
            done = self.weft.verb("warm", AT_ONCE * 5 // 4, url, limit=60)
            check(done.returncode == 0, f"weft warm ended with {done.returncode}: {done.stdout}")
            if self.is_warm():
                break

    def is_warm(self):
        """All the pool's connections are there, and as many of the web server's."""
        answers = self.all("op=wait&ms=100")
        return all(answer.is_ok for answer in answers) and http.percentile(answers, 1) < 0.3 * self.relax

    def all(self, query, at_once=AT_ONCE):
        return self.front.fetch_all([f"{PROBE}?{query}"] * at_once)

    def pid(self):
        return self.front.fetch(PROBE + "?op=pid").body


def check_overlap(stage, query):
    before = stage.pid()
    answers = stage.all(query)
    bad = [answer for answer in answers if not answer.is_ok]
    check(not bad, f"{len(bad)} of {AT_ONCE} failed, such as {bad[:1]}")
    slowest = http.percentile(answers, 1)
    print(f"# {AT_ONCE} requests of {WAIT} ms: the slowest took {slowest * 1000:.0f} ms")
    check(slowest <= BOUND * stage.relax, f"the slowest took {slowest:.3f} s")
    check(http.percentile(answers, 0) >= WAIT / 1000 * 0.99, "one did not wait at all")
    check(stage.pid() == before and before.strip().isdigit(), f"another process answers than {before!r}")


def waits_overlap_in_handlers(stage):
    check_overlap(stage, f"op=sleep&ms={WAIT}")


def waits_overlap_in_sql(stage):
    check_overlap(stage, f"op=wait&ms={WAIT}")


def short_requests_pass_long_ones(stage):
    """While 200 requests wait, short ones are answered as if they were alone."""
    with stage.front.load([PROBE + "?op=ok"]) as load:
        waiting = stage.all(f"op=wait&ms={WAIT * 2}")
        short = load.end()
    bad = [answer for answer in short + waiting if not answer.is_ok]
    check(not bad, f"{len(bad)} failed, such as {bad[:1]}")
    high = http.percentile(short, 0.99)
    print(f"# {len(short)} short requests: half within {http.percentile(short, 0.5) * 1000:.2f} ms,"
          f" 99 of 100 within {high * 1000:.2f} ms")
    check(len(short) >= 100 / stage.relax, f"only {len(short)} short requests got through")
    check(high <= SHORT_BOUND * stage.relax, f"99 of 100 took up to {high * 1000:.1f} ms")


def rows_are_not_mixed_up(stage):
    """Each of 200 requests at once gets the row that it asked for."""
    ids = [1 + i * 47 for i in range(AT_ONCE)]
    answers = stage.front.fetch_all([f"{PROBE}?op=sql&id={i}" for i in ids])
    for i, answer in zip(ids, answers):
        check(answer.is_ok, f"row {i}: {answer}")
        check(answer.body.split() == [b"%d" % i, b"%d" % (i * 7 % 10007)], f"row {i} is {answer.body!r}")


def keys_are_not_mixed_up(stage):
    for i in range(AT_ONCE):
        stage.suite.redis.ask("SET", f"k{i}", f"value-{i * i}")
    answers = stage.front.fetch_all([f"{PROBE}?op=redis&key=k{i}" for i in range(AT_ONCE)])
    for i, answer in enumerate(answers):
        check(answer.is_ok and answer.body.strip() == f"value-{i * i}".encode(), f"key k{i}: {answer}")


for front in ("lighttpd", "nginx", "nginx-close", "apache-proxy", "apache-fcgid", "haproxy", "h2o", "caddy"):
    for function in (waits_overlap_in_handlers, waits_overlap_in_sql, short_requests_pass_long_ones,
                     rows_are_not_mixed_up, keys_are_not_mixed_up):
        scenario(Load, front, limit=120)(function)

for function in (waits_overlap_in_sql, short_requests_pass_long_ones, rows_are_not_mixed_up):
    scenario(Load, "nginx", "mariadb", limit=120)(function)
