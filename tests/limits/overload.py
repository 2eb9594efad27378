# SPDX-License-Identifier: ISC
"""More requests than are allowed."""
import select
import time

from lib import fcgi
from lib.place import check
from lib.weft import PROBE
from limits import measure

TITLE = "300 requests where 100 are allowed"
SMALL = {}
ALLOWED, ASKED = 100, 300


def measure_it(bench):
    with bench.serve(f"requests = {ALLOWED}") as weft, measure.Crowd(weft.socket) as crowd:
        asked = {}
        answers = []        # (seconds, reply)
        for _ in range(ASKED):
            conn = crowd.add(b"", select.EPOLLIN)
            conn.sock.setblocking(True)
        for conn in crowd.conns:
            asked[conn] = time.monotonic()
            conn.send(fcgi.request(1, PROBE + "?op=sleep&ms=1000"))
        while len(answers) < ASKED:
            found = crowd.wait(10.0)
            check(found, "no answer within 10 s")
            for conn, _ in found:
                reply = conn.gather([1])[1]
                answers.append((time.monotonic() - asked[conn], reply))
        refused = [one for one in answers if one[1].code == 503]
        bench.counts("answered 200", sum(reply.code == 200 for _, reply in answers), ALLOWED)
        bench.counts("answered 503", len(refused), ASKED - ALLOWED)
        bench.counts("of these with Retry-After", sum(b"\r\nRetry-After: " in reply.head for _, reply in refused),
                     ASKED - ALLOWED)
        bench.within("the slowest 503", max(seconds for seconds, _ in refused), 0.05)
        bench.counts("op=ok afterwards", weft.ask("op=ok").code, 200)
