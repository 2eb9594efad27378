# SPDX-License-Identifier: ISC
"""weft bench, which measures others, against weft: what it counts, and what it finds wrong."""
import json

from lib.place import check
from lib.suite import Stage, scenario
from lib.weft import PROBE, Weft


class Bench(Stage):
    """weft alone."""

    def open(self):
        self.weft = Weft(self.place).start()

    def is_healthy(self):
        return self.weft.process.is_alive() and self.weft.is_up()

    def measure(self, *words):
        """Returns the exit status and the result."""
        done = self.weft.verb("bench", "-j", "-P", self.weft.process.pid, *words)
        check(done.stdout.startswith("{"), f"weft bench {words}: {done.stdout}")
        return done.returncode, json.loads(done.stdout)


@scenario(Bench)
def kept_connections_are_counted(stage):
    status, found = stage.measure("-u", PROBE + "?op=ok", "-e", "ok", "-n", 3000, "-k", 7)
    check(status == 0 and found["answered"] == 3000 and found["failed"] == 0, f"{found}")
    check(found["connections"] == 7, f"{found['connections']} connections")
    latency = found["latency"]
    check(0 < latency["min"] <= latency["p50"] <= latency["p99"] <= latency["p99_9"] <= latency["max"], f"{latency}")
    server = found["server"]
    check(server["processes"] == 2 and 0 < server["cpu"] < 10000 and server["rss"] > 1000, f"{server}")


@scenario(Bench)
def new_connections_are_counted(stage):
    status, found = stage.measure("-u", PROBE + "?op=ok", "-e", "ok", "-n", 500, "-k", 5, "-K")
    check(status == 0 and found["answered"] == 500 and found["connections"] == 500, f"{found}")


@scenario(Bench)
def many_ids_share_a_connection(stage):
    status, found = stage.measure("-u", PROBE + "?op=sleep&ms=50", "-n", 200, "-k", 2, "-m", 100)
    check(status == 0 and found["answered"] == 200 and found["connections"] == 2, f"{found}")
    check(found["seconds"] < 2 * stage.relax, f"200 waits of 50 ms at once took {found['seconds']} s")


@scenario(Bench)
def each_request_has_a_number_of_its_own(stage):
    """big&n=%r answers with that many bytes: one length fits few of them."""
    status, found = stage.measure("-u", PROBE + "?op=big&n=%r", "-n", 200)
    check(status == 0 and found["answered"] == 200, f"{found}")
    status, found = stage.measure("-u", PROBE + "?op=big&n=%r", "-n", 200, "-e", 77)
    check(status == 1 and found["errors"].get("body", 0) > 190, f"{found}")


@scenario(Bench)
def time_ends_it(stage):
    status, found = stage.measure("-u", PROBE + "?op=ok", "-t", 0.3)
    check(status == 0 and found["answered"] > 10 and 0.29 < found["seconds"] < 3 * stage.relax, f"{found}")


@scenario(Bench)
def what_is_wrong_is_said(stage):
    status, found = stage.measure("-u", "/nothing/here", "-n", 50)
    check(status == 1 and found["errors"] == {"status": 50} and found["answered"] == 0, f"{found}")
    check("404" in found["first_error"], f"{found['first_error']}")
    status, found = stage.measure("-u", PROBE + "?op=ok", "-e", "no", "-n", 20)
    check(status == 1 and found["errors"] == {"body": 20}, f"{found}")
    done = stage.weft.verb("bench", "-a", "unix:/nowhere/at/all", "-n", 1)
    check(done.returncode == 1 and "nothing answers at unix:/nowhere/at/all" in done.stdout, f"{done.stdout}")
    done = stage.weft.verb("bench", "-k", "many")
    check(done.returncode == 2 and "-k is a number" in done.stdout, f"{done.stdout}")
