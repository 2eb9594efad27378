# SPDX-License-Identifier: ISC
"""A reply that is broken at one of its bytes, for each of them."""
import threading
import time

from lib.place import Failure, check, wait_until

UNKNOWN = b"outcome unknown"
STEP = 7            # bytes between two places where the beginning of a connection is cut, but for a soak


class Lane:
    """One pool of one connection, through a proxy of its own."""

    def __init__(self, stage, query, body, name, proxy_and_url):
        self.stage = stage
        self.query = query
        self.body = body
        self.name = name
        self.proxy, self.url = proxy_and_url
        self.failure = None

    def conf(self):
        return f'pool "{self.name}" {{ url = "{self.url}"  max = 1  min = 1  call_timeout = "300ms"  backoff = "100ms" }}\n'

    def ask(self):
        return self.stage.weft.ask(f"op={self.query}&pool={self.name}")

    def is_right(self, reply):
        return reply.code == 200 and reply.body == self.body

    def answer(self, when):
        reply = self.ask()
        check(self.is_right(reply), f"{when}: {reply.code} {reply.body!r}")

    def recover(self, when):
        """It may take a while until there is an answer; if there is one, it is the right one."""
        def answers():
            reply = self.ask()
            check(reply.code in (200, 503, 504), f"{when}: {reply.code} {reply.body!r}")
            check(reply.code != 200 or self.is_right(reply), f"{when} the answer is {reply.body!r}")
            return reply.code == 200
        wait_until(answers, f"{when} it is used again", 6 * self.stage.relax)

    def lengths(self):
        """How many bytes come until the first statement is answered, and how many for the next."""
        self.proxy.tell("mark")
        self.proxy.tell("end", "close")
        self.recover("measuring")
        first = self.proxy.stats().down
        self.proxy.tell("mark")
        self.answer("measuring")
        return first, self.proxy.stats().down

    # What is done at one byte; length is that of the reply.

    def cut(self, at, length, how="close"):
        self.answer(f"before the cut at {at}")
        self.proxy.tell("cut", "down", at, how, "once")
        reply = self.ask()
        if at < length:
            check(reply.code == 503 and UNKNOWN in reply.body, f"cut at {at} of {length}: {reply.code} {reply.body!r}")
            self.answer(f"after the cut at {at}")
            return
        # A whole reply counts, whatever comes behind it; but who asks before the end has come here, asks in vain.
        check(self.is_right(reply), f"cut behind {length}: {reply.code} {reply.body!r}")
        self.recover(f"after the cut at {at}")

    def cut_and_asked_again(self, at, length):
        """Of what may be asked again: once, so one cut is not noticed, and the second is told."""
        self.answer(f"before the cut at {at}")
        self.proxy.tell("cut", "down", at, "close", "once")
        self.answer(f"cut once at {at} of {length}")
        self.recover(f"after the cut at {at}")
        self.proxy.tell("cut", "down", at, "reset", "all")
        reply = self.ask()
        check(reply.code == 503 if at < length else self.is_right(reply), f"cut each time at {at} of {length}: {reply.code} {reply.body!r}")
        self.proxy.tell("clear")
        self.recover(f"after the cuts at {at}")

    def start(self, at, length):
        self.proxy.tell("cut", "down", at, "close", "once")
        self.proxy.tell("end", "close")
        reply = self.ask()
        check(self.is_right(reply) or reply.code == 503, f"cut at {at} of the first {length}: {reply.code} {reply.body!r}")
        # If it was cut before it was asked for.
        self.recover(f"after the cut at {at} of the first {length}")
        wait_until(lambda: self.proxy.stats().cuts > 0 or not self.is_right(self.ask()), f"cut at {at}")
        self.proxy.tell("mark")
        self.recover(f"after the cut at {at} of the first {length}")

    def flip(self, at, length):
        """What is wrong with it may show, or not; what comes next is right."""
        self.recover("before")
        self.proxy.tell("flip", "down", at, 1 << (at * 5 + length) % 8)
        reply = self.ask()
        check(reply.code in (200, 404, 500, 503, 504), f"a bit of byte {at} of {length} flipped: {reply.code} {reply.body!r}")
        self.recover(f"after a flipped bit in byte {at} of {length}")

    def run(self, function, places):
        try:
            for place in places:
                function(self, *place)
        except (Failure, OSError) as failure:
            self.failure = failure


def open_lanes(stage, query, body, make, pools):
    """So many at the same time, each other one over TCP: a pool waits a while before it connects again."""
    names = [f"cut{i}" for i in range(pools)]
    lanes = [Lane(stage, query, body, name, make(name, tcp=i % 2 == 1)) for i, name in enumerate(names)]
    stage.serve("".join(lane.conf() for lane in lanes))
    for lane in lanes:
        lane.recover("at first")
    return lanes


def run_all(stage, lanes, function, places):
    began = time.monotonic()
    threads = [threading.Thread(target=lane.run, args=(function, places[i::len(lanes)])) for i, lane in enumerate(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failures = [lane.failure for lane in lanes if lane.failure is not None]
    check(not failures, f"{len(failures)} of {len(lanes)} pools: {failures[:1]}")
    print(f"# broken at {len(places)} places, in {time.monotonic() - began:.1f} s")
    stage.wait_idle()


def check_each_cut(stage, query, body, make, pools):
    """The statement whose reply is cut off has an unknown outcome; the next one gets its own answer.

    make    returns a proxy of that name and a pool's URL for it
    """
    lanes = open_lanes(stage, query, body, make, pools)
    _, length = lanes[0].lengths()
    check(5 < length < 500, f"the reply has {length} bytes")
    places = [(at, length) for at in range(length + 1)] + [(at, length, "reset") for at in (0, 1, length // 2, length - 1)]
    run_all(stage, lanes, Lane.cut, places)


def check_each_cut_of_what_is_repeated(stage, query, body, make, pools):
    """A reply that is cut off is asked for once more, and no part of one is taken for the whole."""
    lanes = open_lanes(stage, query, body, make, pools)
    _, length = lanes[0].lengths()
    check(5 < length < 500, f"the reply has {length} bytes")
    run_all(stage, lanes, Lane.cut_and_asked_again, [(at, length) for at in range(length + 1)])


def check_each_start(stage, query, body, make, pools):
    """A connection that is cut off while it begins, and in its first answer: whoever asks is told so, or served by the next."""
    lanes = open_lanes(stage, query, body, make, pools)
    first, _ = lanes[0].lengths()
    check(5 < first < 2000, f"the beginning has {first} bytes")
    run_all(stage, lanes, Lane.start, [(at, first) for at in range(0, first, stage.long(STEP, 1) if first > 100 else 1)])


def check_each_flip(stage, query, body, make, pools):
    """One bit is another: nobody else's answer is touched by it."""
    lanes = open_lanes(stage, query, body, make, pools)
    _, length = lanes[0].lengths()
    run_all(stage, lanes, Lane.flip, [(at, length) for at in range(length)])
