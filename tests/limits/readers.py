# SPDX-License-Identifier: ISC
"""Clients that read a long answer slowly."""
import time

from lib import fcgi
from lib.weft import PROBE
from limits import measure

TITLE = "100 MB for each of many readers of 10 KB/s"
SMALL = {"readers": 50, "seconds": 2.0}
RATE = 10000
TICKS = 10      # a second


def take(sock):
    try:
        return len(sock.recv(RATE // TICKS))
    except BlockingIOError:
        return 0


def measure_it(bench, readers=200, seconds=20.0):
    with bench.serve() as weft, measure.Pulse(weft.socket) as pulse:
        pid = weft.worker()
        before = measure.settle(pid)
        marks = [time.monotonic()]
        time.sleep(1.0)
        marks.append(time.monotonic())
        most = got = 0
        with measure.Crowd(weft.socket) as crowd:
            for _ in range(readers):
                crowd.add(fcgi.request(1, PROBE + "?op=big&n=100000000"))
            began = time.monotonic()
            for tick in range(int(seconds * TICKS)):
                got += sum(take(conn.sock) for conn in crowd.conns)
                if tick % TICKS == TICKS - 1:
                    most = max(most, measure.memory(pid) - before)
                time.sleep(max(0.0, began + (tick + 1) / TICKS - time.monotonic()))
            marks.append(time.monotonic())
            bench.told("read by each", f"{got / readers / 1000:.0f} kB in {marks[2] - began:.0f} s")
            bench.memory("memory for each reader", most / readers / measure.KIB, 512, "KiB")
        bench.memory("memory kept afterwards", (measure.settle(pid) - before) / measure.MIB, 8, "MiB")
        measure.check_pulse(bench, pulse, marks)
