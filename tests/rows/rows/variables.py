# SPDX-License-Identifier: ISC
"""C: the request's variables and its body (RFC 3875)."""
import subprocess
import time

from lib import fcgi
from lib.fcgi import STDIN
from lib.place import check

from .framing import FAKE, params
from .peer import G, HELLO, ask, begin, keep, nv, record, unvars, variables
from .stage import Plain, Tight, row


def one(p, query, method="GET", body=None, more=b"", **values):
    """A request on a kept connection.  Returns its Answer."""
    p.send(begin(flags=1), params(variables(query, method, body, **values) + more), fcgi.stream(STDIN, 1, body or b""))
    return p.answer()


@row(Plain)
def c01_less_than_announced(stage):
    """A handler that reads it all gets an error in place of the end, and the client 400."""
    with stage.peer() as p:
        for query in ("op=echo", "op=length"):
            a = one(p, query, "POST", b"abc", CONTENT_LENGTH=100)
            check(a.code == 400, f"{query}: {a.out!r}")
        p.send(keep(G))
        p.hello()


@row(Plain)
def c02_more_than_announced(stage):
    with stage.peer() as p:
        a = one(p, "op=echo", "POST", b"0123456789", CONTENT_LENGTH=4)
        check(a.body == b"0123", f"{a.body!r}")
        p.send(keep(G))
        p.hello()


@row(Plain)
def c03_lengths(stage):
    """What is no number is refused.  "", "-1" (Caddy's for a chunked body) and none: the stream says it."""
    with stage.peer() as p:
        for text in ("1e9", "99999999999999999999", "0x5", "5 ", "+5", "-2", "-", " 5", "5,5", "1.0"):
            a = one(p, "op=echo", "POST", b"hello", CONTENT_LENGTH=text)
            check(a.code == 400, f"{text!r}: {a.out[:100]!r}")
        for text in ("", "-1", None, "5", "005"):
            a = one(p, "op=echo", "POST", b"hello", CONTENT_LENGTH=text)
            check(a.code == 200 and a.body == b"hello", f"{text!r}: {a.out[:100]!r}")
            a = one(p, "op=echo", "POST", b"", CONTENT_LENGTH=text if text != "5" and text != "005" else "0")
            check(a.code == 200 and a.body == b"", f"{text!r}: {a.out[:100]!r}")
        # Of unknown length, but not without a bound: 16 MiB by default.
        a = one(p, "op=length", "POST", bytes(17 << 20), CONTENT_LENGTH=None)
        check(a.code == 413, f"17 MiB: {a.out[:100]!r}")
        a = one(p, "op=length", "POST", bytes(16 << 20), CONTENT_LENGTH=None)
        check(a.body == b"16777216", f"16 MiB: {a.out[:100]!r}")
        p.send(keep(G))
        p.hello()


@row(Plain)
def c04_a_body_that_nobody_reads(stage):
    with stage.peer() as p:
        p.send(ask("op=early", "POST", (FAKE * 65536)[:2 << 20], flags=1))
        p.body(b"early")
        p.send(keep(G))
        p.hello()


@row(Plain)
def c05_neither_waits_for_the_other(stage):
    """The web server sends all before it reads; the handler writes all before it reads."""
    body = (FAKE * 262144)[:8 << 20]
    before = stage.memory()
    most = 0
    with stage.peer() as p:
        p.send(begin(), params(variables("op=first&n=5000000", "POST", body)))
        for at in range(0, len(body), 1 << 20):
            p.send(fcgi.stream(STDIN, 1, body[at:at + (1 << 20)])[:-8])
            most = max(most, stage.memory())
        p.send(record(STDIN, 1))
        a = p.answer()
        check(a.body[5000000:] == b"%d" % len(body), f"{a.body[5000000:]!r}")
        p.over()
    # 5 MB are the handler's own; sanitizers keep what was freed.
    check(most - before < (7 << 20) * stage.relax, f"{most - before} bytes for this request")


@row(Plain)
def c06_what_is_absent_and_what_is_empty(stage):
    values = fcgi.variables("/")
    odd = (
        dict(QUERY_STRING=None), dict(QUERY_STRING=""), dict(SCRIPT_NAME=""), dict(SCRIPT_NAME=None, PATH_INFO=None),
        dict(REQUEST_URI=""), dict(REQUEST_URI=None, SCRIPT_NAME="", PATH_INFO=""), dict(REQUEST_URI="/", PATH_INFO=""),
        dict(REQUEST_URI=None, SCRIPT_NAME=None, PATH_INFO=None, SCRIPT_FILENAME="/a/b.php"),
    )
    with stage.peer() as p:
        for more in odd:
            pairs = b"".join(nv(k.encode(), v.encode()) for k, v in dict(values, **more).items() if v is not None)
            p.send(begin(flags=1), params(pairs), record(STDIN, 1))
            p.hello()
        # A line end in a file's name is refused, as in every value.
        for path in ("", "/", "/rows"):
            a = one(p, "op=ok", REQUEST_URI=None, PATH_INFO=path, SCRIPT_NAME="", SCRIPT_FILENAME="/a/b.php\n/x")
            check(a.code == 400, f"{a.out!r}")
        a = one(p, "", QUERY_STRING=None)
        check(a.code == 400 and b"no such op" in a.body, f"{a.out!r}")
    stage.alive()


@row(Plain)
def c07_a_name_twice(stage):
    """The first counts."""
    with stage.peer() as p:
        more = nv(b"REMOTE_USER", b"first") + nv(b"HTTP_X_FORWARDED_FOR", b"1.1.1.1")
        more += nv(b"REMOTE_USER", b"second") + nv(b"HTTP_X_FORWARDED_FOR", b"2.2.2.2")
        for name, value in ((b"REMOTE_USER", b"first"), (b"HTTP_X_FORWARDED_FOR", b"1.1.1.1")):
            pairs = fcgi.pairs(fcgi.variables("/app/probe?op=env&name=" + name.decode())) + more
            p.send(begin(flags=1), params(pairs), record(STDIN, 1))
            p.body(value)


@row(Plain)
def c08_httpoxy(stage):
    with stage.peer() as p:
        a = one(p, "op=getenv&name=HTTP_PROXY", HTTP_PROXY="http://evil.example/")
        check(a.code == 404, f"{a.out!r}")
        for name in ("HTTP_PROXY", "http_proxy", "REQUEST_METHOD", "QUERY_STRING"):
            a = one(p, f"op=getenv&name={name}")
            check(a.code == 404, f"{name}: {a.out!r}")
    with open(f"/proc/{stage.pid}/environ", "rb") as file:
        check(b"evil" not in file.read(), "it is in the environment")


@row(Plain)
def c09_names_that_mean_something_elsewhere(stage):
    names = (b"LD_PRELOAD", b"PATH", b"PHP_VALUE", b"IFS", b"HTTP_", b"WEFT_CONF", b"TMPDIR", b"_", b"-c")
    with stage.peer() as p:
        for name in names:
            got = dict(unvars(one(p, "op=vars", more=nv(name, b"/evil/value")).body))
            check(got.get(name) == b"/evil/value", f"{name!r} is {got.get(name)!r}")
            a = one(p, "op=getenv&name=" + name.decode())
            check(b"evil" not in a.body, f"{name!r} is in the environment")
        for name in (b"X=Y", b"HTTP_=", b"="):
            a = one(p, "op=vars", more=nv(name, b"v"))
            check(a.code == 400, f"{name!r} is taken")
    stage.alive()


@row(Plain)
def c10_a_query_that_looks_like_options(stage):
    """A web server makes arguments of a query without '='; weft-gate takes none of them for an option."""
    env = dict(GATEWAY_INTERFACE="CGI/1.1", REQUEST_METHOD="GET", REQUEST_URI="/rows?-c+/etc/passwd", QUERY_STRING="-c+/etc/passwd",
               SCRIPT_NAME="", PATH_INFO="/rows", SERVER_PROTOCOL="HTTP/1.1", WEFT_CONTROL=stage.place.path("control.sock"))
    for words in (["-d", "foo"], ["-c", "/etc/passwd"], ["--help"], ["/nowhere"]):
        done = subprocess.run([stage.place.words["GATE"], *words], env=dict(env, REQUEST_URI="/", QUERY_STRING="+".join(words)),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=10 * stage.relax,
                              check=False)
        check(done.returncode == 0 and done.stdout.endswith(HELLO), f"{words}: {done.stdout!r} {done.stderr!r}")


@row(Plain)
def c11_nothing_of_the_request_before(stage):
    with stage.peer() as p:
        first = dict(REMOTE_USER="alice", AUTH_TYPE="Basic", HTTP_COOKIE="secret=1")
        check(b"alice" in one(p, "op=vars", **first).body, "the first does not see its own")
        got = dict(unvars(one(p, "op=vars").body))
        for name in first:
            check(name.encode() not in got, f"{name} is still there")
        check(one(p, "op=echo", "POST", b"a" * 500).body == b"a" * 500, "the body is another")
        check(one(p, "op=echo", "POST", b"").body == b"", "the body of the request before")


@row(Plain)
def c12_head(stage):
    with stage.peer() as p:
        for query, length in (("op=ok", b"6"), ("op=big&n=100000", b"100000"), ("op=big&n=100000&length=1", b"100000")):
            a = one(p, query, "HEAD")
            check(a.body == b"", f"{query}: a body of {len(a.body)} bytes")
            check(a.field(b"Content-Length") == length, f"{query}: {a.head!r}")
        p.send(keep(G))
        p.hello()


@row(Plain)
def c13_methods(stage):
    """One that the route does not have: 405, with those which it has.  What is no method at all: 400."""
    with stage.peer() as p:
        a = one(p, "op=ok", "FROB", REQUEST_URI="/get")
        check(a.code == 405 and b"GET" in (a.field(b"Allow") or b""), f"{a.head!r}")
        for method in ("", "x" * 65536, "GE T", "GET\t", "G:T", "x" * 33, "\u00e9"):
            a = one(p, "op=ok", method)
            check(a.code == 400, f"{method[:20]!r}: {a.head!r}")
        a = one(p, "op=ok", None)
        check(a.code == 400, f"no method: {a.head!r}")
    stage.alive()


@row(Plain)
def c14_transfer_encoding_is_another_hop_s(stage):
    chunked = b"5\r\nhello\r\n0\r\n\r\n"
    with stage.peer() as p:
        for length in (len(chunked), None):
            a = one(p, "op=echo", "POST", chunked, HTTP_TRANSFER_ENCODING="chunked", CONTENT_LENGTH=length)
            check(a.body == chunked, f"{a.body!r}")
        p.send(keep(G))
        p.hello()


@row(Tight)
def c01_a_body_that_does_not_go_on(stage):
    """The stream does not end and nothing more comes: an answer in time all the same."""
    with stage.peer(4.0) as p:
        was = time.monotonic()
        p.send(begin(flags=1), params(variables("op=echo", "POST", b"x" * 100)), record(STDIN, 1, b"abc"))
        a = p.answer()
        check(a.code == 408, f"{a.out!r}")
        check(0.9 < time.monotonic() - was < 2.5 * stage.relax, f"after {time.monotonic() - was:.1f} s")
