# SPDX-License-Identifier: ISC
"""Redis on several servers: sentinels that watch a master and its replica."""
import socket
import time

from lib.askers import Askers, between, tally
from lib.place import check, free_port, wait_until
from lib.suite import Stage, scenario
from lib.weft import BASIC, Weft
from scenarios.back import check_all, ms

COUNT = "op=count&n=%n"


class Node:
    """One redis-server on loopback."""

    def __init__(self, place, name, *words, port=None):
        self.port = port or free_port()
        self.process = place.spawn(name, [
            "redis-server", *words, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", place.folder,
            "--save", "", "--appendonly", "no", "--dbfilename", f"{name}.rdb"])
        wait_until(self.is_up, f"{name} answers")

    def ask(self, *words):
        """Returns the raw reply to one command."""
        with socket.socket() as sock:
            sock.settimeout(5)
            sock.connect(("127.0.0.1", self.port))
            sock.sendall(b"*%d\r\n" % len(words) +
                         b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in (w.encode() for w in map(str, words))))
            return sock.recv(1 << 20).decode()

    def is_up(self):
        try:
            return self.ask("PING") == "+PONG\r\n"
        except OSError:
            return False

    def wait(self, text, *words, limit=20.0):
        wait_until(lambda: text in self.ask(*words), f"{' '.join(words)} says {text!r}", limit)


class Many(Stage):
    def is_healthy(self):
        return False

    def serve(self, pool, workers=1):
        return Weft(self.place, BASIC.replace("workers = 1", f"workers = {workers}") + pool).start()


def check_counts(stage, results, counts, sure_before):
    """Nothing was counted twice, nor what was said to have failed; what was acknowledged, but for what died with a master, is there."""
    sure = {result.number for result in results if result.status == 200}
    unknown = {result.number for result in results
               if result.status <= 0 or "outcome unknown" in result.text or result.status == 504}
    never = {result.number for result in results} - sure - unknown
    lost = [number for number in sure if counts[number] == 0]
    print(f"# {len(results)} counted: {len(sure)} acknowledged, {len(unknown)} unknown, {len(never)} refused; {len(lost)} lost with a"
          f" master; {tally(results)}")
    twice = [number for number in counts if counts[number] > 1]
    check(not twice, f"{len(twice)} were counted twice, such as {twice[:3]}")
    wrong = [number for number in never if counts[number] > 0]
    check(not wrong, f"{len(wrong)} were counted that had been said to have failed, such as {wrong[:3]}")
    early = [result for result in results if result.number in lost and result.began < sure_before]
    check(not early, f"{len(early)} acknowledged ones are not there, such as {early[:1]}")


class Watched(Many):
    """A master, a replica and three sentinels."""

    def open(self):
        self.master = Node(self.place, "master", "--repl-diskless-sync-delay", "0")
        self.replica = Node(self.place, "replica", "--repl-diskless-sync-delay", "0",
                            "--replicaof", f"127.0.0.1 {self.master.port}")
        self.replica.wait("master_link_status:up", "INFO", "replication")
        self.sentinels = [self.sentinel(i) for i in range(3)]
        for sentinel in self.sentinels:
            sentinel.wait("num-slaves\r\n$1\r\n1", "SENTINEL", "master", "mine")
            sentinel.wait("num-other-sentinels\r\n$1\r\n2", "SENTINEL", "master", "mine")

    def sentinel(self, i):
        conf = self.place.write(f"sentinel{i}.conf", f"sentinel monitor mine 127.0.0.1 {self.master.port} 2\n"
                                "sentinel down-after-milliseconds mine 500\nsentinel failover-timeout mine 5000\n")
        return Node(self.place, f"sentinel{i}", conf, "--sentinel")

    @property
    def places(self):
        return ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)


@scenario(Watched, limit=60)
def master_dies_and_sentinels_name_another(stage):
    """Who asks meanwhile is told so; nothing is sent twice; a few seconds later the new master serves."""
    weft = stage.serve(f'pool "cache" {{ url = "redis+sentinel://{stage.places}/mine"  max = 4  backoff = "1s" }}', workers=2)
    users = Askers(weft, COUNT, "users", k=50, r=400)
    time.sleep(1.5)
    died = time.monotonic()
    stage.master.process.kill()
    stage.replica.wait("role:master", "INFO", "replication")
    promoted = time.monotonic()
    time.sleep(3.0 * stage.relax)
    results = users.end()
    check(set(tally(results)) <= {200, 502, 503, 504}, f"it answers {tally(results)}")
    check_all(between(results, 0, died - 0.2), 200, "before")
    check_all(between(results, promoted + 2.0 * stage.relax), 200, "2 s after the new master is one")
    again = min(result.began + result.took for result in between(results, died + 0.1) if result.status == 200)
    print(f"# a new master after {ms(promoted - died)}, served by it {ms(again - promoted)} later")
    counts = {}
    for result in results:
        reply = stage.replica.ask("GET", f"count:{result.number}").split("\r\n")
        counts[result.number] = 0 if reply[0] == "$-1" else int(reply[1])
    check_counts(stage, results, counts, died - 0.5)
    log = weft.process.log_text()
    check(f"master found pool=cache master=127.0.0.1:{stage.replica.port}" in log, "the log does not name the new master")


@scenario(Watched, limit=60)
def sentinels_that_are_dead_or_know_nothing(stage):
    """The first is dead, the second knows no such master: the third is enough.  Without it the log says why."""
    stage.sentinels[0].process.kill()
    check("+OK" in stage.sentinels[1].ask("SENTINEL", "REMOVE", "mine"), "it forgets")
    stage.master.ask("SET", "k", "shuttle")
    weft = stage.serve(f'pool "cache" {{ url = "redis+sentinel://{stage.places}/mine"  max = 2 }}')
    reply = weft.ask("op=redis&key=k")
    check(reply.code == 200 and reply.body == b"shuttle", f"it is answered {reply.code} {reply.body}")
    log = weft.process.log_text()
    check(f"sentinel of no use pool=cache sentinel=127.0.0.1:{stage.sentinels[0].port} reason=" in log, "nothing of the first")
    check('it knows no master "mine"' in log, "nothing of the second")
    stage.sentinels[2].process.kill()
    stage.master.process.kill()
    wait_until(lambda: weft.ask("op=redis&key=k").code == 503 and 'fault="NOMASTER' in weft.process.log_text(), "it says why",
               10 * stage.relax, 0.1)
