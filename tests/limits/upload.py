# SPDX-License-Identifier: ISC
"""Long bodies: one that is read as it comes, and one that nobody reads."""
import threading
import time

from lib import fcgi
from lib.weft import PROBE
from limits import measure

TITLE = "a long upload"
SMALL = {"size": 200 << 20, "unread": 50 << 20}
PIECE = 65535


class Watch:
    """The most that a worker took while something went on."""

    def __init__(self, pid):
        self.pid = pid
        self.before = measure.settle(pid)
        self.written = measure.written(pid)
        self.unlinked = measure.unlinked(pid)
        self.memory = self.disk = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.over.wait(0.02):
            self.memory = max(self.memory, measure.memory(self.pid) - self.before)
            self.disk = max(self.disk, measure.unlinked(self.pid) - self.unlinked)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()
        self.written = measure.written(self.pid) - self.written


def upload(path, query, size):
    """Returns the reply, and the seconds that it took."""
    block = fcgi.record(fcgi.STDIN, 1, b"u" * PIECE) * 16
    with fcgi.Connection(path, 300.0) as conn:
        began = time.monotonic()
        conn.send(fcgi.begin(1) + fcgi.params(1, fcgi.variables(f"{PROBE}?{query}", "POST", CONTENT_LENGTH=str(size))))
        for _ in range(size // (PIECE * 16)):
            conn.send(block)
        conn.send(fcgi.stream(fcgi.STDIN, 1, b"u" * (size % (PIECE * 16))))
        return conn.gather([1])[1], time.monotonic() - began


def measure_it(bench, size=2 << 30, unread=500 << 20):
    with bench.serve('body = "3G"') as weft:
        pid = weft.worker()
        with Watch(pid) as watch:
            reply, seconds = upload(weft.socket, "op=length", size)
        bench.counts(f"bytes that op=length counted of {size >> 20} MiB", reply.body.decode(), str(size))
        bench.told("speed", f"{size / seconds / 1e6:.0f} MB/s")
        bench.memory("memory", watch.memory / measure.MIB, 8, "MiB")
        bench.at_most("disk, where the handler keeps up", watch.disk / measure.MIB, 1, "MiB")
        bench.at_most("of it went through a file", watch.written / size * 100, 5, "%")
        with Watch(pid) as watch:
            reply, seconds = upload(weft.socket, "op=sleep&ms=1500", unread)
        bench.counts("status where the handler does not read", reply.code, 200)
        bench.memory("memory for that", watch.memory / measure.MIB, 8, "MiB")
        bench.at_most("disk for that: no more than the body", watch.disk / unread * 100, 101, "%")
        bench.counts("disk afterwards, bytes", measure.unlinked(pid) - watch.unlinked, 0)
        with Watch(pid) as watch:
            reply, seconds = upload(weft.socket, "op=ok", unread)
        bench.counts("status where it answers at once", reply.code, 200)
        bench.memory("memory for that", watch.memory / measure.MIB, 8, "MiB")
        bench.at_most("disk for that", watch.disk / measure.MIB, 1, "MiB")
