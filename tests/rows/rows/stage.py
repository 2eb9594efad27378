# SPDX-License-Identifier: ISC
"""The servers that rows are asked of, and how a row is registered."""
import json
import os

from lib import suite
from lib.place import check, wait_until
from lib.suite import Stage
from lib.weft import Weft

from .peer import G, Peer, ask

LATER = []          # (name, why): rows that need what this version does not have

HEAD = """\
workers = 1
sandbox = "on"
control = "@RUN@/control.sock"
status = "/weft"
listen "web" { address = "unix:@RUN@/web.sock" }
module "rows" { file = "@ROWS@/rows.so" }
module "probe" { file = "@MODULES@/probe.so"  prefix = "/app" }
"""


# What sanitizers, and weft itself, say of its own faults.
REPORTS = ("AddressSanitizer", "runtime error:", "LeakSanitizer", "ThreadSanitizer", "weft: bug:")


def reports(folder):
    """The lines of logs that say it."""
    found = []
    for name in sorted(os.listdir(folder)):
        if name.endswith(".log"):
            with open(os.path.join(folder, name), errors="replace") as file:
                found += [line for line in file if any(word in line for word in REPORTS)]
    return found


def row(stage, limit=20, later=""):
    """Register a row.  limit: seconds, before --relax.  later: what it waits for."""

    def register(function):
        suite.scenarios.append((function.__name__, stage.__name__, stage, (), function, limit))
        if later:
            LATER.append((function.__name__, later))
        return function
    return register


class Server(Stage):
    """A weft of a configuration; subclasses say which."""

    conf = HEAD

    def open(self):
        self.weft = Weft(self.place, self.conf).start()
        self.pid = self.worker()

    def is_healthy(self):
        # A row that costs the worker has failed; the next one gets another.
        return self.weft.process.is_alive() and self.weft.is_up() and self.worker() == self.pid

    @property
    def address(self):
        return self.weft.socket

    def peer(self, limit=8.0):
        return Peer(self.address, limit * self.relax)

    def some(self, n):
        """Fewer rounds of the same where everything is slow."""
        return max(1, int(n / self.relax))

    def worker(self):
        """The process id of the worker that answers now."""
        with self.peer() as p:
            p.send(ask("op=pid"))
            return int(p.answer().body)

    def counts(self):
        with self.peer() as p:
            p.send(ask("op=counts"))
            return tuple(map(int, p.answer().body.split()))

    def alive(self):
        """The worker is the one that it was, and G is answered."""
        with self.peer() as p:
            p.send(G)
            p.hello()
            p.over()
        now = self.worker()
        check(now == self.pid, f"another worker answers: {self.pid} is {now} now")

    def settles(self, limit=5.0):
        """Wait until nobody else is connected, and nothing else runs."""
        def is_alone():
            worker = json.loads(self.weft.verb("status").stdout)["workers"][0]
            return worker["requests"] == 0 and worker["connections"] == 0
        wait_until(is_alone, "all connections are gone", limit * self.relax)

    def memory(self):
        """The worker's resident bytes."""
        with open(f"/proc/{self.pid}/statm") as file:
            return int(file.read().split()[1]) * 4096

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def processor(self):
        """Seconds of processor that the worker has taken."""
        with open(f"/proc/{self.pid}/stat") as file:
            words = file.read().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def log(self):
        return self.weft.process.log_text()


class Plain(Server):
    """The limits as they are by default."""


class Tight(Server):
    """Small limits, so that they can be met."""

    conf = HEAD + """\
limit {
  requests = 6
  connections = 12
  head_timeout = "1s"
  body_timeout = "1s"
  idle_timeout = "2s"
}
"""


class Strict(Server):
    """Few requests on one connection."""

    conf = HEAD + 'limit { multiplex = 1 }\n'
