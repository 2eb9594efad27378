# SPDX-License-Identifier: ISC
"""The lines of bench/scale's table, by topic.

What is compared is measured in turn, a few times.  Of CPU times the least counts: whatever else the machine does only
adds to them, and so does a load generator that sleeps, since each answer has to wake it.
"""
import collections
import statistics
import time

from limits.measure import KIB, settle, wait_requests

from . import tree

# value   what was measured; None: it could not be
# aim     "<=" or ">=" and a bound; None: it is only told
# note    in words: of what the value is made
Row = collections.namedtuple("Row", "what value unit aim note", defaults=("",))

REQUESTS = 10000
LEAD = 4.0          # seconds until all wake: enough for all to come

# What a browser's request has more than weft bench's own 22 variables, by way of nginx.
BROWSER = {
    "REDIRECT_STATUS": "200", "HTTPS": "on", "SCRIPT_FILENAME": "/usr/share/nginx/html/shop/item/7",
    "HTTP_ACCEPT_LANGUAGE": "de,en-US;q=0.7,en;q=0.3", "HTTP_ACCEPT_ENCODING": "gzip, deflate, br, zstd",
    "HTTP_REFERER": "https://shop.example.org/shop/list?category=threads&page=17",
    "HTTP_COOKIE": "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; cart=eyJpdGVtcyI6WzEsMiwzXX0",
    "HTTP_SEC_FETCH_DEST": "document", "HTTP_SEC_FETCH_MODE": "navigate", "HTTP_SEC_FETCH_SITE": "same-origin",
    "HTTP_UPGRADE_INSECURE_REQUESTS": "1", "HTTP_PRIORITY": "u=0, i",
    "HTTP_X_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
}


def is_reached(row):
    """None where there is no aim."""
    if row.aim is None:
        return False if row.value is None else None
    sign, bound = row.aim
    return row.value <= bound if sign == "<=" else row.value >= bound


def text(row):
    mark = {True: "reached", False: "NOT REACHED", None: ""}[is_reached(row)]
    value = "" if row.value is None else f"{row.value:.2f} {row.unit}"
    aim = "" if row.aim is None else f"{row.aim[0]} {row.aim[1]:.2f}"
    return f"  {row.what:<82} {value:>12}  {aim:<9} {mark:<11} {row.note}".rstrip()


# ---- 10000 requests that wait ----

def at_once(connections, ids):
    return ("-k", connections, "-m", ids, "-n", REQUESTS)


def wake_together(ground, name, text_, uri, load, serve):
    """All of them are there; then all wake.  uri(at): what is asked for, given when they are to wake, in µs."""
    server = serve(name)
    pid = server.weft.worker()
    server.weft.status()
    before = settle(pid)
    at = time.monotonic() + LEAD
    process = ground.begin(server, uri(round(at * 1e6)), *load)
    wait_requests(server.weft, REQUESTS)
    grown = settle(pid, 0.1) - before
    spare = at - time.monotonic()
    found = ground.end(process)
    server.weft.stop()
    yield Row(f"{text_}: memory of each, all in", grown / REQUESTS / KIB, "KiB", ("<=", 8.0),
              "" if spare > 0 else "they woke before all were there")
    yield Row(f"{text_}: from the first to the last answer", (found["last"] - found["first"]) / 1000, "ms", ("<=", 200.0))


def waiting(ground):
    def plain(name):
        return ground.serve(name, ("scale",))

    def until(at):
        return f"/until?at={at}"

    shapes = ((f"{REQUESTS} connections", at_once(REQUESTS, 1)), ("100 connections, 100 ids each", at_once(100, 100)))
    for i, (words, load) in enumerate(shapes):
        yield from wake_together(ground, f"timer{i}", words, until, (*load, "-e", "ok"), plain)
    more = [word for name, value in BROWSER.items() for word in ("-v", f"{name}={value}")]
    yield from wake_together(ground, "browser", f"{REQUESTS} connections, 35 variables", until, (*shapes[0][1], *more), plain)
    yield from redis_waiting(ground, shapes)
    for i, (words, load) in enumerate(shapes):
        server = plain(f"latency{i}")
        p99 = min(ground.load(server, "/wait?ms=2000", *load)["latency"]["p99"] for _ in range(2))
        server.weft.stop()
        yield Row(f"{words}, each waits 2 s: 99 of 100 take, of the wait", p99 / 2e6, "x", ("<=", 1.1))


def redis_waiting(ground, shapes):
    """A Redis that pauses; so many waits are a queue longer than the default."""
    redis = ground.start_redis()
    pool = f'pool "cache" {{ url = "redis+unix://{redis.socket}"  min = 8  max = 8  queue = {REQUESTS} ' \
           'queue_timeout = "10s"  call_timeout = "10s" }\n'

    def pause(_at):
        redis.ask("CLIENT", "PAUSE", str(round(LEAD * 1000)), "ALL")
        return "/app/probe?op=redis&key=k"

    redis.ask("SET", "k", "v")
    for i, (words, load) in enumerate(shapes):
        yield from wake_together(ground, f"redis{i}", f"{words}, GET of Redis", pause, (*load, "-e", "v"),
                                 lambda name: ground.serve(name, more=pool))


# ---- CPU time ----

def ratio(what, ones, others, aim):
    """The least of the ones to the least of the others."""
    return Row(what, min(ones) / min(others), "x", aim,
               f"{min(others):.2f} to {min(ones):.2f} us of CPU; in the rounds {spread(ones, others)}")


def spread(ones, others):
    """The ratios within each round."""
    ratios = [one / other for one, other in zip(ones, others)]
    return f"{min(ratios):.2f} to {max(ratios):.2f}"


def connections(ground):
    """8000 connections' own opening is not counted: few and many requests on as many."""
    servers = {"floor": (ground.floor(), "/"), "weft": (ground.serve("kept", ("fixed",)), "/fixed")}
    few, many = collections.defaultdict(list), collections.defaultdict(list)
    for _ in range(ground.rounds):
        for name, (server, uri) in servers.items():
            few[name].append(ground.cpu(server, uri, 10000, 70000, "-k", 64))
            many[name].append(ground.cpu(server, uri, 20000, 100000, "-k", 8000))
    for name in servers:
        yield ratio(f"{name}: CPU a request, 8000 connections to 64", many[name], few[name], None)
    growth = {name: min(many[name]) / min(few[name]) for name in servers}
    yield Row("weft's growth to the floor's", growth["weft"] / growth["floor"], "x", ("<=", 1.15))


def routes(ground):
    many = ground.serve("many", ("scale_routes",))
    load = (5000, 65000, "-k", 64)
    for kind, one_uri, many_uri in (("list", "/r100/list", "/r%r/list"), ("item", "/r100/item/7", "/r%r/item/7")):
        one = ground.serve(kind, (f"scale_{kind}",))
        pairs = [(ground.cpu(many, many_uri, *load, "-r", 250), ground.cpu(one, one_uri, *load)) for _ in range(ground.rounds)]
        words = "500 routes to one" + (", with parameters" if kind == "item" else "")
        yield ratio(f"CPU a request, {words}", *zip(*pairs), ("<=", 1.15))


def ids(ground):
    server = ground.serve("ids", ("fixed",))
    pairs = [(ground.cpu(server, "/fixed", 5000, 65000, "-k", 1, "-m", 100), ground.cpu(server, "/fixed", 5000, 65000, "-k", 100))
             for _ in range(ground.rounds)]
    yield ratio("CPU a request, 100 ids on a connection to 100 connections", *zip(*pairs), ("<=", 1.15))


# ---- workers ----

WORK = "/work?n=120000"     # some 150 µs, beside which what weft bench takes for a request is little
QUIET = 0.1                 # processors that others may take where two workers are to have one each


def carry(ground, server, connections_):
    """Returns requests a second, their CPU time, and how many processors others took meanwhile."""
    before = ground.others(server)
    began = time.monotonic()
    found = ground.load(server, WORK, "-k", connections_, "-t", 0.5)
    others = ground.others(server) - before - found["bench_cpu"] * found["answered"] / 1e6
    return found["per_second"], found["server"]["cpu"], max(0.0, others / (time.monotonic() - began))


def carried(ground, servers, connections_):
    """Who has only half a processor to himself says nothing of what he would carry with one, so this is judged only where others
    take little; what a request costs is judged always."""
    rounds = [[carry(ground, server, connections_) for server in servers] for _ in range(2 * ground.rounds)]
    rounds.sort(key=lambda pair: pair[0][2] + pair[1][2])
    quiet = rounds[:max(1, ground.rounds // 2)]
    others = max(pair[1][2] for pair in quiet)
    text_ = f"requests that compute, two workers to one, {connections_} connections"
    yield Row(text_, statistics.median(two[0] / one[0] for one, two in quiet), "x", (">=", 1.8) if others <= QUIET else None,
              f"{quiet[0][0][0]:.0f} to {quiet[0][1][0]:.0f} a second"
              + (f"; not judged, as others took {others:.2f} processors" if others > QUIET else ""))
    one, two = (min(pair[i][1] for pair in rounds) for i in (0, 1))
    yield Row(text_ + ", by CPU time", 2 * one / two, "x", (">=", 1.8), f"{one:.1f} to {two:.1f} us of CPU")


def beside(ground, servers, requests=60000):
    """CPU time of a request when two loads are put on at once, in microseconds: on one server or two."""
    pids = {server.process.pid for server in servers}
    before = tree.cpu(pids)
    loads = [ground.begin(server, "/fixed", "-k", 32, "-n", requests) for server in servers]
    for process in loads:
        ground.end(process)
    return (tree.cpu(pids) - before) / (2 * requests) * 1e6


def workers(ground):
    """The load generator needs a part of a processor, so that a second worker carries its full share can be seen only where a
    request is long.  That two workers do not hold each other up where requests are short is seen beside two servers of
    one worker each, which share nothing at all, under the same load."""
    one, other = (ground.serve(f"one{n}", ("scale", "fixed")) for n in (1, 2))
    two = ground.serve("two", ("scale", "fixed"), 2)
    for connections_ in (4, 32):
        yield from carried(ground, (one, two), connections_)
    pairs = [(beside(ground, (two, two)), beside(ground, (one, other))) for _ in range(2 * ground.rounds)]
    yield ratio("CPU a request, two workers to two servers of one", *zip(*pairs), ("<=", 1.1))


TOPICS = {
    "waiting": (f"{REQUESTS} requests that wait", waiting),
    "connections": ("from 64 to 8000 kept connections, all of them active", connections),
    "routes": ("from one route to 500", routes),
    "ids": ("multiplexing", ids),
    "workers": ("two workers and one", workers),
}
