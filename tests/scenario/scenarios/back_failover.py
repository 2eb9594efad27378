# SPDX-License-Identifier: ISC
"""A PostgreSQL and its standby: who may write changes, and a URL names both."""
import socket
import time

from lib.backends import Postgres, Standby
from lib.place import check, wait_until
from lib.suite import Stage, scenario
from lib.weft import BASIC, Weft
from scenarios.back import ms

SOON = 6.0          # seconds: the pool's longest back-off is 5


class Pair(Stage):
    """Two servers of each scenario's own, and a weft that knows both."""

    def open(self):
        self.first = Postgres(self.place.path("first"))
        self.first.start()
        self.first.query("CREATE TABLE ledger (token bigint NOT NULL)")
        self.second = Standby(self.place.path("second"), self.first)
        self.second.start()
        self.weft = None

    def is_healthy(self):
        return False

    def close(self):
        wrong = super().close()
        for server in (self.second, self.first):
            server.stop()
        return wrong

    def url(self, hosts, attrs):
        return f"postgresql://postgres@{','.join(f'{host}:{port}' for host, port in hosts)}/postgres?target_session_attrs={attrs}"

    def both(self, attrs):
        """By a name, which is looked up, and by an address."""
        return self.url([("localhost", self.first.port), ("127.0.0.1", self.second.port)], attrs)

    def serve(self, **urls):
        pools = "".join(f'pool "{name}" {{ url = "{url}"  max = 4 }}\n' for name, url in urls.items())
        self.weft = Weft(self.place, BASIC + pools).start()
        return self.weft

    def write(self, token):
        """Returns the status."""
        return self.weft.ask(f"op=insert&n={token}").code

    def write_on(self, token, limit=SOON):
        """Write until it works.  Returns how long that took."""
        began = time.monotonic()
        wait_until(lambda: self.write(token) == 200, "writes go on", limit * self.relax, 0.02)
        return time.monotonic() - began

    @staticmethod
    def count(server, token):
        return int(server.query(f"SELECT count(*) FROM ledger WHERE token = {token}"))

    @staticmethod
    def users(server):
        return int(server.query("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'weft'"))


@scenario(Pair, limit=90)
def writes_go_on_with_the_new_primary(stage):
    """The primary is killed, its standby promoted: the same URL leads there."""
    stage.serve(db=stage.both("read-write"))
    stage.write_on(1)
    check(stage.users(stage.second) == 0, "the standby is used for writes")
    stage.first.kill()
    wait_until(lambda: stage.write(2) in (503, 504), "its end is noticed", 5 * stage.relax)
    stage.second.promote()
    took = stage.write_on(3)
    print(f"# {ms(took)} after the promotion")
    for token in range(10, 40):
        check(stage.write(token) == 200, f"write {token} fails afterwards")
    check(stage.count(stage.second, 1) == 1 and stage.count(stage.second, 39) == 1, "the new primary has not what was written")


@scenario(Pair, limit=90)
def a_primary_that_becomes_read_only_is_left(stage):
    """Its connections live on, and refuse: all of them are replaced, by some to the new primary."""
    stage.serve(db=stage.both("read-write"))
    stage.write_on(1)
    stage.second.promote()
    stage.first.query("ALTER SYSTEM SET default_transaction_read_only = on")
    stage.first.query("SELECT pg_reload_conf()")
    wait_until(lambda: stage.first.query("SHOW default_transaction_read_only") == "on", "it is read-only", 5)
    took = stage.write_on(2)
    print(f"# {ms(took)} after the first is read-only")
    check(stage.count(stage.second, 2) >= 1, "the new primary has not what was written")
    check(stage.count(stage.first, 2) == 0, "the old one has")


@scenario(Pair, limit=90)
def readers_prefer_the_standby(stage):
    """As long as there is one; then the primary serves them."""
    stage.serve(db=stage.both("prefer-standby"), only=stage.both("standby"), ro=stage.both("read-only"))
    for pool in ("db", "only", "ro"):
        wait_until(lambda pool=pool: stage.weft.ask(f"op=sql&id=7&pool={pool}").body == b"7 49", f"{pool} reads", SOON * stage.relax)
    check(stage.users(stage.first) == 0 and stage.users(stage.second) >= 3, "the primary is read from")
    stage.second.kill()
    wait_until(lambda: stage.weft.ask("op=sql&id=7&pool=db").body == b"7 49", "the primary serves them", SOON * stage.relax)
    check(stage.weft.ask("op=sql&id=7&pool=only").code in (503, 504), "a pool for standbys alone is served")


@scenario(Pair, limit=90)
def a_first_host_that_does_not_answer_takes_half_the_time(stage):
    """Of connect_timeout, which is 2 s; and one that refuses takes none of it."""
    with socket.socket() as hole, socket.socket() as closed:
        hole.bind(("127.0.0.1", 0))
        hole.listen(64)
        closed.bind(("127.0.0.1", 0))       # and does not listen
        there = ("localhost", stage.first.port)
        stage.serve(db=stage.url([("127.0.0.1", closed.getsockname()[1]), there], "any"),
                    slow=stage.url([("127.0.0.1", hole.getsockname()[1]), there], "primary"))
        for pool, least, most in (("db", 0.0, 0.5), ("slow", 0.9, 1.8)):
            began = time.monotonic()
            wait_until(lambda pool=pool: stage.weft.ask(f"op=sql&id=7&pool={pool}").code == 200, f"{pool} connects", SOON * stage.relax)
            took = time.monotonic() - began
            print(f"# {pool}: {ms(took)}")
            check(least <= took <= most * stage.relax, f"{pool} took {ms(took)}")
