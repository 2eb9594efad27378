# SPDX-License-Identifier: ISC
"""H: the head of an answer, whatever the handler does."""
from urllib.parse import quote

from lib import fcgi
from lib.fcgi import END, STDIN, STDOUT
from lib.place import check

from .framing import params
from .peer import G, begin, keep, record, variables
from .stage import Plain, row


def q(text):
    """A word of a command; an empty one has no place there."""
    return quote(text, safe="/:=;,.") or "%20"


def commands(*lines):
    return "\n".join(lines).encode()


def do(p, *lines, method="POST", flags=1):
    """Let the handler run these commands."""
    body = commands(*lines)
    p.send(begin(flags=flags), params(variables("op=do", method, body)), fcgi.stream(STDIN, 1, body))
    return p.answer()


def rejected(p, *lines):
    """All of the commands are refused by the API, and the answer is as if they had not been."""
    a = do(p, *lines, "results")
    said = a.body.split()
    check(len(said) == len(lines) and all(int(one) > 0 for one in said), f"{lines}: the results are {said}")
    check(a.code == 200, f"{a.head!r}")
    return a


@row(Plain)
def h01_line_ends_in_fields(stage):
    """Refused at the call; a handler that hands the result on becomes a 500."""
    with stage.peer() as p:
        for byte in ("\r", "\n", "\r\n", "\x01", "\x7f", "\x0b"):
            a = rejected(p, f"set X-Name {q('a' + byte + 'Set-Cookie: evil=1')}", f"add X-Name {q('a' + byte)}",
                         f"set {q('X' + byte + 'Y')} value", f"status 200 {q('OK' + byte + 'X: evil')}")
            check(b"evil" not in a.out and b"X-Name" not in a.out, f"{a.out!r}")
        for name in ("a b", "a:", "", "a(b)", "\u00e9"):
            rejected(p, f"set {q(name)} value")
        a = do(p, "puts text", "set X-Name a%0ab", "return 8")
        check(a.code == 500 and b"X-Name" not in a.out and b"text" not in a.body, f"{a.out!r}")


@row(Plain)
def h02_no_content_type(stage):
    with stage.peer() as p:
        a = do(p, "puts <html><script>")
        check(a.field(b"Content-Type") == b"application/octet-stream", f"{a.head!r}")
        a = do(p, "puts text", "flush", "puts more")
        check(a.field(b"Content-Type") == b"application/octet-stream", f"{a.head!r}")


@row(Plain)
def h03_location_without_status(stage):
    with stage.peer() as p:
        a = do(p, "set Location http://example.org/x")
        check(a.head.startswith(b"Status: 302 Found\r\n"), f"{a.head!r}")
        a = do(p, "set Location http://example.org/x", "status 201 -")
        check(a.head.startswith(b"Status: 201 Created\r\n"), f"{a.head!r}")


@row(Plain)
def h04_a_local_location(stage):
    """The client is told; no web server has to serve another page in place of this one."""
    with stage.peer() as p:
        a = do(p, "set Location /x")
        check(a.head.startswith(b"Status: 302 Found\r\n") and a.field(b"Location") == b"/x", f"{a.head!r}")
        a = do(p, "redirect 303 /y")
        check(a.head.startswith(b"Status: 303 See Other\r\n") and a.field(b"Location") == b"/y", f"{a.head!r}")


@row(Plain)
def h05_status(stage):
    with stage.peer() as p:
        for number in ("abc", "99", "1000", "0", "-1", "100", "101", "199", "600"):
            a = rejected(p, f"status {number} -")
            check(a.head.startswith(b"Status: 200 OK\r\n"), f"{a.head!r}")
        a = rejected(p, "set Status 500", "add Status 500")
        check(a.field(b"Status") == b"200 OK", f"{a.head!r}")
        a = do(p, "status 404 -", "status 410 Gone%20for%20good", "puts x")
        check(a.field(b"Status") == b"410 Gone for good", f"{a.head!r}")
        a = do(p, "status 299 -", "puts x")
        check(a.field(b"Status").startswith(b"299 ") and len(a.field(b"Status")) > 4, f"{a.head!r}")


@row(Plain)
def h06_more_or_less_than_announced(stage):
    with stage.peer() as p:
        a = do(p, "set Content-Length 5", "puts 0123456789")
        check(a.body == b"01234" and a.field(b"Content-Length") == b"5", f"{a.out!r}")
        a = do(p, "set Content-Length 5", "puts 0123456789", "flush", "puts more")
        check(a.body == b"01234", f"{a.out!r}")
    for lines in (("set Content-Length 50", "puts 0123456789"), ("set Content-Length 50", "puts 0123456789", "flush", "puts more")):
        with stage.peer() as p:
            body = commands(*lines)
            p.send(begin(flags=1), params(variables("op=do", "POST", body)), fcgi.stream(STDIN, 1, body))
            said = p.closes()
            check(record(STDOUT, 1) not in said and bytes([1, END, 0, 1]) not in said, f"it ends as if it were whole: {said!r}")
    check("cut at its Content-Length 5" in stage.log(), "the log does not say that it was cut")


@row(Plain)
def h07_content_length(stage):
    with stage.peer() as p:
        for value in ("-1", "4, 4", "+4", "0x4", "4 ", "", "99999999999999999999"):
            a = rejected(p, f"set Content-Length {q(value)}")
            check(a.field(b"Content-Length") == str(len(a.body)).encode(), f"{a.head!r}")
        a = do(p, "set Content-Length 5", "add Content-Length 5", "add content-length 6", "puts 01234", "results")
        check(a.field(b"Content-Length") == b"5" and a.body == b"01234", f"{a.out!r}")


@row(Plain)
def h08_fields_of_the_connection(stage):
    with stage.peer() as p:
        for name in ("Transfer-Encoding", "Connection", "Keep-Alive", "Upgrade", "Trailer", "connection", "TRAILER",
                     "Proxy-Connection"):
            a = rejected(p, f"set {name} x", f"add {name} x")
            check(a.field(name.encode()) is None, f"{a.head!r}")


@row(Plain)
def h09_a_head_over_8_kib(stage):
    with stage.peer() as p:
        a = do(p, "set X-Small 1", "set X-Large " + "v" * 8192, "puts text")
        check(a.code == 500 and b"X-Small" not in a.head and b"vvvv" not in a.out and b"text\n" not in a.body, f"{a.head[:200]!r}")
        check("X-Large" in stage.log(), "the log does not name the field")
        # As much as fits is sent.
        a = do(p, "set X-Large " + "v" * 8000, "puts text")
        check(a.code == 200 and len(a.field(b"X-Large")) == 8000, f"{a.head[:200]!r}")


@row(Plain)
def h10_lines_of_the_head(stage):
    with stage.peer() as p:
        a = do(p, "set X-One 1", "add X-One 2", "set X-Tab a%09b", "puts text")
        head, _, _ = a.out.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, colon, value = line.partition(b": ")
            check(colon and name and not name.endswith(b" ") and b"\n" not in line and b"\r" not in line, f"{line!r}")
            check(name[0:1] not in b" \t" and value, f"{line!r}")
        check([v for k, v in a.fields() if k == b"X-One"] == [b"1", b"2"], f"{a.head!r}")


@row(Plain)
def h11_answers_without_a_body(stage):
    with stage.peer() as p:
        for status in (204, 304):
            for lines in (("puts body",), ("write 100000",), ("set Content-Length 4", "puts body"),
                          ("puts body", "flush", "puts more")):
                a = do(p, f"status {status} -", *lines)
                check(a.code == status and a.body == b"", f"{status} {lines}: {a.out[:200]!r}")
                check(a.field(b"Content-Length") is None and a.field(b"Content-Type") is None, f"{a.head!r}")
        p.send(keep(G))
        p.hello()


@row(Plain)
def h12_the_head_in_one_record(stage):
    cases = (("puts text",), ("flush", "puts text"), ("set X-Large " + "v" * 7000, "puts text"), ("write 100000",),
             ("write 65535",), ("puts text", "flush", "sleep 20", "puts more"), ("status 204 -",))
    for lines in cases:
        with stage.peer() as p:
            body = commands(*lines)
            p.send(begin(flags=1), params(variables("op=do", "POST", body)), fcgi.stream(STDIN, 1, body))
            kind, _, content = p.record()
            check(kind == STDOUT and b"\r\n\r\n" in content and content.startswith(b"Status: "), f"{lines}: {content[:100]!r}")
            rest = content.partition(b"\r\n\r\n")[2]
            # With the first of the body, where there is some; the flush at the beginning is the exception.
            check(rest or lines[0] in ("flush", "status 204 -"), f"{lines}: the head comes alone")


@row(Plain)
def h13_nph(stage):
    """A handler has no way to it: the first line is body, behind a head of the server's."""
    with stage.peer() as p:
        a = do(p, "puts HTTP/1.1%20200%20OK%0d%0aX-Evil:%201%0d%0a%0d%0a")
        check(a.head.startswith(b"Status: 200 OK\r\n") and b"X-Evil" not in a.head, f"{a.head!r}")
        check(a.body.startswith(b"HTTP/1.1 200 OK"), f"{a.body!r}")
        rejected(p, "set HTTP/1.1 200")
