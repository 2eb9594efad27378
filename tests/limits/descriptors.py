# SPDX-License-Identifier: ISC
"""More clients than open files."""
import select
import time

from lib import fcgi
from lib.place import wait_until
from lib.weft import PROBE
from limits import measure

TITLE = "200 clients, 64 open files"
SMALL = {"seconds": 2.0}
CLIENTS, FILES = 200, 64


def lines(weft):
    return weft.process.log_text().count("accept paused")


def measure_it(bench, seconds=5.0):
    with bench.serve(launcher=["prlimit", f"--nofile={FILES}"]) as weft, measure.Crowd(weft.socket) as crowd:
        pid = weft.worker()
        # Those that come first keep their connection.
        for _ in range(CLIENTS):
            crowd.add(fcgi.request(1, PROBE + "?op=ok"), select.EPOLLIN)
        served = []
        while found := crowd.wait(0.3):
            for conn, _ in found:
                conn.gather([1])
                served.append(conn)
                conn.sock.setblocking(False)
        began, spent, said = time.monotonic(), measure.processor(pid), lines(weft)
        served[0].send(fcgi.request(2, PROBE + f"?op=sleep&ms={seconds * 500:.0f}"))
        reply = served[0].gather([2])[2]
        bench.counts("a request under way meanwhile is answered", reply.code, 200)
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        passed = time.monotonic() - began
        bench.told("served before files ran out", f"{len(served)} of {CLIENTS}")
        bench.at_most("processor time meanwhile", (measure.processor(pid) - spent) / passed * 100, 5, "%")
        bench.at_most("lines in the log each second", (lines(weft) - said) / passed, 1.2, "")
        # Files are free again, a few at a time.
        free = time.monotonic()
        waiting = [conn for conn in crowd.conns if conn not in served]
        for conn in served:
            conn.close()
        first = None
        while waiting and time.monotonic() < free + 10:
            for conn, _ in crowd.wait(0.2):
                if conn in waiting:
                    conn.gather([1])
                    first = first or time.monotonic() - free
                    waiting.remove(conn)
                    conn.close()
        bench.within("the first of those that waited is answered after", first or 99, 1.0)
        bench.within("the last of them after", time.monotonic() - free, 1.0)
        bench.counts("not answered", len(waiting), 0)
        wait_until(weft.is_up, "it serves again")
