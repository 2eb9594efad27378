# SPDX-License-Identifier: ISC
"""Messages of Redis and PostgreSQL as server-sent events, by the example: who gets them, in which order, and what is lost when."""
import re
import selectors
import signal
import socket
import struct
import time

from lib import fcgi, fronts
from lib.place import Failure, check, wait_until
from lib.suite import Stage, scenario
from lib.weft import Weft

CLIENTS = 1000
CHANNELS = 10
MESSAGES = 100
WORKERS = 2
MEMORY = 16 << 10           # bytes of a worker's, at most, that one more client takes

EVENTS = f"""\
workers = {WORKERS}
control = "@RUN@/control.sock"
listen "web" {{ address = "unix:@RUN@/web.sock"  mode = "0666" }}
module "probe" {{ file = "@MODULES@/probe.so"  prefix = "/app" }}
module "events" {{ file = "@MODULES@/events.so"  prefix = "/app/live" }}
pool "events" {{ url = "@EVENTS@"  max = @MAX@ }}
limit {{ grace = "20s" }}
"""


class Client:
    """One stream, over a connection of its own."""

    def __init__(self, path, channel):
        self.channel = channel
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(10)
        self.sock.connect(path)
        self.sock.sendall(fcgi.request(1, f"/app/live/events/{channel}"))
        self.sock.setblocking(False)
        self.left = bytearray()
        self.text = bytearray()
        self.has_ended = self.is_closed = False

    def read(self):
        """Take what has come.  Returns whether more may come."""
        try:
            data = self.sock.recv(65536)
        except BlockingIOError:
            return True
        self.left += data
        while len(self.left) >= 8:
            _, kind, _, length, padding, _ = struct.unpack(">BBHHBB", self.left[:8])
            if len(self.left) < 8 + length + padding:
                break
            if kind == fcgi.STDOUT:
                self.text += self.left[8:8 + length]
            elif kind == fcgi.END:
                self.has_ended = True
            del self.left[:8 + length + padding]
        self.is_closed = not data
        return not (self.has_ended or self.is_closed)

    def events(self):
        """What came: the texts of messages, and None for each gap."""
        _, _, body = self.text.decode().partition("\r\n\r\n")
        found = []
        for block in body.split("\n\n"):
            if block.startswith("event: gap\n"):
                found.append(None)
            elif block.startswith("data: "):
                found.append(block[6:])
        return found


class Crowd:
    def __init__(self, path, count):
        self.selector = selectors.DefaultSelector()
        self.clients = []
        for i in range(count):
            client = Client(path, f"c{i % CHANNELS}")
            self.clients.append(client)
            self.selector.register(client.sock, selectors.EVENT_READ, client)

    def wait(self, condition, what, limit):
        """Read until the condition holds of each."""
        end = time.monotonic() + limit
        waits = set(self.clients)
        while waits:
            left = end - time.monotonic()
            if left <= 0:
                one = next(iter(waits))
                raise Failure(f"{what}: {len(waits)} of {len(self.clients)} not, such as {one.channel}: {bytes(one.text[-300:])!r}")
            for key, _ in self.selector.select(min(left, 0.1)):
                if not key.data.read():
                    self.selector.unregister(key.data.sock)
            waits = {client for client in waits if not condition(client)}

    def leave(self, count):
        for client in self.clients[:count]:
            self.selector.unregister(client.sock)
            client.sock.close()
        del self.clients[:count]

    def close(self):
        self.selector.close()
        for client in self.clients:
            client.sock.close()


class RedisSide:
    def __init__(self, suite):
        self.redis = suite.redis
        self.redis.ask("FLUSHALL")
        self.url = "redis+unix://" + self.redis.socket

    def publish(self, pairs):
        data = b""
        for channel, text in pairs:
            words = [b"PUBLISH", channel.encode(), text.encode()]
            data += b"*3\r\n" + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(self.redis.socket)
            sock.sendall(data)
            answers = 0
            while answers < len(pairs):
                answers += sock.recv(65536).count(b"\n")

    def listeners(self):
        """How many connections are subscribed to anything."""
        return self.redis.ask("CLIENT", "LIST", "TYPE", "pubsub").count(b"id=")

    def restart(self):
        self.redis.kill()
        time.sleep(0.2)
        self.redis.start()


class PostgresSide:
    def __init__(self, suite):
        self.postgres = suite.postgres
        self.url = self.postgres.url

    def publish(self, pairs):
        for at in range(0, len(pairs), 200):
            self.postgres.query("".join(f"NOTIFY {channel}, '{text}';" for channel, text in pairs[at:at + 200]))

    def listeners(self):
        return int(self.postgres.query("SELECT count(*) FROM pg_stat_activity WHERE query ~ '^(UN)?LISTEN'"))

    def restart(self):
        self.postgres.restart(signal.SIGQUIT)


SIDES = {"redis": RedisSide, "postgres": PostgresSide}


def anonymous(pid):
    with open(f"/proc/{pid}/status") as file:
        return int(re.search(r"RssAnon:\s+(\d+)", file.read()).group(1)) << 10


class Events(Stage):
    """The example, with as many clients as it is given, straight to its socket."""
    connections = 8

    def open(self):
        self.side = SIDES[self.arguments[0]](self.suite)
        self.weft = Weft(self.place, EVENTS, EVENTS=self.side.url, MAX=self.connections).start()
        self.crowd = None

    def gather(self, count):
        """A crowd in place of the one before."""
        if self.crowd is not None:
            self.crowd.close()
            wait_until(lambda: self.sum("subscriptions") == 0, "those before are gone", 5 * self.relax)
        self.crowd = Crowd(self.weft.socket, count)
        self.crowd.wait(lambda client: b": here\n\n" in client.text, "a stream begins", 20 * self.relax)

    def close(self):
        if self.crowd is not None:
            self.crowd.close()
        return super().close()

    def sum(self, name):
        return sum(worker["pools"][0][name] for worker in self.weft.workers())

    def expect(self, count, what):
        """Each client has as many events.  Returns them, by client."""
        self.crowd.wait(lambda client: len(client.events()) >= count, what, 20 * self.relax)
        return [(client, client.events()) for client in self.crowd.clients]

    def say_all(self, word, count):
        """Publish to each channel in turn."""
        self.side.publish([(f"c{n}", f"c{n} {word} {i}") for i in range(count) for n in range(CHANNELS)])


def everyone_gets_what_is_his_in_order(stage):
    before = [anonymous(worker["pid"]) for worker in stage.weft.workers()]
    stage.gather(CLIENTS)
    after = [anonymous(worker["pid"]) for worker in stage.weft.workers()]
    taken = (sum(after) - sum(before)) / CLIENTS
    print(f"# {taken:.0f} bytes of the workers for each client")
    # Sanitizers keep what was freed.
    check(stage.relax > 1 or taken < MEMORY, f"a client that waits takes {taken:.0f} bytes")
    check(stage.side.listeners() == WORKERS, f"{stage.side.listeners()} connections listen, of {WORKERS} workers")
    check(stage.sum("subscriptions") == CLIENTS, f"status counts {stage.sum('subscriptions')} subscriptions")
    stage.say_all("m", MESSAGES)
    for client, events in stage.expect(MESSAGES, "all messages come"):
        want = [f"{client.channel} m {i}" for i in range(MESSAGES)]
        check(events == want, f"{client.channel} got {len(events)} events: {events[:5]} …")
    check(stage.sum("gaps") == 0, f"{stage.sum('gaps')} gaps")
    check(stage.sum("lent") == WORKERS, f"{stage.sum('lent')} connections are lent")
    print(f"# {CLIENTS * MESSAGES} events")


def a_restart_is_a_gap_for_each(stage):
    stage.gather(CLIENTS)
    stage.say_all("before", 1)
    stage.expect(1, "a message comes")
    stage.side.restart()
    stage.expect(2, "the gap is told")
    stage.say_all("after", 3)
    for client, events in stage.expect(5, "messages come again"):
        want = [f"{client.channel} before 0", None] + [f"{client.channel} after {i}" for i in range(3)]
        check(events == want, f"{client.channel} got {events}")
    check(stage.side.listeners() == WORKERS, f"{stage.side.listeners()} connections listen, of {WORKERS} workers")


def who_leaves_is_forgotten_at_once(stage):
    stage.gather(200)
    check(stage.sum("subscriptions") == 200, "not all are counted")
    stage.crowd.leave(150)
    begin = time.monotonic()
    wait_until(lambda: stage.sum("subscriptions") == 50, "those who left are forgotten", 2 * stage.relax)
    print(f"# forgotten after {(time.monotonic() - begin) * 1000:.0f} ms")
    stage.say_all("still", 1)
    stage.expect(1, "the others go on")
    stage.crowd.leave(50)
    wait_until(lambda: stage.sum("channels") == 0, "their channels are given up", 2 * stage.relax)
    # Some seconds later the connection is, too.
    wait_until(lambda: stage.side.listeners() == 0 or stage.sum("lent") == 0, "the connections are given up", 10 * stage.relax)


def a_reload_ends_streams_in_order(stage):
    """With all that had come; the clients connect again, to new workers."""
    stage.gather(200)
    stage.say_all("old", 5)
    stage.expect(5, "messages come")
    begin = time.monotonic()
    done = stage.weft.verb("reload")
    check(done.returncode == 0, f"weft reload: {done.stdout}")
    stage.crowd.wait(lambda client: client.has_ended, "the streams end", 5 * stage.relax)
    print(f"# ended {(time.monotonic() - begin) * 1000:.0f} ms after the reload began")
    for client in stage.crowd.clients:
        check(client.events() == [f"{client.channel} old {i}" for i in range(5)], f"{client.channel} got {client.events()}")
    stage.gather(200)
    stage.say_all("new", 5)
    stage.expect(5, "messages come to the new workers")
    begin = time.monotonic()
    status = stage.weft.stop()
    check(status == 0, f"weft serve ended with {status}")
    check(time.monotonic() - begin < 5 * stage.relax, f"stopping took {time.monotonic() - begin:.1f} s, with streams")
    stage.crowd.wait(lambda client: client.has_ended, "the streams end", 5 * stage.relax)
    stage.crowd.close()
    stage.crowd = None
    stage.weft.start()


def a_slow_client_loses_the_oldest(stage):
    """It reads nothing while much is published; the others get all of it."""
    stage.gather(20)
    slow = stage.crowd.clients[0]
    stage.crowd.selector.unregister(slow.sock)
    del stage.crowd.clients[0]
    slow_text = "x" * 4000
    for burst in range(20):
        stage.side.publish([("c0", f"{burst * 50 + i} {slow_text}") for i in range(50)])
        stage.crowd.wait(lambda client, n=(burst + 1) * 50: client.channel != "c0" or len(client.events()) == n,
                         "the others get all", 20 * stage.relax)
    stage.crowd.clients.append(slow)
    stage.crowd.selector.register(slow.sock, selectors.EVENT_READ, slow)
    stage.side.publish([("c0", "the end")])
    stage.crowd.wait(lambda client: client is not slow or client.events()[-1:] == ["the end"], "the slow one gets the end", 20 * stage.relax)
    numbers = [None if event is None else int(event.split()[0]) for event in slow.events()[:-1]]
    check(numbers.count(None) >= 1, "nothing was lost, though nothing was read")
    read = [number for number in numbers if number is not None]
    check(read == sorted(set(read)) and read[-1] == 999, f"it got {numbers}")
    for at, number in enumerate(numbers[1:], 1):
        check(number is None or numbers[at - 1] is None or number == numbers[at - 1] + 1, f"lost without a word: {numbers}")


for kind in SIDES:
    for function in (everyone_gets_what_is_his_in_order, a_restart_is_a_gap_for_each):
        scenario(Events, kind, limit=120)(function)
for function in (who_leaves_is_forgotten_at_once, a_reload_ends_streams_in_order, a_slow_client_loses_the_oldest):
    scenario(Events, "redis", limit=60)(function)


class Own(Events):
    """A pool for nothing but subscriptions: a connection for each worker."""
    connections = WORKERS


@scenario(Own, "redis")
def as_many_connections_as_workers_are_enough(stage):
    """Also over a reload: the old workers give theirs up at once, and the clients come again."""
    for number in range(5):
        stage.gather(100)
        stage.say_all(f"round {number}", 3)
        for client, events in stage.expect(3, "messages come"):
            check(events == [f"{client.channel} round {number} {i}" for i in range(3)], f"{client.channel} got {events}")
        check(stage.side.listeners() <= WORKERS, f"{stage.side.listeners()} connections listen, of {WORKERS} workers")
        done = stage.weft.verb("reload")
        check(done.returncode == 0, f"weft reload: {done.stdout}")
        stage.crowd.wait(lambda client: client.has_ended, "the streams end", 5 * stage.relax)


class Through(Stage):
    """The example behind a web server."""

    def open(self):
        if not fronts.Nginx.is_there():
            raise Failure("no nginx here")
        self.side = RedisSide(self.suite)
        self.weft = Weft(self.place, EVENTS, EVENTS=self.side.url, MAX=8).start()
        self.front = fronts.Nginx(self.place).start()

    def stream(self, channel):
        return self.ask(f"GET /app/live/events/{channel} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")

    def ask(self, text):
        sock = socket.socket()
        sock.settimeout(10)
        sock.connect(("127.0.0.1", self.front.port))
        sock.sendall(text.encode())
        return sock


def read_until(sock, word, limit=10):
    text = b""
    sock.settimeout(limit)
    while word not in text:
        data = sock.recv(65536)
        check(data, f"the stream ends before {word!r}: {text!r}")
        text += data
    return text


@scenario(Through)
def nginx_passes_events_on_at_once(stage):
    streams = [stage.stream("news") for _ in range(20)]
    for sock in streams:
        head = read_until(sock, b": here\n\n")
        check(b"text/event-stream" in head and b" 200 " in head, f"the head is {head!r}")
    for i in range(3):
        answer = stage.front.fetch("/app/live/say/news", method="POST", body=f"line {i}\nnext".encode())
        check(answer.status == 204, f"POST is answered {answer}")
        for sock in streams:
            read_until(sock, b"data: line %d\ndata: next\n\n" % i)
    check(stage.front.fetch("/app/live/last/news").body == b"line 2\nnext", "what was said last is another")
    for sock in streams:
        sock.close()
    wait_until(lambda: sum(worker["pools"][0]["subscriptions"] for worker in stage.weft.workers()) == 0,
               "who left is forgotten", 5 * stage.relax)
    page = stage.front.fetch("/app/live/")
    check(page.is_ok and b"EventSource" in page.body, f"the page is {page}")


@scenario(Through)
def a_long_poll_is_answered_when_something_is_said(stage):
    sock = stage.ask("GET /app/live/next/news HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    wait_until(lambda: sum(worker["pools"][0]["subscriptions"] for worker in stage.weft.workers()) == 1, "it waits", 5 * stage.relax)
    wait_until(lambda: re.search(r"/live/next/news +█?r*m+ +live ", stage.weft.verb("timeline", "-w", 200).stdout),
               "the timeline shows what it waits for", 5 * stage.relax)
    stage.side.publish([("news", "now")])
    text = read_until(sock, b"now")
    check(b" 200 " in text, f"it is answered {text!r}")
    sock.close()
    done = stage.weft.verb("timeline", "-w", 200)
    check(re.search(r"/live/next/news +█?r*m+█? +200 ", done.stdout), f"the timeline does not show what it waited for: {done.stdout}")
