# SPDX-License-Identifier: ISC
"""
A reader that stalls on a connection with many requests.

All of a connection's answers are one stream of bytes, so behind a peer that
does not read they wait, whichever request they are of: nothing at this end
can change that.  What weft owes is that this costs little, that all is answered
once the peer reads on, and that nobody else notices.
"""
import time

from lib import fcgi
from lib.weft import PROBE
from limits import measure

TITLE = "a reader that stalls, with 49 more requests behind it on its connection"
SMALL = {"size": 20000000, "stall": 1.0}
LAST = 50


def measure_it(bench, size=100000000, stall=3.0):
    with bench.serve() as weft, measure.Pulse(weft.socket) as pulse:
        pid = weft.worker()
        before = measure.settle(pid)
        marks = [time.monotonic()]
        time.sleep(1.0)
        marks.append(time.monotonic())
        with fcgi.Connection(weft.socket, 60.0) as conn:
            conn.send(fcgi.request(1, f"{PROBE}?op=big&n={size}"))
            time.sleep(stall / 2)
            for i in range(2, LAST + 1):
                conn.send(fcgi.request(i, f"{PROBE}?op=env&name=QUERY_STRING&id={i}"))
            time.sleep(stall / 2)
            bench.memory("memory while it stalls", (measure.memory(pid) - before) / measure.KIB, 1024, "KiB")
            bench.told("requests that are not done, the pulse's included", str(weft.status()["requests"]))
            read_on = time.monotonic()
            replies = conn.gather(range(1, LAST + 1))
        marks.append(time.monotonic())
        good = sum(replies[i].body.decode() == f"op=env&name=QUERY_STRING&id={i}" for i in range(2, LAST + 1))
        bench.counts("of the 49, answered with what is theirs", good, LAST - 1)
        bench.counts("bytes of the long one", len(replies[1].body), size)
        bench.counts("which ended last", list(replies)[-1], 1)
        bench.within("the 49 have their answers after reading on within",
                     max(replies[i].ended_at for i in range(2, LAST + 1)) - read_on, 0.1)
        measure.check_pulse(bench, pulse, marks)
