# SPDX-License-Identifier: ISC
"""An HTTP client that has many requests in flight, and times each of them."""
import errno
import os
import pickle
import selectors
import signal
import socket
import time


class Request:
    def __init__(self, port, path, method="GET", body=None, headers=(), chunked=False):
        self.port = port
        self.path = path
        self.method = method
        self.body = body
        self.headers = headers
        self.chunked = chunked

    def encode(self):
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: localhost", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in self.headers]
        body = self.body or b""
        if self.chunked:
            lines.append("Transfer-Encoding: chunked")
            size = 10000
            pieces = [body[i:i + size] for i in range(0, len(body), size)] + [b""]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        elif self.body is not None:
            lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


class Answer:
    def __init__(self):
        self.status = 0
        self.headers = {}
        self.body = b""
        self.seconds = 0.0
        self.at = 0.0       # when it began, on the monotonic clock
        self.error = None   # text; None for a whole answer

    def __repr__(self):
        return f"<{self.status} {self.error or 'whole'} {self.body[:200]!r} {self.seconds * 1000:.0f} ms>"

    @property
    def is_ok(self):
        return self.status == 200 and self.error is None


def dechunk(raw):
    """Returns the body, and whether it is whole."""
    body = []
    at = 0
    while True:
        end = raw.find(b"\r\n", at)
        if end < 0:
            return b"".join(body), False
        size = int(raw[at:end].split(b";")[0], 16)
        at = end + 2
        if size == 0:
            return b"".join(body), True
        if len(raw) < at + size + 2:
            return b"".join(body + [raw[at:]]), False
        body.append(raw[at:at + size])
        at += size + 2


def parse_head(answer, head):
    lines = head.decode("latin-1").split("\r\n")
    answer.status = int(lines[0].split(" ")[1])
    for line in lines[1:]:
        name, _, value = line.partition(":")
        answer.headers[name.strip().lower()] = value.strip()


class Flight:
    """One request on its way."""

    def __init__(self, request):
        self.request = request
        self.answer = Answer()
        self.out = memoryview(request.encode())
        self.raw = bytearray()
        self.head_end = -1
        self.sock = socket.socket()
        self.sock.setblocking(False)
        self.began = self.answer.at = time.monotonic()
        code = self.sock.connect_ex(("127.0.0.1", request.port))
        if code not in (0, errno.EINPROGRESS):
            self.finish(os.strerror(code))

    def finish(self, error=None):
        self.answer.seconds = time.monotonic() - self.began
        self.answer.error = error
        self.sock.close()
        self.sock = None

    def events(self):
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self.out else 0)

    def on_writable(self):
        try:
            self.out = self.out[self.sock.send(self.out):]
        except BlockingIOError:
            pass
        except OSError:
            self.out = memoryview(b"")  # answered before the body was in, maybe: read on

    def on_readable(self):
        try:
            piece = self.sock.recv(262144)
        except BlockingIOError:
            return
        except OSError as error:
            self.on_end(error.strerror)
            return
        if not piece:
            self.on_end("ends without an answer")
            return
        self.raw += piece
        if self.head_end < 0:
            self.head_end = self.raw.find(b"\r\n\r\n")
            if self.head_end >= 0:
                parse_head(self.answer, bytes(self.raw[:self.head_end]))
        if self.head_end >= 0:
            length = self.answer.headers.get("content-length")
            if length is not None and len(self.raw) - self.head_end - 4 >= int(length):
                self.on_end(None)

    def on_end(self, error):
        answer = self.answer
        if self.head_end < 0:
            self.finish(error)
            return
        raw = bytes(self.raw[self.head_end + 4:])
        if self.request.method == "HEAD" or answer.status in (204, 304):
            answer.body = raw
            self.finish(None)
        elif answer.headers.get("transfer-encoding", "").lower() == "chunked":
            answer.body, whole = dechunk(raw)
            self.finish(None if whole else "chunks cut short")
        elif "content-length" in answer.headers:
            answer.body = raw
            self.finish(None if len(raw) == int(answer.headers["content-length"]) else "body cut short")
        else:
            answer.body = raw
            self.finish(None if error is None or not error.startswith("Connection") else error)


def fetch_all(requests, limit=20.0):
    """Make all requests at once.  Returns their answers in the same order."""
    end = time.monotonic() + limit
    flights = []
    with selectors.DefaultSelector() as selector:
        for request in requests:
            flight = Flight(request)
            flights.append(flight)
            if flight.sock is not None:
                selector.register(flight.sock, flight.events(), flight)
        while selector.get_map():
            ready = selector.select(max(0.0, end - time.monotonic()))
            if not ready and time.monotonic() >= end:
                break
            for key, events in ready:
                flight, sock = key.data, key.fileobj
                before = flight.events()
                if events & selectors.EVENT_WRITE and flight.out:
                    flight.on_writable()
                if events & selectors.EVENT_READ:
                    flight.on_readable()
                if flight.sock is None:
                    selector.unregister(sock)
                elif flight.events() != before:
                    selector.modify(sock, flight.events(), flight)
        for flight in flights:
            if flight.sock is not None:
                flight.finish(f"no answer within {limit:.1f} s")
    return [flight.answer for flight in flights]


def fetch(port, path, limit=20.0, **more):
    return fetch_all([Request(port, path, **more)], limit)[0]


class Load:
    """Requests without end from a process of their own, so that nothing else of the harness delays them.

    paths     asked in turn
    at_once   requests in flight; the next ones go when all are answered
    """

    def __init__(self, port, paths, at_once=1, limit=10.0):
        self.reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.reader)
            signal.alarm(0)
            self.run(writer, port, paths, at_once, limit)
        os.close(writer)

    @staticmethod
    def run(writer, port, paths, at_once, limit):
        stopped = []
        signal.signal(signal.SIGUSR1, lambda *_: stopped.append(1))
        answers = []
        n = 0
        os.write(writer, b"!")
        while not stopped:
            requests = [Request(port, paths[(n + i) % len(paths)]) for i in range(at_once)]
            n += at_once
            for request, answer in zip(requests, fetch_all(requests, limit)):
                answer.path = request.path
                answers.append(answer)
            if at_once > 1:
                time.sleep(0.01)
        with os.fdopen(writer, "wb") as file:
            pickle.dump(answers, file)
        os._exit(0)

    def begin(self):
        """Wait until it is under way."""
        os.read(self.reader, 1)
        return self

    def end(self):
        """Returns all the answers; each has a path."""
        os.kill(self.pid, signal.SIGUSR1)
        with os.fdopen(self.reader, "rb") as file:
            answers = pickle.load(file)
        os.waitpid(self.pid, 0)
        self.pid = 0
        return answers

    def __enter__(self):
        return self.begin()

    def __exit__(self, *_):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.reader)


def percentile(answers, share):
    """The time in seconds that SHARE (0..1) of the answers did not exceed."""
    times = sorted(answer.seconds for answer in answers)
    return times[min(len(times) - 1, int(len(times) * share))]
