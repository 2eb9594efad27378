# SPDX-License-Identifier: ISC
"""A reply that is cut off at one of its bytes, for each of them."""
import threading

from lib.place import Failure, check, wait_until

UNKNOWN = b"outcome unknown"


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
        return f'pool "{self.name}" {{ url = "{self.url}"  max = 1  min = 1 }}\n'

    def ask(self):
        return self.stage.weft.ask(f"op={self.query}&pool={self.name}")

    def answer(self, when):
        """The right one."""
        reply = self.ask()
        check(reply.code == 200 and reply.body == self.body, f"{when}: {reply.code} {reply.body!r}")

    def length(self):
        """How many bytes the reply has on a connection that has asked before."""
        self.proxy.tell("mark")
        self.answer("measuring")
        return self.proxy.stats().down

    def cut(self, at, length, how):
        self.answer(f"before the cut at {at}")
        self.proxy.tell("cut", "down", at, how, "once")
        reply = self.ask()
        # A whole reply counts, whatever comes behind it.
        if at < length:
            check(reply.code == 503 and UNKNOWN in reply.body, f"cut at {at} of {length}: {reply.code} {reply.body!r}")
        else:
            check(reply.code == 200 and reply.body == self.body, f"cut behind {length}: {reply.code} {reply.body!r}")
        self.answer(f"after the cut at {at}")

    def run(self, cuts):
        try:
            for at, length, how in cuts:
                self.cut(at, length, how)
        except (Failure, OSError) as failure:
            self.failure = failure


def check_each_cut(stage, query, body, make, pools):
    """The statement whose reply is cut off has an unknown outcome; the next one gets its own answer.

    make    returns a proxy of that name and a pool's URL for it
    pools   so many at the same time, each other one over TCP: a pool waits a while before it connects again
    """
    names = [f"cut{i}" for i in range(pools)]
    lanes = [Lane(stage, query, body, name, make(name, tcp=i % 2 == 1)) for i, name in enumerate(names)]
    stage.serve("".join(lane.conf() for lane in lanes))
    for lane in lanes:
        wait_until(lambda lane=lane: lane.ask().code == 200, "it answers")
    length = lanes[0].length()
    check(5 < length < 500, f"the reply has {length} bytes")
    cuts = [(at, length, "close") for at in range(length + 1)] + [(at, length, "reset") for at in (0, 1, length // 2, length - 1)]
    threads = [threading.Thread(target=lane.run, args=(cuts[i::pools],)) for i, lane in enumerate(lanes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    failures = [lane.failure for lane in lanes if lane.failure is not None]
    check(not failures, f"{len(failures)} of {len(lanes)} pools: {failures[:1]}")
    print(f"# cut at each of {length} bytes, and behind them")
    stage.wait_idle()
