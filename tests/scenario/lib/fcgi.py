# SPDX-License-Identifier: ISC
"""A FastCGI client that says exactly what it is told: any bytes, any order, many requests on one connection."""
import socket
import struct
import time

from .place import Failure

BEGIN, ABORT, END, PARAMS, STDIN, STDOUT, STDERR, DATA, GET_VALUES, GET_VALUES_RESULT, UNKNOWN = range(1, 12)
RESPONDER, AUTHORIZER, FILTER = 1, 2, 3
KEEP_CONN = 1


def record(kind, number, content=b"", padding=0):
    return struct.pack(">BBHHBx", 1, kind, number, len(content), padding) + content + bytes(padding)


def stream(kind, number, content, size=65535):
    """Content as records, then the empty one."""
    pieces = [content[i:i + size] for i in range(0, len(content), size)] + [b""]
    return b"".join(record(kind, number, piece) for piece in pieces)


def begin(number, role=RESPONDER, flags=KEEP_CONN):
    return record(BEGIN, number, struct.pack(">HB5x", role, flags))


def length(n):
    return struct.pack("B", n) if n < 128 else struct.pack(">I", n | 1 << 31)


def pairs(values):
    out = b""
    for name, value in values.items():
        name, value = name.encode(), str(value).encode()
        out += length(len(name)) + length(len(value)) + name + value
    return out


def params(number, values, size=65535):
    return stream(PARAMS, number, pairs(values), size)


def unpairs(content):
    values = {}
    at = 0
    while at < len(content):
        sizes = []
        for _ in range(2):
            if content[at] < 128:
                sizes.append(content[at])
                at += 1
            else:
                sizes.append(struct.unpack_from(">I", content, at)[0] & 0x7fffffff)
                at += 4
        name = content[at:at + sizes[0]].decode()
        at += sizes[0]
        values[name] = content[at:at + sizes[1]].decode()
        at += sizes[1]
    return values


def variables(uri, method="GET", body=None, **more):
    """The CGI variables of a request."""
    path, _, query = uri.partition("?")
    values = {
        "GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": method,
        "REQUEST_URI": uri, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query,
        "SERVER_NAME": "localhost", "SERVER_PORT": "80", "REMOTE_ADDR": "127.0.0.1",
    }
    if body is not None:
        values["CONTENT_LENGTH"] = str(len(body))
        values["CONTENT_TYPE"] = "application/octet-stream"
    values.update(more)
    return values


def request(number, uri, method="GET", body=None, flags=KEEP_CONN, **more):
    """A whole request."""
    return (begin(number, flags=flags) + params(number, variables(uri, method, body, **more)) +
            stream(STDIN, number, body or b""))


class Reply:
    """What came for one request id."""

    def __init__(self):
        self.out = bytearray()
        self.err = bytearray()
        self.status = None      # appStatus, once it has ended
        self.protocol = None
        self.ended_at = None

    @property
    def head(self):
        return bytes(self.out.partition(b"\r\n\r\n")[0])

    @property
    def body(self):
        return bytes(self.out.partition(b"\r\n\r\n")[2])

    @property
    def code(self):
        """The response's status code."""
        for line in self.head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"status":
                return int(value.split()[0])
        return 200


class Connection:
    def __init__(self, path, limit=10.0):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(limit)
        self.sock.connect(path)
        self.limit = limit
        self.left = b""

    def send(self, data):
        self.sock.sendall(data)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def receive(self):
        """Returns (kind, id, content); None at the end of the connection."""
        end = time.monotonic() + self.limit
        while True:
            if len(self.left) >= 8:
                version, kind, number, size, padding = struct.unpack_from(">BBHHB", self.left)
                if version != 1:
                    raise Failure(f"a record of version {version}")
                if len(self.left) >= 8 + size + padding:
                    content = self.left[8:8 + size]
                    self.left = self.left[8 + size + padding:]
                    return kind, number, content
            self.sock.settimeout(max(0.001, end - time.monotonic()))
            try:
                piece = self.sock.recv(262144)
            except socket.timeout:
                raise Failure(f"no record within {self.limit:.1f} s") from None
            except ConnectionError:
                return None
            if not piece:
                if self.left:
                    raise Failure("the connection ends inside a record")
                return None
            self.left += piece

    def gather(self, numbers):
        """Read until all the ids have ended.  Returns {id: Reply}, in the order of their ends."""
        open_replies = {number: Reply() for number in numbers}
        ended = {}
        while open_replies:
            got = self.receive()
            if got is None:
                raise Failure(f"the connection ends before ids {sorted(open_replies)[:10]} did")
            kind, number, content = got
            if number not in open_replies:
                raise Failure(f"a record of type {kind} for id {number}, which is not open")
            reply = open_replies[number]
            if kind == STDOUT:
                reply.out += content
            elif kind == STDERR:
                reply.err += content
            elif kind == END:
                reply.status, reply.protocol = struct.unpack(">IB3x", content)
                reply.ended_at = time.monotonic()
                ended[number] = open_replies.pop(number)
            else:
                raise Failure(f"a record of type {kind}")
        return ended


def ask(path, uri, limit=10.0, **more):
    """One request on a connection of its own.  Returns its Reply."""
    with Connection(path, limit) as conn:
        conn.send(request(1, uri, flags=0, **more))
        return conn.gather([1])[1]
