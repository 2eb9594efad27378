# SPDX-License-Identifier: ISC
"""L: how requests begin, end, and share a connection."""
import os
import signal
import socket
import subprocess
import threading
import time

from lib import fcgi
from lib.fcgi import ABORT, DATA, END, PARAMS, STDIN, STDOUT
from lib.place import check, free_port, wait_until
from lib.suite import Stage
from lib.weft import Weft

from .framing import BIGGEST, FAKE, params
from .management import unknown
from .peer import G, HELLO, Peer, ask, begin, end, keep, nv, record, variables
from .stage import HEAD, Plain, Strict, Tight, row

CANT_MPX, OVERLOADED, UNKNOWN_ROLE = 1, 2, 3


@row(Plain)
def l01_fifty_on_one_connection(stage):
    with stage.peer() as p:
        for _ in range(50):
            p.send(keep(G))
            p.hello()
        check(p.is_silent(0.05), "it ends, or says more")


@row(Plain)
def l02_ids(stage):
    for number in (1, 255, 256, 65535):
        with stage.peer() as p:
            p.send(keep(G, number))
            p.hello(number)


@row(Plain)
def l03_an_unknown_role(stage):
    with stage.peer() as p:
        p.send(begin(role=9), params(variables("op=ok")), record(STDIN, 1))
        p.exactly(bytes.fromhex("0103000100080000" "0000000003000000"))
        p.over()


@row(Plain)
def l04_the_connection_outlives_an_unknown_role(stage):
    with stage.peer() as p:
        p.send(begin(role=0, flags=1), params(variables("op=ok")), record(STDIN, 1), G)
        p.exactly(end(protocol=UNKNOWN_ROLE))
        p.hello()
        p.over()


@row(Plain)
def l05_other_flags(stage):
    with stage.peer() as p:
        p.send(begin(flags=0xfe), params(variables("op=ok")), record(STDIN, 1))
        p.hello()
        p.over()


@row(Plain)
def l06_begin_of_another_length(stage):
    for n in (0, 7, 9):
        with stage.peer() as p:
            p.try_send(record(fcgi.BEGIN, 1, b"\0\1\1\0\0\0\0\0\0"[:n]), params(variables("op=ok")), record(STDIN, 1))
            check(p.closes() == b"", "it is answered")
    stage.alive()


@row(Plain)
def l07_abort_before_the_params_end(stage):
    with stage.peer() as p:
        p.send(begin(flags=1), record(PARAMS, 1, variables("op=sleep&ms=1")[:40]), record(ABORT, 1))
        p.exactly(end())
        p.send(G)
        p.hello()
    with stage.peer() as p:     # the handler never ran
        begun = stage.counts()[0]
        p.send(begin(flags=1), record(PARAMS, 1, variables("op=sleep&ms=1")), record(ABORT, 1))
        p.exactly(end())
        check(stage.counts()[0] == begun, "the handler was started")


class FakeRedis:
    """A Redis which answers when it is told to."""

    def __init__(self, path):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        self.open = threading.Event()       # GETs of "late" wait for it
        self.open.set()
        self.asked = threading.Event()      # there was such a GET
        self.ended = False
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    @staticmethod
    def command(file):
        line = file.readline()
        if not line:
            return None
        words = []
        for _ in range(int(line[1:])):
            n = int(file.readline()[1:])
            words.append(file.read(n + 2)[:-2])
        return words

    def serve(self, conn):
        file = conn.makefile("rb")
        try:
            while words := self.command(file):
                name = words[0].upper()
                if name == b"GET":
                    if words[1] == b"late":
                        self.asked.set()
                        self.open.wait(20)
                    conn.sendall(b"$%d\r\n%s\r\n" % (len(words[1]), words[1]))
                elif name == b"PING":
                    conn.sendall(b"+PONG\r\n")
                else:
                    conn.sendall(b"-ERR unknown command\r\n" if name == b"HELLO" else b"+OK\r\n")
        except OSError:
            pass
        conn.close()

    def close(self):
        self.open.set()
        self.listener.close()


class Backed(Plain):
    """With a back end that may take its time."""

    conf = HEAD + 'pool "fake" { url = "redis+unix://@RUN@/redis.sock"  max = 1 }\n'

    def open(self):
        self.redis = FakeRedis(self.place.path("redis.sock"))
        super().open()

    def close(self):
        self.redis.close()
        return super().close()


@row(Backed)
def l08_abort_while_a_back_end_is_asked(stage):
    """END at once, the handler's cleaning done, and its reply is nobody else's."""
    def is_up():
        with stage.peer() as q:
            q.send(ask("op=redis&key=probe"))
            return q.answer().code == 200
    wait_until(is_up, "the back end is asked", 10 * stage.relax)
    stage.redis.open.clear()
    stage.redis.asked.clear()
    begun, cleaned = stage.counts()
    with stage.peer() as p:
        p.send(ask("op=redis&key=late", flags=1))
        check(stage.redis.asked.wait(5), "the back end is not asked")
        was = time.monotonic()
        p.send(record(ABORT, 1))
        p.exactly(end())
        check(time.monotonic() - was < 1 * stage.relax, "END takes its time")
        wait_until(lambda: stage.counts() == (begun + 1, cleaned + 1), "the handler cleans up", 2 * stage.relax)
        # Whoever asks next gets the reply to its own question.
        p.send(ask("op=redis&key=mine", flags=1))
        stage.redis.open.set()
        p.body(b"mine")
    stage.alive()


@row(Plain)
def l08_abort_of_a_sleeping_handler(stage):
    begun, cleaned = stage.counts()
    with stage.peer() as p:
        p.send(ask("op=sleep&ms=3000"))
        time.sleep(0.2)
        was = time.monotonic()
        p.send(record(ABORT, 1))
        p.exactly(end())
        p.over()
        check(time.monotonic() - was < 1 * stage.relax, "END takes its time")
    wait_until(lambda: stage.counts() == (begun + 1, cleaned + 1), "the handler cleans up", 2 * stage.relax)


@row(Plain)
def l09_abort_of_an_id_that_is_not(stage):
    with stage.peer() as p:
        p.send(record(ABORT, 77), G)
        p.hello()
        p.over()


@row(Plain)
def l10_records_of_ids_that_are_not(stage):
    with stage.peer() as p:
        p.send(record(STDIN, 7, b"x" * 100, 3), record(PARAMS, 8, b"\xff\xff"), record(DATA, 9, b"data"), G)
        p.hello()
        p.over()


@row(Plain)
def l11_an_empty_record_of_an_id_that_is_not(stage):
    with stage.peer() as p:
        p.send(record(STDIN, 7), G)
        p.hello()
        p.over()


@row(Plain)
def l12_a_long_record_of_an_id_that_is_not(stage):
    with stage.peer() as p:
        p.send(record(STDIN, 7, (FAKE * 4096)[:BIGGEST], 255), G)
        p.hello()
        p.over()


@row(Plain)
def l13_late_stdin(stage):
    with stage.peer() as p:
        p.send(keep(G))
        p.hello()
        p.send(record(STDIN, 1, b"late"), record(STDIN, 1), G)
        p.hello()
        p.over()


@row(Plain)
def l14_begin_twice(stage):
    """The second is ignored as long as the first is not whole, and begins after the first's end when it is.  Never both."""
    with stage.peer() as p:
        p.send(begin(flags=1), begin(flags=1), params(variables("op=ok")), record(STDIN, 1), begin(2, flags=0),
               params(variables("op=sleep&ms=100"), 2), record(STDIN, 2))
        a = p.answers([1, 2])
        check(a[1].body == HELLO and a[2].body == b"slept", "the answers are others")
        p.over()
    begun = stage.counts()[0]
    with stage.peer() as p:
        p.send(begin(flags=1) + params(variables("op=sleep&ms=200")) + record(STDIN, 1) + begin(flags=1) +
               params(variables("op=sleep&ms=1")) + record(STDIN, 1))
        time.sleep(0.1)
        check(stage.counts()[0] == begun + 1, "two handlers for one id")
        p.body(b"slept")
        p.body(b"slept")
    begun = stage.counts()[0]
    with stage.peer() as p:
        p.send(begin(flags=1) + params(variables("op=sleep&ms=100", "POST", b"x")) + begin(flags=1) +
               params(variables("op=sleep&ms=1")) + record(STDIN, 1))
        p.body(b"slept")
        check(p.is_silent(0.05) and stage.counts()[0] == begun + 1, "the second is answered, too")


@row(Plain)
def l15_two_ids_interleaved(stage):
    one, two = variables("op=echo", "POST", b"one"), variables("op=echo", "POST", b"two!")
    with stage.peer() as p:
        p.send(begin(1, flags=1), begin(2, flags=1), record(PARAMS, 1, one[:30]), record(PARAMS, 2, two[:31]),
               record(PARAMS, 1, one[30:]), record(PARAMS, 2, two[31:]), record(PARAMS, 2), record(PARAMS, 1), record(STDIN, 2, b"two"),
               record(STDIN, 1, b"one"), record(STDIN, 2, b"!"), record(STDIN, 1), record(STDIN, 2))
        a = p.answers([1, 2])
        check(a[1].body == b"one" and a[2].body == b"two!", f"{a[1].body!r} {a[2].body!r}")


@row(Strict)
def l15_two_ids_where_one_is_allowed(stage):
    with stage.peer() as p:
        p.send(begin(1, flags=1), begin(2, flags=1), params(variables("op=ok"), 1), params(variables("op=ok"), 2), record(STDIN, 2),
               record(STDIN, 1))
        p.exactly(end(2, CANT_MPX))
        p.hello()


@row(Plain)
def l16_the_shorter_one_is_first(stage):
    with stage.peer() as p:
        p.send(ask("op=sleep&ms=800", flags=1), ask("op=ok", number=2, flags=1))
        check(list(p.answers([1, 2])) == [2, 1], "the ends come in another order")


@row(Plain)
def l17_four_in_one_write(stage):
    with stage.peer() as p:
        p.send(keep(G) * 4)
        for _ in range(4):
            p.hello()
        check(p.is_silent(0.05), "more comes")
    with stage.peer() as p:     # in order, though the first takes longest; the last one closes
        p.send(ask("op=sleep&ms=200", flags=1) + ask("op=big&n=70000", flags=1) + keep(G) + G)
        p.body(b"slept")
        check(len(p.answer().body) == 70000, "the answer is another")
        p.hello()
        p.hello()
        p.over()
    with stage.peer() as p:     # what is behind the one that closes is not answered
        p.send(G * 4)
        p.hello()
        p.over()
    with stage.peer() as p:     # the peer leaves while others wait for its first
        p.send(ask("op=sleep&ms=100", flags=1) * 3)
    stage.alive()


@row(Plain)
def l18_an_unknown_type_within_a_request(stage):
    with stage.peer() as p:
        p.send(begin(), record(42, 1, b"zz", 9), params(variables("op=ok")), record(STDIN, 1))
        p.hello()
        p.over()


@row(Plain)
def l19_not_version_1(stage):
    for first in (0, 2, 255):
        with stage.peer() as p:
            p.try_send(bytes([first]) + G[1:])
            check(p.closes() == b"", "it is answered")
    stage.alive()


@row(Plain)
def l20_not_version_1_later(stage):
    with stage.peer() as p:
        p.try_send(G[:16] + b"\2" + G[17:])
        check(p.closes() == b"", "it is answered")
    stage.alive()


@row(Plain)
def l21_a_request_with_id_0(stage):
    with stage.peer() as p:
        p.send(begin(0), params(variables("op=ok"), 0), record(STDIN, 0))
        p.exactly(unknown(1), unknown(PARAMS), unknown(PARAMS), unknown(STDIN))
        p.send(G)
        p.hello()
        p.over()


@row(Plain)
def l22_records_of_requests_with_id_0(stage):
    with stage.peer() as p:
        for kind in (4, 5, 6, 3):
            p.send(record(kind, 0, b"xyz", 1))
            p.exactly(unknown(kind))
        p.send(G)
        p.hello()
        p.over()
    stage.alive()


@row(Plain)
def l23_after_the_ends(stage):
    with stage.peer() as p:
        p.send(begin(flags=1), params(variables("op=vars", "POST", b"abc")), record(PARAMS, 1, nv(b"HTTP_LATE", b"x")),
               record(PARAMS, 1), record(STDIN, 1, b"abc"), record(STDIN, 1), record(STDIN, 1, b"more"), record(STDIN, 1))
        check(b"HTTP_LATE" not in p.answer().body, "a late variable is taken")
        p.send(begin(flags=1), params(variables("op=echo", "POST", CONTENT_LENGTH=None)), record(STDIN, 1, b"abc"),
               record(STDIN, 1), record(STDIN, 1, b"more"), record(STDIN, 1))
        p.body(b"abc")
        p.send(keep(G))
        p.hello()


@row(Plain)
def l24_stdin_before_the_params_end(stage):
    """The connection is closed; it is another's protocol."""
    with stage.peer() as p:
        p.try_send(begin(), record(PARAMS, 1, variables("op=echo", "POST", b"abc")), record(STDIN, 1, b"abc"), record(PARAMS, 1),
                   record(STDIN, 1))
        check(p.closes() == b"", "it is answered")
    stage.alive()


@row(Plain)
def l25_a_half_close_is_no_abort(stage):
    for query, body in (("op=sleep&ms=200", b"slept"), ("op=big&n=1000000", (FAKE * 62500)[:1000000])):
        with stage.peer() as p:
            p.send(ask(query, flags=1))
            p.shut()
            p.body(body)
            p.over()


@row(Plain)
def l26_an_authorizer_without_stdin(stage):
    with stage.peer() as p:
        p.send(begin(role=fcgi.AUTHORIZER), params(variables("op=ok")))
        a = p.answer()
        check(a.code == 200 and a.body == b"" and b"Content-" not in a.head, f"{a.out!r}")
        p.shut()        # it had no STDIN to end, and its web server may have nothing more to say
        p.over()


@row(Plain)
def l26_variables_of_an_authorizer(stage):
    """A status other than 200 is a refusal, with a page."""
    for do, code, body in (("variable+AUTH_METHOD+db%0aputs+yes", 200, b""), ("status+403+-%0aputs+no", 403, b"no")):
        with stage.peer() as p:
            p.send(begin(role=fcgi.AUTHORIZER, flags=1), params(variables("op=do&do=" + do)))
            a = p.answer()
            check(a.code == code and a.body == body, f"{a.out!r}")
            check(a.field(b"Variable-AUTH_METHOD") == (b"db" if code == 200 else None), f"{a.head!r}")
            p.send(record(STDIN, 1), G)     # some send this end all the same
            p.hello()


@row(Plain)
def l26_roles_have_routes_of_their_own(stage):
    """Who is not asked says no; and no client gets to an authorizer, whatever it calls its method."""
    with stage.peer() as p:
        p.send(begin(role=fcgi.AUTHORIZER, flags=1), params(variables("op=ok", REQUEST_URI="/get")))
        check(p.answer().code == 403, "a route that is no authorizer's is asked")
        p.send(ask("op=ok", "AUTHORIZE", flags=1, REQUEST_URI="/get"))
        check(p.answer().code == 405, "AUTHORIZE is a method")
        p.send(ask("op=do", "POST", b"variable A b\nresults", flags=1))
        check(p.answer().body != b"0 ", "a responder sets variables")


@row(Plain)
def l27_a_filter(stage):
    """weft has no filters, and says so at once."""
    with stage.peer() as p:
        p.send(begin(role=fcgi.FILTER, flags=1), params(variables("op=ok", FCGI_DATA_LENGTH=5, FCGI_DATA_LAST_MOD=1)),
               record(STDIN, 1), record(DATA, 1, b"hello"), record(DATA, 1))
        p.exactly(end(protocol=UNKNOWN_ROLE))
        p.send(G)
        p.hello()
        p.over()


@row(Plain)
def l28_a_filter_with_less_than_announced(stage):
    """No update is made of it: the role is refused before."""
    with stage.peer() as p:
        p.send(begin(role=fcgi.FILTER, flags=1), params(variables("op=sleep&ms=1", FCGI_DATA_LENGTH=5)), record(STDIN, 1),
               record(DATA, 1, b"hel"), record(DATA, 1))
        begun = stage.counts()[0]
        p.exactly(end(protocol=UNKNOWN_ROLE))
        check(stage.counts()[0] == begun, "the handler was started")


@row(Plain)
def l29_nothing_before_the_params_end(stage):
    for method in ("GET", "HEAD"):
        with stage.peer() as p:
            p.send(begin(), record(PARAMS, 1, variables("op=ok", method)))
            check(p.is_silent(0.1), "it is answered before its variables are there")
            p.send(record(PARAMS, 1))
            p.send(record(STDIN, 1))
            check(p.answer().code == 200, "it is not answered")
            p.over()


@row(Plain)
def l30_one_that_closes_and_one_that_keeps(stage):
    with stage.peer() as p:
        p.send(ask("op=sleep&ms=10", number=1, flags=0) + ask("op=sleep&ms=200", number=2, flags=1))
        a = p.answers([1, 2])
        check(list(a) == [1, 2] and all(one.body == b"slept" for one in a.values()), "the answers are others")
        p.over()


@row(Tight)
def l31_one_request_too_many(stage):
    with stage.peer() as busy, stage.peer() as p:
        for i in range(1, 7):
            busy.send(ask("op=sleep&ms=400", number=i, flags=1))
        time.sleep(0.05)
        was = time.monotonic()
        p.send(ask("op=ok", flags=1))
        a = p.answers([1])[1]
        check(time.monotonic() - was < 0.05 * stage.relax, f"it takes {time.monotonic() - was:.3f} s")
        check(a.code == 503 and a.field(b"Retry-After") is not None, f"{a.head!r}")
        check(a.protocol == OVERLOADED and a.records[-2:] == [(STDOUT, 0), (END, 8)], f"{a.protocol} {a.records}")
        check(len(busy.answers(range(1, 7))) == 6, "those within the limit are hit")
        p.send(keep(G))
        p.hello()


# ---- who may connect ----

class Bare(Stage):
    """Only a folder: the row starts what it needs."""

    def is_healthy(self):
        return False    # the next row gets another folder, and what this one has left is stopped

    def serve(self, text, env=None, **words):
        """Returns a Weft that was started and may have ended at once."""
        weft = Weft(self.place, text, **words)
        weft.process = self.place.spawn("weft", [self.place.words["WEFT"], "serve", "-c", weft.conf],
                                        env=dict(os.environ, **(env or {})))
        return weft

    def refuses(self, text, env=None, **words):
        """It must not start.  Returns what it says."""
        weft = self.serve(text, env, **words)
        wait_until(lambda: not weft.process.is_alive(), "weft serve refuses to start", 10 * self.relax)
        status = weft.process.stop()
        check(status == 1, f"its exit status is {status}")
        said = weft.process.log_text()
        os.unlink(weft.process.log)
        return said


TCP = """\
workers = 1
listen "web" { address = "@HOST@:@PORT@"  @ALLOW@ }
module "rows" { file = "@ROWS@/rows.so" }
module "probe" { file = "@MODULES@/probe.so"  prefix = "/app" }
"""


def listens(host, port):
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        return sock.connect_ex((host, port)) == 0


def asked_from(source, host, port):
    """Returns what a connection from this address gets for G."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.settimeout(10)
        sock.bind((source, 0))
        sock.connect((host, port))
        out = b""
        try:
            sock.sendall(G)
            while piece := sock.recv(65536):
                out += piece
        except ConnectionError:
            pass
        return out


@row(Bare)
def l32_the_web_servers_addresses(stage):
    port = free_port()
    for env, allow, good, bad in (
            ({"FCGI_WEB_SERVER_ADDRS": "127.0.0.2"}, "", ["127.0.0.2"], ["127.0.0.1"]),
            ({"FCGI_WEB_SERVER_ADDRS": "127.0.0.2,127.0.0.3"}, "", ["127.0.0.2", "127.0.0.3"], ["127.0.0.1"]),
            ({}, 'allow = { "127.0.0.2", "127.0.0.3" }', ["127.0.0.2", "127.0.0.3"], ["127.0.0.1", "127.0.0.4"]),
            ({"FCGI_WEB_SERVER_ADDRS": "127.0.0.3"}, 'allow = { "127.0.0.2", "127.0.0.3" }', ["127.0.0.3"], ["127.0.0.2"])):
        weft = stage.serve(TCP, env, HOST="127.0.0.1", PORT=port, ALLOW=allow)
        wait_until(lambda: listens("127.0.0.1", port), "weft listens")
        for source in good:
            check(asked_from(source, "127.0.0.1", port).endswith(record(STDOUT, 1) + end()), f"{env} {allow}: {source} is refused")
        for source in bad:
            check(asked_from(source, "127.0.0.1", port) == b"", f"{env} {allow}: {source} gets something")
        weft.stop()


@row(Bare)
def l32_all_of_an_ipv6_address(stage):
    """::1 is there; an address which differs in the last bytes alone is another."""
    port = free_port()
    for allow, is_allowed in (("::1", True), ("::2", False), ("::1:0:1", False)):
        weft = stage.serve(TCP, {"FCGI_WEB_SERVER_ADDRS": allow}, HOST="[::1]", PORT=port, ALLOW="")
        wait_until(lambda: listens("::1", port), "weft listens")
        check((asked_from("::1", "::1", port) != b"") == is_allowed, f"{allow}: ::1 is treated as if it were another")
        weft.stop()


@row(Bare)
def l32_no_unix_sockets_then(stage):
    said = stage.refuses(HEAD, {"FCGI_WEB_SERVER_ADDRS": "127.0.0.2"})
    check("FCGI_WEB_SERVER_ADDRS" in said, said)


@row(Bare)
def l32_a_malformed_list(stage):
    for text in ("127.0.0.1,", "localhost", "127.0.0.1 127.0.0.2", "127.0.0.256", ",", "127.0.0.1/8", ":::1"):
        said = stage.refuses(TCP, {"FCGI_WEB_SERVER_ADDRS": text}, HOST="127.0.0.1", PORT=free_port(), ALLOW="")
        check("FCGI_WEB_SERVER_ADDRS" in said, f"{text}: {said}")
        said = stage.refuses(TCP, HOST="127.0.0.1", PORT=free_port(), ALLOW='allow = { "%s" }' % text)
        check("allow" in said, f"{text}: {said}")


@row(Bare)
def l33_started_by_a_web_server(stage):
    """The socket is fd 0, and there is no stdout or stderr: none of weft's own descriptors may take their places."""
    path = stage.place.path("spawn.sock")
    conf = stage.place.fill("spawn.conf", 'workers = 1\nmodule "rows" { file = "@ROWS@/rows.so" }\n')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)

        def close_outputs():
            os.close(1)
            os.close(2)

        child = subprocess.Popen([stage.place.words["WEFT"], "serve", "-c", conf], stdin=listener, preexec_fn=close_outputs,
                                 start_new_session=True)
        try:
            with Peer(path, 10 * stage.relax) as p:
                p.send(G)
                p.hello()
                p.over()
            with Peer(path, 10 * stage.relax) as p:
                p.send(ask("op=pid"))
                pids = [child.pid, int(p.answer().body)]
            for pid in pids:
                links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)]
                check(links[0].startswith("socket:"), f"fd 0 of {pid} is {links[0]}")
                check(links[1:] == ["/dev/null"] * 2, f"fds 1 and 2 of {pid} are {links[1:]}")
            child.send_signal(signal.SIGTERM)
            check(child.wait(10 * stage.relax) == 0, "its exit status is not 0")
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()


@row(Bare)
def l32_no_unix_socket_of_a_web_server_s_either(stage):
    """Handed over as fd 0: closed before a byte."""
    path = stage.place.path("spawn.sock")
    conf = stage.place.fill("spawn.conf", 'workers = 1\nmodule "rows" { file = "@ROWS@/rows.so" }\n')
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(64)
        stage.place.spawn("weft", [stage.place.words["WEFT"], "serve", "-c", conf], stdin=listener,
                          env=dict(os.environ, FCGI_WEB_SERVER_ADDRS="127.0.0.1"))
        with Peer(path, 10 * stage.relax) as p:
            p.try_send(G)
            check(p.closes() == b"", "it is answered")


@row(Plain)
def l33_a_gate_that_is_no_listener_is_cgi(stage):
    """What fd 0 is says which of both it is."""
    env = dict(PATH=os.environ["PATH"], GATEWAY_INTERFACE="CGI/1.1", REQUEST_METHOD="GET", REQUEST_URI="/rows?op=ok",
               QUERY_STRING="op=ok", SCRIPT_NAME="", PATH_INFO="/rows", SERVER_PROTOCOL="HTTP/1.1",
               WEFT_CONTROL=stage.place.path("control.sock"))
    done = subprocess.run([stage.place.words["GATE"]], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=10 * stage.relax, check=False)
    check(done.returncode == 0 and done.stdout.endswith(HELLO) and b"Status: 200" in done.stdout,
          f"{done.returncode} {done.stdout!r} {done.stderr!r}")


@row(Bare)
def l34_sigterm(stage):
    """It stops accepting, finishes what there is, and ends with 0; what is wrong ends with something else."""
    weft = stage.serve(HEAD)
    weft.wait(15 * stage.relax)
    with Peer(weft.socket, 10 * stage.relax) as p:
        p.send(ask("op=sleep&ms=500"))
        time.sleep(0.1)
        weft.process.child.send_signal(signal.SIGTERM)

        def is_refused():
            try:
                Peer(weft.socket).close()
            except OSError:
                return True
            return False
        wait_until(is_refused, "it accepts no more", 2 * stage.relax)
        p.body(b"slept")
        p.over()
    check(weft.process.child.wait(10 * stage.relax) == 0, "its exit status is not 0")
    check(not os.path.exists(weft.socket), "its socket stays")
    weft = stage.serve(HEAD)
    weft.wait(15 * stage.relax)
    weft.process.child.send_signal(signal.SIGSEGV)
    check(weft.process.child.wait(10 * stage.relax) != 0, "a crash ends with 0")
    os.unlink(weft.process.log)     # sanitizers tell of it, as they should
    stage.refuses("workers = 0\n")
