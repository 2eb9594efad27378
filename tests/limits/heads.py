# SPDX-License-Identifier: ISC
"""Connections that each sent half a request's variables, and no more."""
import time

from lib import fcgi
from lib.weft import PROBE
from limits import measure

TITLE = "half a request on each of many connections"
SMALL = {"connections": 1000}
HEAD_TIMEOUT = 4.0


def half(number):
    """BEGIN, and PARAMS of the usual size cut in the middle."""
    more = {f"HTTP_X_FIELD_{i}": f"value {i} of request {number}" for i in range(12)}
    whole = fcgi.begin(1) + fcgi.params(1, fcgi.variables(PROBE + "?op=ok", HTTP_USER_AGENT="half " * 8, **more))
    return whole[:16 + (len(whole) - 16) // 2]


def measure_it(bench, connections=10000):
    with bench.serve(f'head_timeout = "{HEAD_TIMEOUT:.0f}s"') as weft, measure.Pulse(weft.socket) as pulse:
        pid = weft.worker()
        before = measure.settle(pid)
        marks = [time.monotonic()]
        time.sleep(1.5)
        marks.append(time.monotonic())
        with measure.Crowd(weft.socket) as crowd:
            for i in range(connections):
                crowd.add(half(i))
            sent = time.monotonic()
            measure.wait_connections(weft, connections)
            grown = measure.settle(pid) - before
            late = crowd.wait_closed(HEAD_TIMEOUT + 5)
            marks.append(time.monotonic())
            bench.told("bytes sent on each", str(len(half(1))))
            bench.memory("memory for each connection", grown / connections / measure.KIB, 4, "KiB")
            bench.counts(f"still open after head_timeout = {HEAD_TIMEOUT:.0f} s", late, 0)
            bench.within("the last is closed after", max(conn.closed_at or sent + 99 for conn in crowd.conns) - sent,
                         HEAD_TIMEOUT + 1.5)
        bench.told("memory kept afterwards", f"{(measure.settle(pid) - before) / measure.KIB:.0f} KiB")
        measure.check_pulse(bench, pulse, marks)
