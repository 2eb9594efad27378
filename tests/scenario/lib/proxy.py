# SPDX-License-Identifier: ISC
"""tests/support/faultproxy, which breaks what goes through it."""
import collections
import subprocess

from .place import Failure

Stats = collections.namedtuple("Stats", "now peak ever rate cuts up down")


class Proxy:
    """Between whoever connects to its address and a server.

    target, listen   "unix:/path" or "127.0.0.1:port"; without listen it is a socket in the place's folder
    """

    def __init__(self, place, name, target, listen=""):
        self.place = place
        self.name = name
        self.target = target
        self.address = listen or f"unix:{place.path(name)}.sock"
        self.start()

    def start(self):
        """And again, at the same address, if it has been killed."""
        argv = [self.place.words["SUPPORT"] + "/faultproxy", self.address, self.target]
        self.process = self.place.spawn(self.name, argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.address = self.line()

    def line(self):
        line = self.process.child.stdout.readline().decode().rstrip("\n")
        if not line:
            raise Failure(f"{self.name} ended: {self.process.log_text()}")
        return line

    @property
    def path(self):
        return self.address.partition("unix:")[2]

    @property
    def port(self):
        return int(self.address.rpartition(":")[2])

    def ask(self, *words):
        self.process.child.stdin.write((" ".join(map(str, words)) + "\n").encode())
        self.process.child.stdin.flush()
        return self.line()

    def tell(self, *words):
        """One command; see faultproxy.c for what there is."""
        said = self.ask(*words)
        if said != "ok":
            raise Failure(f"{self.name} {' '.join(map(str, words))}: {said}")

    def stats(self):
        """What it has counted since the last "mark": connections now and their peak, ever, the most of a second, cuts, bytes."""
        return Stats(*map(int, self.ask("stats").split()))
