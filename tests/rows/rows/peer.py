# SPDX-License-Identifier: ISC
"""A peer that looks at every byte that comes.

lib/fcgi.py makes the bytes that are sent; here those which come are judged: the
version, the reserved bytes, the padding, the order of an answer's records.
"""
import select
import socket
import struct
import time

from lib import fcgi
from lib.fcgi import BEGIN, END, PARAMS, STDERR, STDIN, STDOUT
from lib.place import Failure, check

# The base request of the table, byte for byte.
G = bytes.fromhex("0101000100080000" "0001000000000000"
                  "0104000100130500") + b"\x0e\x03REQUEST_METHODGET\xaa\xaa\xaa\xaa\xaa" + bytes.fromhex(
                  "0104000100000000" "0105000100000000")
HELLO = b"hello\n"      # its answer's body
PAD = b"\xaa"


def record(kind, number, content=b"", padding=0, reserved=0):
    """As lib/fcgi.py's, with padding that shows when it is taken for something."""
    return struct.pack(">BBHHBB", 1, kind, number, len(content), padding, reserved) + content + PAD * padding


def begin(number=1, role=fcgi.RESPONDER, flags=0):
    return fcgi.begin(number, role, flags)


def nv(name, value):
    """A name-value pair of bytes."""
    return fcgi.length(len(name)) + fcgi.length(len(value)) + name + value


def variables(query, method="GET", body=None, **more):
    """The pairs of a request to /rows?query.  A value None leaves the variable out."""
    values = fcgi.variables("/rows?" + query, method, body)
    values.update(more)
    return b"".join(nv(name.encode(), value if isinstance(value, bytes) else str(value).encode())
                    for name, value in values.items() if value is not None)


def ask(query, method="GET", body=None, number=1, flags=0, **more):
    """A whole request to /rows?query."""
    return (begin(number, flags=flags) + fcgi.stream(PARAMS, number, variables(query, method, body, **more)) +
            fcgi.stream(STDIN, number, body or b""))


def end(number=1, protocol=0):
    """END_REQUEST as it must be, to the last reserved byte."""
    return struct.pack(">BBHHBB", 1, END, number, 8, 0, 0) + struct.pack(">IB3x", 0, protocol)


def keep(request, number=1):
    """G with another id, and KEEP_CONN."""
    out = bytearray(request)
    at = 0
    while at < len(out):
        struct.pack_into(">H", out, at + 2, number)
        if out[at + 1] == BEGIN:
            out[at + 10] = 1
        at += 8 + struct.unpack_from(">H", out, at + 4)[0] + out[at + 6]
    return bytes(out)


class Answer:
    def __init__(self):
        self.out = b""
        self.err = []           # contents of STDERR records
        self.records = []       # (kind, length) of all
        self.protocol = None
        self.status = None
        self.at = None          # when it ended

    @property
    def head(self):
        return self.out.partition(b"\r\n\r\n")[0]

    @property
    def body(self):
        return self.out.partition(b"\r\n\r\n")[2]

    @property
    def code(self):
        value = self.field(b"Status")
        return int(value.split()[0]) if value else 200

    def fields(self):
        return [tuple(part.strip() for part in line.split(b":", 1)) for line in self.head.split(b"\r\n") if b":" in line]

    def field(self, name):
        """The value of a header that is there once; None when it is not there."""
        found = [value for key, value in self.fields() if key.lower() == name.lower()]
        check(len(found) <= 1, f"{name!r} is there {len(found)} times")
        return found[0] if found else None


class Peer:
    """A connection.  limit: seconds that whatever is awaited may take."""

    def __init__(self, address, limit=8.0):
        """address: a path, or (host, port)."""
        self.sock = socket.socket(socket.AF_UNIX if isinstance(address, str) else socket.AF_INET)
        self.limit = limit
        self.left = bytearray()
        self.at = 0             # in left: what was taken
        self.connect(address)

    def connect(self, address):
        """A full backlog of a unix socket is said at once to who does not block: then it is tried again."""
        self.sock.settimeout(self.limit)
        until = time.monotonic() + self.limit
        while True:
            try:
                return self.sock.connect(address)
            except BlockingIOError:
                check(time.monotonic() < until, "nobody accepts")
                time.sleep(0.001)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Close so that the other side sees a reset, where the socket can."""
        if self.sock.family == socket.AF_INET:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def send(self, *parts):
        self.sock.settimeout(self.limit)
        for part in parts:
            self.sock.sendall(part)

    def try_send(self, *parts):
        """Returns whether it took them all."""
        try:
            self.send(*parts)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def shut(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass        # it hung up first

    def is_silent(self, seconds):
        """Returns whether nothing comes for so long, not even the end."""
        return len(self.left) == self.at and not select.select([self.sock], [], [], seconds)[0]

    def more(self, until):
        """Returns False at the end."""
        left = until - time.monotonic()
        self.sock.settimeout(max(0.001, left))
        try:
            piece = self.sock.recv(1 << 20)
        except socket.timeout:
            raise Failure(f"nothing within {self.limit:.1f} s (so far {bytes(self.left[self.at:self.at + 80])!r})") from None
        except ConnectionError:
            return False
        if self.at > 1 << 20:
            del self.left[:self.at]
            self.at = 0
        self.left += piece
        return bool(piece)

    def take(self, n, until):
        """n bytes; None at the end, when there is none of them."""
        while len(self.left) - self.at < n:
            if not self.more(until):
                check(len(self.left) == self.at, f"the end in the middle of a record: {bytes(self.left[self.at:][:40])!r}")
                return None
        out = bytes(self.left[self.at:self.at + n])
        self.at += n
        return out

    def record(self):
        """(kind, id, content); None at the end."""
        until = time.monotonic() + self.limit
        head = self.take(8, until)
        if head is None:
            return None
        version, kind, number, length, padding, reserved = struct.unpack(">BBHHBB", head)
        check(version == 1, f"a record of version {version}: {head!r}")
        check(reserved == 0, f"the reserved byte is {reserved:#x}")
        content = self.take(length, until) if length else b""
        check(content is not None, "the end instead of a record's content")
        pad = self.take(padding, until) if padding else b""
        check(pad is not None and not pad.strip(b"\0"), f"padding {pad!r}")
        return kind, number, content

    def exactly(self, *parts):
        """What comes next must be these bytes."""
        wanted = b"".join(parts)
        got = self.take(len(wanted), time.monotonic() + self.limit)
        check(got == wanted, f"{got!r}\n  instead of {wanted!r}")

    def over(self):
        """The end must come next."""
        got = self.record()
        check(got is None, f"more comes: {got!r}")

    def closes(self):
        """It ends, whatever is said before.  Returns what was."""
        until = time.monotonic() + self.limit
        while self.more(until):
            pass
        out = bytes(self.left[self.at:])
        self.left.clear()
        self.at = 0
        return out

    def answers(self, numbers):
        """Read until all these ids have ended.  Returns {id: Answer} in the order of their ends."""
        open_ids = {number: Answer() for number in numbers}
        ended = {}
        while open_ids:
            got = self.record()
            check(got is not None, f"the end before the ids {sorted(open_ids)[:8]} have")
            kind, number, content = got
            check(number in open_ids, f"a record of type {kind} for id {number}, which is not open")
            a = open_ids[number]
            a.records.append((kind, len(content)))
            if kind == STDOUT:
                check(content or a.records.count((STDOUT, 0)) == 1, "STDOUT ends twice")
                check(not content or (STDOUT, 0) not in a.records, "STDOUT after its end")
                a.out += content
            elif kind == STDERR:
                a.err.append(content)
            elif kind == END:
                check(len(content) == 8 and content[5:] == b"\0\0\0", f"the body of END is {content!r}")
                a.status, a.protocol = struct.unpack(">IB3x", content)
                a.at = time.monotonic()
                ended[number] = open_ids.pop(number)
            else:
                raise Failure(f"a record of type {kind} for id {number}")
        return ended

    def answer(self, number=1):
        """E, with any body: STDOUT, its end, END COMPLETE 0."""
        a = self.answers([number])[number]
        check(a.status == 0 and a.protocol == 0, f"END says {a.status}, {a.protocol}")
        kinds = [one for one in a.records if one[0] != STDERR]
        check(kinds[-2:] == [(STDOUT, 0), (END, 8)], f"it ends with {kinds[-2:]}")
        check(len(kinds) > 2, "there is no STDOUT before its end")
        return a

    def hello(self, number=1, code=200):
        """E, as the answer to G."""
        a = self.answer(number)
        check(a.code == code, f"{a.head!r}")
        check(a.body == HELLO, f"{a.body[:80]!r}")
        return a

    def body(self, wanted, number=1, code=200):
        a = self.answer(number)
        check(a.code == code, f"status {a.code} instead of {code}: {a.out[:200]!r}")
        check(a.body == wanted, f"{a.body[:80]!r} ({len(a.body)} bytes) instead of {wanted[:80]!r} ({len(wanted)} bytes)")
        return a


def unvars(body):
    """What op=vars says, as a list of (name, value)."""
    out = []
    at = 0
    while at < len(body):
        nl = body.index(b"\n", at)
        n, v = map(int, body[at:nl].split())
        name = body[nl + 1:nl + 1 + n]
        value = body[nl + 2 + n:nl + 2 + n + v]
        check(body[nl + 2 + n + v:nl + 3 + n + v] == b"\n", "op=vars is out of step")
        out.append((name, value))
        at = nl + 3 + n + v
    return out
