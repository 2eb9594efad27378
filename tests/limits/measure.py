# SPDX-License-Identifier: ISC
"""What the measurements share: a weft of their own, its memory and processor time, a pulse, a table."""
import contextlib
import os
import pickle
import resource
import select
import signal
import time

from lib import fcgi
from lib.place import wait_until
from lib.weft import BASIC, PROBE, Weft

KIB = 1024
MIB = 1024 * KIB
TICKS = os.sysconf("SC_CLK_TCK")
RDHUP = select.EPOLLRDHUP | select.EPOLLHUP


def raise_files():
    """Each connection of a measurement is an open file here, too."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Bench:
    """Where one measurement runs; its rows are the result."""

    def __init__(self, place, relax=1.0):
        self.place = place
        self.relax = relax      # of bounds of time
        self.rows = []          # (what, value, bound, whether it holds; None: only told)

    @contextlib.contextmanager
    def serve(self, limits="", launcher=()):
        weft = Weft(self.place, f"{BASIC}limit {{ {limits} }}\n", launcher=launcher).start()
        try:
            yield weft
        finally:
            weft.stop()

    def at_most(self, what, value, bound, unit):
        self.rows.append((what, f"{value:.2f} {unit}", f"<= {bound:.2f} {unit}", value <= bound))

    def memory(self, what, value, bound, unit):
        """Memory is measured in plain builds only: sanitizers keep what was freed."""
        if self.relax > 1:
            self.told(what, f"{value:.2f} {unit}")
        else:
            self.at_most(what, value, bound, unit)

    def within(self, what, seconds, bound):
        """A time; slow builds get more."""
        self.at_most(what, seconds * 1000, bound * self.relax * 1000, "ms")

    def counts(self, what, value, wanted):
        self.rows.append((what, str(value), f"= {wanted}", value == wanted))

    def told(self, what, text):
        self.rows.append((what, text, "", None))


def row_text(row):
    what, value, bound, good = row
    mark = {True: "ok", False: "NOT OK", None: ""}[good]
    return f"  {what:<58} {value:>14}  {bound:<16} {mark}"


# ---- the worker ----

def memory(pid):
    """Bytes that are the process's alone, or its share of: exact, unlike VmRSS."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * KIB
    raise OSError("no Pss in smaps_rollup")


def processor(pid):
    """Seconds of processor time so far."""
    with open(f"/proc/{pid}/stat") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / TICKS


def unlinked(pid):
    """Bytes on disk of the files without a name that the process has open."""
    total = 0
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        try:
            if os.readlink(f"{folder}/{name}").endswith("(deleted)"):
                total += os.stat(f"{folder}/{name}").st_blocks * 512
        except FileNotFoundError:
            pass
    return total


def written(pid):
    """Bytes that the process gave to write(2) and its like."""
    with open(f"/proc/{pid}/io") as file:
        return int(next(line for line in file if line.startswith("wchar:")).split()[1])


def settle(pid, pause=0.3):
    """The memory of a worker that has nothing to do."""
    time.sleep(pause)
    return memory(pid)


# ---- a pulse ----

class Pulse:
    """op=ok over a connection of its own, from a process of its own: what the others notice."""

    def __init__(self, path):
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader)
            signal.alarm(0)
            self.run(writer, path)
        os.close(writer)
        os.read(self.reader, 1)

    @staticmethod
    def run(writer, path):
        stopped = []
        signal.signal(signal.SIGUSR1, lambda *_: stopped.append(1))
        beats = []
        conn = fcgi.Connection(path, 60.0)
        request = fcgi.request(1, PROBE + "?op=ok")
        os.write(writer, b"!")
        try:
            while not stopped:
                began = time.monotonic()
                conn.send(request)
                conn.gather([1])
                beats.append((began, time.monotonic() - began))
                time.sleep(0.001)
        finally:
            with os.fdopen(writer, "wb") as file:
                pickle.dump(beats, file)
            os._exit(0)

    def end(self):
        os.kill(self.pid, signal.SIGUSR1)
        with os.fdopen(self.reader, "rb") as file:
            self.beats = pickle.load(file)
        os.waitpid(self.pid, 0)
        self.pid = 0

    def p99(self, since, until):
        """Seconds that 99 of 100 did not exceed, of those begun between two times."""
        times = sorted(took for at, took in self.beats if since <= at < until)
        return times[min(len(times) - 1, len(times) * 99 // 100)] if times else float("inf")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.reader)


def check_pulse(bench, pulse, marks):
    """marks: when it began, when the trouble began, when it was over.  Differences under 2 ms are the machine's, which runs the clients, too."""
    pulse.end()
    before, during = pulse.p99(marks[0], marks[1]), pulse.p99(marks[1], marks[2])
    bench.told("op=ok, 99 of 100, before", f"{before * 1000:.2f} ms")
    bench.within("op=ok, 99 of 100, meanwhile: at most twice that, or + 2 ms", during, max(2 * before, before + 0.002))


# ---- a crowd ----

class Crowd:
    """Many connections to one socket, from one thread."""

    def __init__(self, path):
        self.path = path
        self.conns = []
        self.opened = 0
        self.poll = select.epoll()
        self.by_fd = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.poll.close()
        for conn in self.conns:
            conn.close()

    def add(self, data, events=RDHUP):
        """One more, which says this.  events: what of it wait() tells."""
        conn = fcgi.Connection(self.path)
        conn.closed_at = None
        self.conns.append(conn)
        self.opened += 1
        self.by_fd[conn.sock.fileno()] = conn
        self.poll.register(conn.sock.fileno(), events)
        conn.send(data)
        conn.sock.setblocking(False)
        return conn

    def send(self, conn, data):
        try:
            conn.sock.send(data)
        except OSError:
            pass        # it is closed, which wait() tells

    def wait(self, seconds):
        """Returns [(connection, whether weft has closed it)] of those about which there is something to tell; none in time: []."""
        found = []
        for fd, events in self.poll.poll(max(0.0, seconds), len(self.by_fd) + 1):
            conn = self.by_fd[fd]
            is_closed = bool(events & RDHUP)
            if is_closed:
                conn.closed_at = time.monotonic()
                self.opened -= 1
                self.poll.unregister(fd)
            found.append((conn, is_closed))
        return found

    def open_count(self):
        return self.opened

    def wait_closed(self, limit):
        """Until weft has closed all.  Returns how many it has not closed in time."""
        end = time.monotonic() + limit
        while self.open_count() > 0 and time.monotonic() < end:
            self.wait(end - time.monotonic())
        return self.open_count()


def wait_requests(weft, count, limit=20.0):
    """Until so many requests are under way."""
    wait_until(lambda: weft.status()["requests"] >= count, f"{count} requests are under way", limit)


def wait_connections(weft, count, limit=20.0):
    wait_until(lambda: weft.status()["connections"] >= count, f"{count} connections are there", limit)
