# SPDX-License-Identifier: ISC
"""M: records about the connection itself, with id 0."""
import struct

from lib.fcgi import END, GET_VALUES, GET_VALUES_RESULT, PARAMS, STDIN, UNKNOWN
from lib.place import check, wait_until

from .framing import BIGGEST, FAKE, params
from .peer import G, ask, begin, keep, nv, record, variables
from .stage import Plain, Strict, Tight, row

ALL = (b"FCGI_MAX_CONNS", b"FCGI_MAX_REQS", b"FCGI_MPXS_CONNS")


def query(*names):
    return record(GET_VALUES, 0, b"".join(nv(name, b"") for name in names))


def values(p):
    """The next record must be a RESULT.  Returns its pairs; each is there once, and a number."""
    got = p.record()
    check(got is not None, "the end instead of a RESULT")
    kind, number, content = got
    check((kind, number) == (GET_VALUES_RESULT, 0), f"a record of type {kind} for id {number}")
    out = {}
    while content:
        n, v = content[0], content[1]
        check(n < 128 and v < 128 and len(content) >= 2 + n + v, f"{content!r}")
        name, value, content = content[2:2 + n], content[2 + n:2 + n + v], content[2 + n + v:]
        check(name not in out, f"{name!r} is there twice")
        check(value.isdigit() and str(int(value)).encode() == value, f"{name!r} is {value!r}")
        out[name] = int(value)
    return out


def unknown(kind):
    """UNKNOWN_TYPE, all of it."""
    return struct.pack(">BBHHBB", 1, UNKNOWN, 0, 8, 0, 0) + bytes([kind]) + bytes(7)


@row(Plain)
def m01_values_alone(stage):
    asked = query(*ALL)
    check(asked[:8] == bytes.fromhex("0109000000300000"), asked[:8].hex())
    with stage.peer() as p:
        p.send(asked)
        got = values(p)
        check(set(got) == set(ALL), f"{got}")
        p.send(G)
        p.hello()
        p.over()


@row(Plain)
def m02_names_that_nobody_knows(stage):
    with stage.peer() as p:
        p.send(query(b"NOPE", b"FCGI_MAX_REQS"))
        check(set(values(p)) == {b"FCGI_MAX_REQS"}, "more or less than FCGI_MAX_REQS")
        p.send(query())
        p.exactly(record(GET_VALUES_RESULT, 0))
        p.send(query(b"NOPE"))
        p.exactly(record(GET_VALUES_RESULT, 0))
        p.send(G)
        p.hello()


@row(Plain)
def m03_one_name_many_times(stage):
    with stage.peer() as p:
        p.send(query(*[b"FCGI_MAX_CONNS"] * 3000))
        check(set(values(p)) == {b"FCGI_MAX_CONNS"}, "others than FCGI_MAX_CONNS")
        p.send(G)
        p.hello()
    stage.alive()


@row(Plain)
def m04_values_in_the_middle_of_a_request(stage):
    with stage.peer() as p:
        p.send(begin(), record(PARAMS, 1, variables("op=ok")), query(b"FCGI_MPXS_CONNS"))
        check(values(p) == {b"FCGI_MPXS_CONNS": 1}, "FCGI_MPXS_CONNS is not 1")
        p.send(record(PARAMS, 1), record(STDIN, 1))
        p.hello()
        p.over()


@row(Plain)
def m05_a_malformed_query(stage):
    with stage.peer() as other:
        other.send(begin())
        for content in (b"\xff" * 8 + b"A", b"\x0e", b"\x0e\0FCGI_MAX_CONN", b"\x80\0\0"):
            with stage.peer() as p:
                p.send(record(GET_VALUES, 0, content))
                p.exactly(record(GET_VALUES_RESULT, 0))
                p.send(G)
                p.hello()
        other.send(params(variables("op=ok")), record(STDIN, 1))
        other.hello()


@row(Plain)
def m06_an_unknown_type(stage):
    with stage.peer() as p:
        p.send(record(0x63, 0, b"abc", 5), G)
        p.exactly(unknown(0x63))
        p.hello()
        p.over()


@row(Plain)
def m07_an_unknown_type_full_of_records(stage):
    content = (FAKE * 4096)[:BIGGEST]
    with stage.peer() as p:
        p.send(record(200, 0, content, 255), G)
        p.exactly(unknown(200))
        p.hello()
        p.over()


@row(Plain)
def m08_types_at_the_edges(stage):
    with stage.peer() as p:
        p.send(record(0, 0))
        p.exactly(unknown(0))
        p.send(record(255, 0))
        p.exactly(unknown(255))
        p.send(G)
        p.hello()
        p.over()


@row(Plain)
def m09_values_behind_an_answer_that_nobody_reads(stage):
    """They queue behind it.  Who only asks and never reads is closed, and costs little until then."""
    with stage.peer() as p:
        p.send(ask("op=big&n=1000000", flags=1))
        wait_until(lambda: not p.is_silent(0), "the answer begins")
        p.send(query(*ALL) * 10)
        kinds, size = [], 0
        while END not in kinds or kinds.count(GET_VALUES_RESULT) < 10:
            kind, number, content = p.record()
            check((number == 0) == (kind == GET_VALUES_RESULT), f"a record of type {kind} for id {number}")
            kinds.append(kind)
            size += len(content)
        check(kinds.index(GET_VALUES_RESULT) > 0, "they overtake what was written before")
    before = stage.memory()
    with stage.peer(3.0) as p:
        p.send(ask("", flags=1, REQUEST_URI="/app/probe", QUERY_STRING="op=big&n=30000000"))
        sent = 0
        asked = query(*ALL) * 100
        while sent < 10000 and p.try_send(asked):
            sent += 100
            # As it does not read, its own sends end when it is closed or its pipe is full.
        check(stage.memory() - before < 16 << 20, f"{stage.memory() - before} bytes for one peer")
        p.closes()
    stage.alive()


@row(Tight)
def m10_the_values_are_the_limits(stage):
    with stage.peer() as p:
        p.send(query(*ALL))
        got = values(p)
        check(got == {b"FCGI_MAX_CONNS": 12, b"FCGI_MAX_REQS": 6, b"FCGI_MPXS_CONNS": 1}, f"{got}")
        # As many requests as it says; one more is refused, and the others are answered.
        for i in range(1, 7):
            p.send(ask("op=sleep&ms=300", number=i, flags=1))
        p.send(ask("op=ok", number=7, flags=1))
        a = p.answers(range(1, 8))
        check(a[7].protocol == 2 and a[7].code == 503, f"{a[7].protocol} {a[7].head!r}")
        check(all(a[i].code == 200 and a[i].protocol == 0 for i in range(1, 7)), "one within the limit is refused")
        p.send(keep(G))
        p.hello()
    # As many connections; one more is closed without a byte.
    stage.settles()
    peers = [stage.peer() for _ in range(12)]
    try:
        for one in peers:
            one.send(keep(G))
            one.hello()
        with stage.peer() as more:
            more.try_send(G)
            check(more.closes() == b"", "the connection over the limit gets bytes")
        for one in peers:
            one.send(keep(G))
            one.hello()
    finally:
        for one in peers:
            one.close()


@row(Strict)
def m10_one_at_a_time_says_so(stage):
    with stage.peer() as p:
        p.send(query(*ALL))
        got = values(p)
        check(got[b"FCGI_MPXS_CONNS"] == 0, f"{got}")
