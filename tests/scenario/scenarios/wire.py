# SPDX-License-Identifier: ISC
"""FastCGI byte by byte, on weft's own socket: what no web server would send, too."""
import random
import time

from lib import fcgi
from lib.place import check
from lib.suite import Stage, scenario
from lib.weft import PROBE, Weft

MANY = 100


class Wire(Stage):
    """weft alone."""

    def open(self):
        self.weft = Weft(self.place).start()

    def is_healthy(self):
        return self.weft.process.is_alive() and self.weft.is_up()

    def connect(self, limit=10.0):
        return fcgi.Connection(self.weft.socket, limit * self.relax)

    def check_alive(self):
        check(self.weft.ask("op=ok").body.strip() == b"ok", "weft answers no more")


@scenario(Wire)
def many_ids_on_one_connection(stage):
    """The bodies of 100 requests come interleaved; each gets its own bytes back."""
    dice = random.Random(1)
    bodies = {i: dice.randbytes(dice.randrange(1, 20000)) for i in range(1, MANY + 1)}
    left = dict(bodies)
    with stage.connect() as conn:
        for i, body in bodies.items():
            conn.send(fcgi.begin(i) + fcgi.params(i, fcgi.variables(PROBE + "?op=echo", "POST", body)))
        while left:
            out = b""
            for i in dice.sample(sorted(left), len(left)):
                size = dice.randrange(1, 4000)
                piece, left[i] = left[i][:size], left[i][size:]
                out += fcgi.record(fcgi.STDIN, i, piece, padding=dice.randrange(8))
                if not left[i]:
                    del left[i]
                    out += fcgi.record(fcgi.STDIN, i)
            conn.send(out)
        for i, reply in conn.gather(bodies).items():
            check(reply.status == 0 and reply.code == 200, f"id {i}: {reply.head!r}")
            check(reply.body == bodies[i], f"id {i} got {len(reply.body)} bytes that are not its own {len(bodies[i])}")


@scenario(Wire)
def fast_ids_overtake_slow_ones(stage):
    dice = random.Random(2)
    wait = {i: dice.randrange(0, 800) for i in range(1, MANY + 1)}
    with stage.connect() as conn:
        began = time.monotonic()
        conn.send(b"".join(fcgi.request(i, f"{PROBE}?op=sleep&ms={wait[i]}") for i in wait))
        replies = conn.gather(wait)
    slack = 0.1 * stage.relax
    for i, reply in replies.items():
        took = reply.ended_at - began
        check(reply.code == 200, f"id {i}: {reply.head!r}")
        check(wait[i] / 1000 - 0.005 <= took <= wait[i] / 1000 + slack, f"id {i} waits {wait[i]} ms, and took {took:.3f} s")


@scenario(Wire)
def one_connection_for_many_requests(stage):
    with stage.connect() as conn:
        for i in range(1000):
            conn.send(fcgi.request(1, PROBE + "?op=ok"))
            check(conn.gather([1])[1].body.strip() == b"ok", f"request {i}")


@scenario(Wire)
def connection_ends_unless_it_is_kept(stage):
    with stage.connect() as conn:
        conn.send(fcgi.request(1, PROBE + "?op=ok", flags=0))
        conn.gather([1])
        check(conn.receive() is None, "more than the answer comes")


@scenario(Wire)
def a_request_byte_by_byte(stage):
    with stage.connect() as conn:
        for byte in fcgi.request(1, PROBE + "?op=echo", "POST", b"thread by thread"):
            conn.send(bytes([byte]))
        check(conn.gather([1])[1].body == b"thread by thread", "the body is another")


@scenario(Wire)
def parameters_in_small_records(stage):
    """Pairs straddle their borders."""
    values = fcgi.variables(PROBE + "?op=env&name=HTTP_LONG", HTTP_LONG="x" * 500)
    for size in (1, 2, 3, 7, 100):
        with stage.connect() as conn:
            conn.send(fcgi.begin(1) + fcgi.params(1, values, size) + fcgi.stream(fcgi.STDIN, 1, b""))
            check(conn.gather([1])[1].body.strip() == b"x" * 500, f"records of {size} bytes")


@scenario(Wire)
def length_is_only_advice(stage):
    """The body ends with its empty record, whatever CONTENT_LENGTH says."""
    for said in ("", "-1", "0", "3", "999999", "many"):
        with stage.connect() as conn:
            conn.send(fcgi.request(1, PROBE + "?op=ok", "POST", b"hello", CONTENT_LENGTH=said))
            conn.gather([1])
    stage.check_alive()


@scenario(Wire)
def head_is_in_the_first_record(stage):
    """One front-end dies when the header block spans two."""
    with stage.connect() as conn:
        conn.send(fcgi.request(1, PROBE + "?op=big&n=100000"))
        while True:
            kind, _, content = conn.receive()
            if kind == fcgi.STDOUT:
                check(b"\r\n\r\n" in content, f"the first record is {content[:200]!r}")
                check(b"\r\nStatus: 200" in b"\r\n" + content, f"no Status in {content[:200]!r}")
                break


@scenario(Wire)
def abort_ends_a_request_early(stage):
    with stage.connect() as conn:
        began = time.monotonic()
        conn.send(fcgi.request(1, PROBE + "?op=sleep&ms=8000") + fcgi.request(2, PROBE + "?op=sleep&ms=300"))
        conn.send(fcgi.record(fcgi.ABORT, 1))
        replies = conn.gather([1, 2])
        check(replies[1].ended_at - began < 2 * stage.relax, "it went on all the same")
        check(replies[2].code == 200, "its neighbour was hit too")


@scenario(Wire)
def what_the_server_can_do(stage):
    with stage.connect() as conn:
        conn.send(fcgi.record(fcgi.GET_VALUES, 0, fcgi.pairs({"FCGI_MPXS_CONNS": "", "FCGI_MAX_REQS": "",
                                                              "FCGI_NO_SUCH": ""})))
        kind, number, content = conn.receive()
        check((kind, number) == (fcgi.GET_VALUES_RESULT, 0), f"record {kind} for id {number}")
        values = fcgi.unpairs(content)
        check(values.get("FCGI_MPXS_CONNS") == "1", f"it says {values}")
        check("FCGI_NO_SUCH" not in values, f"it says {values}")


@scenario(Wire)
def an_unknown_record_is_answered(stage):
    with stage.connect() as conn:
        conn.send(fcgi.record(99, 0, b"what?"))
        kind, number, content = conn.receive()
        check((kind, number, content[:1]) == (fcgi.UNKNOWN, 0, bytes([99])), f"record {kind}: {content!r}")
        conn.send(fcgi.request(1, PROBE + "?op=ok"))
        check(conn.gather([1])[1].body.strip() == b"ok", "the connection serves no more")


@scenario(Wire)
def noise_hurts_nobody_else(stage):
    """Whatever a peer sends costs it its connection at most."""
    dice = random.Random(3)
    good = fcgi.request(1, PROBE + "?op=echo", "POST", b"y" * 300)
    with stage.connect() as neighbour:
        neighbour.send(fcgi.request(1, PROBE + "?op=sleep&ms=1500"))
        for turn in range(200):
            data = bytearray(good if turn % 2 else dice.randbytes(dice.randrange(1, 3000)))
            for _ in range(turn % 5):
                data[dice.randrange(len(data))] = dice.randrange(256)
            with stage.connect() as conn:
                try:
                    conn.send(bytes(data[:dice.randrange(1, len(data) + 1)]))
                except OSError:
                    pass    # it hung up already, as it may
        check(neighbour.gather([1])[1].code == 200, "a neighbour's request was hit")
    stage.check_alive()


@scenario(Wire)
def clients_that_leave(stage):
    for i in range(100):
        with stage.connect() as conn:
            conn.send(fcgi.request(1, f"{PROBE}?op=sleep&ms={i * 10}"))
    with stage.connect() as conn:
        conn.send(fcgi.request(1, PROBE + "?op=big&n=50000000"))
        conn.receive()
    stage.check_alive()


@scenario(Wire)
def a_client_that_does_not_read(stage):
    """Its answer waits; the others' do not."""
    with stage.connect() as slow:
        slow.send(fcgi.request(1, PROBE + "?op=big&n=50000000"))
        for _ in range(20):
            began = time.monotonic()
            stage.check_alive()
            check(time.monotonic() - began < 0.5 * stage.relax, "the others wait for it")
        reply = slow.gather([1])[1]
        check(len(reply.body) == 50000000, f"it got {len(reply.body)} bytes")


@scenario(Wire)
def stderr_comes_beside_the_answer(stage):
    reply = stage.weft.ask("op=stderr&n=10")
    check(reply.status == 0 and reply.code == 200, f"{reply.head!r}")


@scenario(Wire)
def idle_connections_cost_nothing(stage):
    """500 clients that say nothing, or half a header, hold up nobody."""
    idle = [stage.connect() for _ in range(500)]
    try:
        for conn in idle[::2]:
            conn.send(b"\1\1\0")
        stage.check_alive()
    finally:
        for conn in idle:
            conn.close()
    stage.check_alive()
