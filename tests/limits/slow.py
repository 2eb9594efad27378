# SPDX-License-Identifier: ISC
"""Peers that go on, a byte a second: with their variables, with a body, with reading."""
import time

from lib import fcgi
from lib.weft import PROBE
from limits import measure

TITLE = "a byte a second"
SMALL = {"heads": 400, "bodies": 400, "readers": 10}
LIMITS = 'head_timeout = "4s" body_timeout = "3s" send_timeout = "4s" timeout = "6s"'
HEAD, REQUEST, SEND = 4.0, 6.0, 4.0
SLACK = 1.5     # the server looks once a second
TICKS = 50      # a second, over which the bytes are spread


def start(crowd, heads, bodies, readers):
    """Returns the three kinds; each connection has `rest`, the bytes that come slowly."""
    kinds = ([], [], [])
    variables = fcgi.params(1, fcgi.variables(PROBE + "?op=ok", HTTP_USER_AGENT="slow " * 20))
    post = fcgi.begin(1, flags=0) + fcgi.params(1, fcgi.variables(PROBE + "?op=length", "POST", CONTENT_LENGTH="1000"))
    post += fcgi.record(fcgi.STDIN, 1, b"b" * 1000)[:8]
    for kind, count, data, rest in ((0, heads, fcgi.begin(1) + variables[:100], variables[100:]),
                                    (1, bodies, post, b"b" * 1000),
                                    (2, readers, fcgi.request(1, PROBE + "?op=big&n=10000000"), b"")):
        for _ in range(count):
            conn = crowd.add(data)
            conn.rest = rest
            kinds[kind].append(conn)
    return kinds


def go_on(crowd, conns, second):
    """One byte more of each, to it or from it."""
    for conn in conns:
        if conn.closed_at is not None:
            continue
        if conn.rest:
            crowd.send(conn, conn.rest[second:second + 1])
        else:
            try:
                conn.sock.recv(1)
            except OSError:
                pass


def go_on_for(crowd, seconds, began):
    """All of them, each at its own time of the second, until weft has closed them."""
    for tick in range(seconds * TICKS):
        go_on(crowd, crowd.conns[tick % TICKS::TICKS], tick // TICKS)
        while (left := began + (tick + 1) / TICKS - time.monotonic()) > 0 and crowd.open_count() > 0:
            crowd.wait(left)
        if crowd.open_count() == 0:
            break


def last_closed(conns, began):
    return max(conn.closed_at if conn.closed_at is not None else began + 99 for conn in conns) - began


def code_of(conn):
    conn.sock.setblocking(True)
    return conn.gather([1])[1].code


def measure_it(bench, heads=2500, bodies=2500, readers=50):
    with bench.serve(LIMITS) as weft, measure.Pulse(weft.socket) as pulse:
        pid = weft.worker()
        before = measure.settle(pid)
        marks = [time.monotonic()]
        time.sleep(1.0)
        marks.append(time.monotonic())
        with measure.Crowd(weft.socket) as crowd:
            slow = start(crowd, heads, bodies, 0)
            measure.wait_connections(weft, heads + bodies)
            grown = measure.settle(pid) - before
            slow[2].extend(start(crowd, 0, 0, readers)[2])
            began = time.monotonic()
            go_on_for(crowd, int(REQUEST + SLACK + 4), began)
            marks.append(time.monotonic())
            bench.memory("memory for each that sends slowly", grown / (heads + bodies) / measure.KIB, 20, "KiB")
            bench.counts("still open", crowd.open_count(), 0)
            bench.within(f"variables (head_timeout {HEAD:.0f} s): the last is closed after", last_closed(slow[0], began),
                         HEAD + SLACK)
            bench.within(f"body (timeout {REQUEST:.0f} s): the last is closed after", last_closed(slow[1], began),
                         REQUEST + SLACK)
            bench.within(f"reader (send_timeout {SEND:.0f} s): the last is closed after", last_closed(slow[2], began),
                         SEND + SLACK)
            codes = sorted({code_of(conn) for conn in slow[1]})
            bench.told("what those with a slow body are told", str(codes))
        measure.check_pulse(bench, pulse, marks)
        bench.counts("requests left", weft.status()["requests"], 0)
