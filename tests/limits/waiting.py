# SPDX-License-Identifier: ISC
"""Requests that wait, many at once, and all wake at the same moment."""
import select
import time

from lib import fcgi
from lib.weft import PROBE
from limits import measure

TITLE = "many requests that wait at once"
SMALL = {"requests": 1000, "until": 1.5}
END = b"\1\3"          # of a record's head
EACH = 8.0              # KiB, all in: a page of its stack, its room, and a connection of its own where it has one


def tally(data):
    """Returns how many requests ended in a stream of records, and how many answers were not 200."""
    at = ended = bad = 0
    while at < len(data):
        kind, size = data[at + 1], (data[at + 4] << 8) + data[at + 5]
        ended += kind == fcgi.END
        bad += kind == fcgi.STDOUT and size > 0 and not data.startswith(b"Status: 200", at + 8)
        at += 8 + size + data[at + 6]
    return ended, bad


def ask_all(crowd, connections, ids, wake):
    """All of them wait until the same moment."""
    for _ in range(connections):
        conn = crowd.add(b"", select.EPOLLIN)
        conn.sock.setblocking(True)
        for i in range(1, ids + 1):
            ms = round((wake - time.monotonic()) * 1000)
            conn.send(fcgi.request(i, f"{PROBE}?op=sleep&ms={ms}"))
        conn.sock.setblocking(False)


def read_all(crowd, count):
    """Returns when the last bytes came, how many requests ended, and how many answers were not 200."""
    got = {conn: bytearray() for conn in crowd.conns}
    ends = 0
    last = time.monotonic()
    # What comes is counted later, for the time that this takes is not the server's.
    while ends < count and (found := crowd.wait(5.0)):
        for conn, _ in found:
            data = conn.sock.recv(1 << 20)
            ends += data.count(END)
            got[conn] += data
        last = time.monotonic()
    totals = [tally(data) for data in got.values()]
    return last, sum(ended for ended, _ in totals), sum(bad for _, bad in totals)


def measure_shape(bench, connections, ids, until):
    count = connections * ids
    label = f"{connections} connections, {ids} each: "
    with bench.serve("requests = 20000 connections = 20000") as weft, measure.Crowd(weft.socket) as crowd:
        pid = weft.worker()
        before = measure.settle(pid)
        wake = time.monotonic() + until
        ask_all(crowd, connections, ids, wake)
        measure.wait_requests(weft, count)
        grown = measure.settle(pid, 0.1) - before
        spare = wake - time.monotonic()
        spent = measure.processor(pid)
        last, ended, bad = read_all(crowd, count)
        spent = measure.processor(pid) - spent
        bench.memory(label + "memory for each", grown / count / measure.KIB, EACH, "KiB")
        bench.counts(label + "in place before they wake", spare > 0, True)
        bench.counts(label + "answered", ended, count)
        bench.counts(label + "answered otherwise than 200", bad, 0)
        bench.within(label + "all have their answers after", last - wake, 0.2)
        bench.told(label + "processor time of the worker for it", f"{spent * 1000:.0f} ms")


def measure_it(bench, requests=10000, until=5.0):
    measure_shape(bench, requests, 1, until)
    measure_shape(bench, max(1, requests // 100), 100, until)
