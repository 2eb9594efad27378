# SPDX-License-Identifier: ISC
"""A: how bytes become records, and records a request."""
import time

from lib import fcgi
from lib.fcgi import END, PARAMS, STDERR, STDIN, STDOUT
from lib.place import check

from .peer import G, HELLO, ask, begin, end, keep, nv, record, unvars, variables
from .stage import Plain, row

# BEGIN_REQUEST of id 1, twice: whoever loses step runs it.
FAKE = record(fcgi.BEGIN, 1, b"\0\1\1\0\0\0\0\0") * 2
BIGGEST = 65535


def params(content, number=1, size=BIGGEST):
    return fcgi.stream(PARAMS, number, content, size)


@row(Plain)
def a01_the_base_request(stage):
    with stage.peer() as p:
        p.send(G)
        kind, number, content = p.record()
        check((kind, number) == (STDOUT, 1) and content.endswith(b"\r\n\r\n" + HELLO), f"{kind} {number} {content!r}")
        p.exactly(record(STDOUT, 1), end())
        p.over()


@row(Plain)
def a02_one_byte_a_write(stage):
    with stage.peer() as p:
        for i in range(len(G)):
            p.send(G[i:i + 1])
        p.hello()
        p.over()


@row(Plain)
def a03_two_writes_split_anywhere(stage):
    for cut in range(1, len(G)):
        with stage.peer() as p:
            p.send(G[:cut])
            time.sleep(0.001)
            p.send(G[cut:])
            p.hello()
            p.over()


@row(Plain)
def a04_padding_on_empty_records(stage):
    body = b"padded " * 10
    with stage.peer() as p:
        p.send(record(fcgi.BEGIN, 1, b"\0\1\0\0\0\0\0\0", 255), record(PARAMS, 1, variables("op=echo", "POST", body), 255),
               record(PARAMS, 1, b"", 255), record(STDIN, 1, body, 255), record(STDIN, 1, b"", 255))
        p.body(body)
        p.over()


@row(Plain)
def a04b_padding_on_other_records(stage):
    body = b"padded " * 10
    with stage.peer() as p:
        p.send(record(fcgi.BEGIN, 1, b"\0\1\0\0\0\0\0\0", 255), record(PARAMS, 1, variables("op=echo", "POST", body), 255),
               record(PARAMS, 1), record(STDIN, 1, body, 255), record(STDIN, 1))
        p.body(body)
        p.over()


@row(Plain)
def a05_reserved_bytes_are_not_looked_at(stage):
    with stage.peer() as p:
        p.send(record(fcgi.BEGIN, 1, b"\0\1\0\xff\xff\xff\xff\xff", reserved=255),
               record(PARAMS, 1, nv(b"REQUEST_METHOD", b"GET"), 5, 255), record(PARAMS, 1, reserved=255), record(STDIN, 1, reserved=255))
        p.hello()
        p.over()


@row(Plain)
def a06_the_longest_record_with_the_longest_padding(stage):
    body = (FAKE * 4096)[:BIGGEST]
    with stage.peer() as p:
        p.send(begin(), params(variables("op=echo", "POST", body)), record(STDIN, 1, body, 255), record(STDIN, 1))
        p.body(body)
        p.over()
        check(p.left == b"" or p.at == len(p.left), "a fake record was run")


@row(Plain)
def a07_the_longest_params_record(stage):
    pairs = variables("op=vars")
    filler = BIGGEST - len(pairs) - len(nv(b"HTTP_FILL", b"x" * 60000)) + 60000
    pairs += nv(b"HTTP_FILL", b"x" * filler)
    check(len(pairs) == BIGGEST, f"{len(pairs)}")
    with stage.peer() as p:
        p.send(begin(), record(PARAMS, 1, pairs, 255), record(PARAMS, 1), record(STDIN, 1))
        got = dict(unvars(p.answer().body))
        check(got[b"HTTP_FILL"] == b"x" * filler, "the value is another")
        p.over()


@row(Plain)
def a08_a_pair_cut_over_two_records(stage):
    """At every offset of a pair with long lengths, and one with short ones."""
    first = variables("op=vars")
    pair = b"\x80\0\0\x08\x80\0\0\x90HTTP_CUT" + bytes(range(48, 48 + 72)) * 2 + nv(b"HTTP_B", b"b")
    with stage.peer() as p:
        for cut in range(1, len(pair)):
            p.send(begin(flags=1), record(PARAMS, 1, first + pair[:cut]), record(PARAMS, 1, pair[cut:]), record(PARAMS, 1),
                   record(STDIN, 1))
            got = dict(unvars(p.answer().body))
            check(got[b"HTTP_CUT"] == bytes(range(48, 48 + 72)) * 2 and got[b"HTTP_B"] == b"b", f"cut at {cut}: {got}")


@row(Plain)
def a09_params_as_records_of_one_byte(stage):
    with stage.peer() as p:
        p.send(begin(), params(variables("op=vars", HTTP_NAME="value"), size=1), record(STDIN, 1))
        check(dict(unvars(p.answer().body))[b"HTTP_NAME"] == b"value", "the value is another")
        p.over()


@row(Plain)
def a10_the_long_form_of_a_short_length(stage):
    with stage.peer() as p:
        pairs = variables("op=vars") + b"\x06\x80\0\0\x03HTTP_Aabc" + b"\x80\0\0\x06\x03HTTP_Bdef"
        p.send(begin(), params(pairs), record(STDIN, 1))
        got = dict(unvars(p.answer().body))
        check(got[b"HTTP_A"] == b"abc" and got[b"HTTP_B"] == b"def", f"{got}")
        p.over()


@row(Plain)
def a11_lengths_of_values(stage):
    for n in (127, 128, 255, 256, 65535, 65536):
        value = (bytes(range(33, 127)) * 700)[:n]
        with stage.peer() as p:
            p.send(begin(), params(variables("op=vars", HTTP_LONG=value)), record(STDIN, 1))
            check(dict(unvars(p.answer().body))[b"HTTP_LONG"] == value, f"{n} bytes")
            p.over()


@row(Plain)
def a12_lengths_of_names(stage):
    for n in (127, 128, 1000):
        name = b"HTTP_" + b"N" * (n - 5)
        with stage.peer() as p:
            p.send(begin(), params(variables("op=vars") + nv(name, b"v")), record(STDIN, 1))
            check(dict(unvars(p.answer().body))[name] == b"v", f"{n} bytes")
            p.over()


@row(Plain)
def a13_empty_names_and_values(stage):
    with stage.peer() as p:
        pairs = nv(b"", b"x") + nv(b"", b"") + variables("op=vars") + nv(b"X_E", b"") + nv(b"", b"")
        p.send(begin(), params(pairs), record(STDIN, 1))
        got = unvars(p.answer().body)
        check((b"X_E", b"") in got, "X_E is not there")
        check(all(name for name, _ in got), "a variable without a name is there")
        p.over()


@row(Plain)
def a14_stdin_as_records_of_one_byte(stage):
    body = bytes(range(256)) * 8
    with stage.peer() as p:
        p.send(begin(), params(variables("op=echo", "POST", body)), fcgi.stream(STDIN, 1, body, 1))
        p.body(body)
        p.over()


@row(Plain)
def a15_a_mebibyte_of_stdin(stage):
    body = FAKE * (1048576 // len(FAKE))
    with stage.peer() as p:
        p.send(begin(), params(variables("op=length", "POST", body)), fcgi.stream(STDIN, 1, body, BIGGEST))
        p.body(b"1048576")
        p.over()


@row(Plain)
def a16_long_answers(stage):
    """Written in one call.  Peer.answer sees to the records and their order."""
    for n in (65535, 65536, 65537, 131071, 10000000):
        for announced in ("", "&length=1"):
            with stage.peer() as p:
                p.send(ask(f"op=big&n={n}{announced}", number=258))
                body = p.answer(258).body
                check(body == (FAKE * (n // 16 + 1))[:n], f"{len(body)} bytes of {n}, or others")
                p.over()


@row(Plain)
def a17_nothing_of_before_in_reserved_bytes(stage):
    with stage.peer() as p:
        p.send(ask("op=big&n=9000", flags=1))
        p.answer()
        p.send(G)
        kind, number, _ = p.record()        # it looks at reserved bytes and padding
        check((kind, number) == (STDOUT, 1), f"{kind} {number}")
        p.exactly(record(STDOUT, 1), end())
        p.over()


@row(Plain)
def a18_much_on_stderr(stage):
    with stage.peer() as p:
        p.send(ask("op=log&n=20000"))
        a = p.body(b"logged")
        check(all(0 < len(one) <= 4096 for one in a.err), f"records of {[len(one) for one in a.err]}")
        check(b"".join(a.err) == b"e" * 20000, f"{sum(map(len, a.err))} bytes")
        # HAProxy takes what comes before the head for the end of the answer.
        check(a.records[0][0] == STDOUT, f"{a.records[:3]}")
        p.over()


@row(Plain)
def a19_nothing_on_stderr(stage):
    for query in ("op=ok", "op=nothing", "op=early"):
        with stage.peer() as p:
            p.send(ask(query))
            a = p.answers([1])[1]
            check((STDERR, 0) not in a.records[1:] and not a.err, f"{query}: {a.records}")
            check(a.records[-2:] == [(STDOUT, 0), (END, 8)], f"{a.records}")
            p.over()


@row(Plain)
def a20_nul_and_line_ends_in_variables(stage):
    """Refused with 400; for other requests nothing changes."""
    bad = [nv(b"HTTP_X", b"a" + byte + b"b") for byte in (b"\0", b"\r", b"\n")]
    bad += [nv(b"HTTP" + byte + b"X", b"v") for byte in (b"\0", b"\r", b"\n")]
    with stage.peer() as p:
        for pair in bad:
            p.send(begin(flags=1), params(variables("op=vars") + pair), record(STDIN, 1))
            check(p.answer().code == 400, f"{pair!r} is taken")
        p.send(keep(G))
        p.hello()
