# SPDX-License-Identifier: ISC
"""Redis on several servers: sentinels that watch a master and its replica; and a cluster of three, with a replica of the first."""
import socket
import time

from lib.askers import Askers, ask, between, tally
from lib.place import check, free_port, wait_until
from lib.suite import Stage, scenario
from lib.weft import BASIC, Weft
from scenarios.back import check_all, ms

COUNT = "op=count&n=%n"
TAGS = 32           # of the keys that it counts by


def key_of(number):
    return f"count:{{{number % TAGS}}}:{number}"


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
        reply = stage.replica.ask("GET", key_of(result.number)).split("\r\n")
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


class Cluster(Many):
    """Three nodes and a replica of the first.  Slots 0-5460, 5461-10922, 10923-16383."""

    RANGES = ((0, 5460), (5461, 10922), (10923, 16383))

    def open(self):
        self.nodes = [Node(self.place, f"node{i}", "--cluster-enabled", "yes", "--cluster-config-file", f"nodes{i}.conf",
                           "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no",
                           "--repl-diskless-sync-delay", "0") for i in range(4)]
        self.ids = [node.ask("CLUSTER", "MYID").split("\r\n")[1] for node in self.nodes]
        for node, (first, last) in zip(self.nodes, self.RANGES):
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
        for node in self.nodes[1:]:
            node.ask("CLUSTER", "MEET", "127.0.0.1", self.nodes[0].port)
        for node in self.nodes:
            node.wait("cluster_state:ok", "CLUSTER", "INFO")
            node.wait("cluster_known_nodes:4", "CLUSTER", "INFO")
        self.replica = self.nodes.pop()
        self.replica.ask("CLUSTER", "REPLICATE", self.ids[0])
        self.replica.wait("master_link_status:up", "INFO", "replication")
        for node in self.nodes:
            wait_until(lambda node=node: self.ids[3] in node.ask("CLUSTER", "REPLICAS", self.ids[0]), "the replica is known", 20)

    @property
    def url(self):
        return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in self.nodes[1:])

    def slot(self, key):
        return int(self.nodes[1].ask("CLUSTER", "KEYSLOT", key)[1:])

    def owner(self, key):
        """The number of the node that has had its slot from the beginning."""
        slot = self.slot(key)
        return next(i for i, (first, last) in enumerate(self.RANGES) if first <= slot <= last)

    def counts(self, results, nodes):
        """What is there of each number, wherever its slot is now."""
        found = {}
        for result in results:
            key = key_of(result.number)
            replies = [node.ask("GET", key) for node in nodes]
            values = [reply for reply in replies if not reply.startswith("-")]
            check(len(values) == 1, f"{key}: {replies}")
            found[result.number] = 0 if values[0].startswith("$-1") else int(values[0].split("\r\n")[1])
        return found

    def move(self, key, source, target):
        """Move a slot with all that is in it, as redis-cli does."""
        slot = self.slot(key)
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", self.ids[self.nodes.index(source)])
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", self.ids[self.nodes.index(target)])
        while True:
            keys = source.ask("CLUSTER", "GETKEYSINSLOT", slot, 10).split("\r\n")[2::2]
            if not keys:
                break
            reply = source.ask("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *keys)
            check(reply in ("+OK\r\n", "+NOKEY\r\n"), f"MIGRATE: {reply}")
        for node in [target] + self.nodes:
            node.ask("CLUSTER", "SETSLOT", slot, "NODE", self.ids[self.nodes.index(target)])

    def moved(self):
        """How often nodes have said MOVED."""
        total = 0
        for node in self.nodes:
            for line in node.ask("INFO", "errorstats").split("\r\n"):
                if line.startswith("errorstat_MOVED:count="):
                    total += int(line.partition("=")[2])
        return total


@scenario(Cluster, limit=60)
def each_command_goes_to_its_node(stage):
    """By four workers, which share the connections: no node sees more than max."""
    weft = stage.serve(f'pool "cache" {{ url = "{stage.url}"  max = 6 }}', workers=4)
    most = 0
    users = Askers(weft, COUNT, "users", k=50, n=3000)
    while users.process.is_alive():
        for node in stage.nodes:
            # The nodes of a cluster and the replica are not clients of this kind; who asks this is one.
            clients = [line for line in node.ask("CLIENT", "LIST", "TYPE", "normal").split("\n") if "addr=" in line]
            most = max(most, len(clients) - 1)
    results = users.wait()
    check_all(results, 200, "all of them")
    moved = stage.moved()
    print(f"# at most {most} connections to a node; {moved} times MOVED")
    check(moved == 0, f"{moved} times MOVED")
    check(0 < most <= 6, f"{most} connections to a node")
    check_counts(stage, results, stage.counts(results, stage.nodes), 0)
    scripts = ask(weft, "op=script&n=%n", name="scripts", k=20, n=300)
    check_all(scripts, 200, "scripts")
    check(all(result.text == "2" for result in scripts), f"scripts: {scripts[0]}")
    check(weft.ask("op=held&pool=cache&ms=1").code == 500, "a connection is lent")


@scenario(Cluster, limit=60)
def slots_move_under_load(stage):
    """Nobody notices, and nothing is lost or done twice."""
    weft = stage.serve(f'pool "cache" {{ url = "{stage.url}"  max = 4 }}', workers=2)
    users = Askers(weft, COUNT, "users", k=30, r=1000)
    time.sleep(0.5)
    for number in range(TAGS):
        source = stage.owner(key_of(number))
        stage.move(key_of(number), stage.nodes[source], stage.nodes[(source + 1) % 3])
        time.sleep(0.05)
    time.sleep(0.5)
    results = users.end()
    moved = stage.moved()
    print(f"# {moved} times MOVED for {len(results)} requests and {TAGS} slots")
    check_all(results, 200, "all of them")
    check(0 < moved < len(results) / 2, f"{moved} times MOVED")
    check_counts(stage, results, stage.counts(results, stage.nodes), float("inf"))


@scenario(Cluster, limit=60)
def node_dies_and_its_replica_takes_its_place(stage):
    """Only what is for that node fails, and only until then."""
    weft = stage.serve(f'pool "cache" {{ url = "{stage.url}"  max = 4 }}', workers=2)
    owners = {}
    users = Askers(weft, COUNT, "users", k=30, r=300)
    time.sleep(1.0)
    died = time.monotonic()
    stage.nodes[0].process.kill()
    stage.replica.wait("role:master", "INFO", "replication")
    promoted = time.monotonic()
    time.sleep(3.0 * stage.relax)
    results = users.end()
    for result in results:
        owners[result.number] = stage.owner(key_of(result.number))
    check_all([result for result in results if owners[result.number] != 0], 200, "the others")
    check_all(between(results, 0, died - 0.2), 200, "before")
    check_all(between(results, promoted + 2.5 * stage.relax), 200, "after the replica has been promoted")
    again = min(result.began + result.took for result in between(results, died + 0.1)
                if result.status == 200 and owners[result.number] == 0)
    print(f"# promoted after {ms(promoted - died)}, served {ms(again - promoted)} later")
    check_counts(stage, results, stage.counts(results, stage.nodes[1:] + [stage.replica]), died - 0.5)
    log = weft.process.log_text()
    check("pool down" not in log, "the pool was down")
    check(f"node lost pool=cache node=127.0.0.1:{stage.nodes[0].port}" in log, "the log does not say which node was lost")
