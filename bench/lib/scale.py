# SPDX-License-Identifier: ISC
"""The lines of bench/scale's table, by topic.

What is compared is measured in turn, a few times, and the ratio is made within each round, so that whatever else the
machine does hits both alike; the median counts.
"""
import collections
import statistics
import time

from limits.measure import KIB, memory, settle, wait_requests

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
    return f"  {row.what:<60} {value:>12}  {aim:<9} {mark:<11} {row.note}".rstrip()


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
        found = ground.load(server, "/wait?ms=2000", *load)
        server.weft.stop()
        yield Row(f"{words}, each waits 2 s: 99 of 100 take, of the wait", found["latency"]["p99"] / 2e6, "x", ("<=", 1.1))


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


# ---- ratios ----

def ratio(what, pairs, aim, note=""):
    """pairs: of each round the one value and the other that it is divided by."""
    ratios = [one / other for one, other in pairs]
    ones, others = zip(*pairs)
    return Row(what, statistics.median(ratios), "x", aim,
               f"{statistics.median(others):.2f} to {statistics.median(ones):.2f}{note}, {min(ratios):.2f} to {max(ratios):.2f} in the rounds")


CPU = " us of CPU"


def connections(ground):
    """8000 connections' own opening is not counted: few and many requests on as many."""
    servers = {"floor": (ground.floor(), "/"), "weft": (ground.serve("kept", ("fixed",)), "/fixed")}
    grown = collections.defaultdict(list)
    for _ in range(ground.rounds):
        for name, (server, uri) in servers.items():
            few = ground.cpu(server, uri, 20000, 120000, "-k", 64)
            grown[name].append((ground.cpu(server, uri, 20000, 180000, "-k", 8000), few))
    yield ratio("floor: CPU a request, 8000 kept connections to 64", grown["floor"], None, CPU)
    yield ratio("weft: the same", grown["weft"], None, CPU)
    factors = {name: [many / few for many, few in pairs] for name, pairs in grown.items()}
    yield Row("weft's growth to the floor's", statistics.median(w / f for w, f in zip(factors["weft"], factors["floor"])), "x", ("<=", 1.15))


def routes(ground):
    many = ground.serve("many", ("scale_routes",))
    for kind, one_uri, many_uri in (("list", "/r100/list", "/r%r/list"), ("item", "/r100/item/7", "/r%r/item/7")):
        one = ground.serve(kind, (f"scale_{kind}",))
        pairs = [(ground.cpu(many, many_uri, 2000, 100000, "-k", 64, "-r", 250), ground.cpu(one, one_uri, 2000, 100000, "-k", 64))
                 for _ in range(ground.rounds)]
        words = "500 routes to one" + (", with parameters" if kind == "item" else "")
        yield ratio(f"CPU a request, {words}", pairs, ("<=", 1.15), CPU)


def ids(ground):
    server = ground.serve("ids", ("fixed",))
    pairs = [(ground.cpu(server, "/fixed", 2000, 100000, "-k", 1, "-m", 100), ground.cpu(server, "/fixed", 2000, 100000, "-k", 100))
             for _ in range(ground.rounds)]
    yield ratio("CPU a request, 100 ids on one connection to 100 connections", pairs, ("<=", 1.15), CPU)


# ---- workers ----

WORK = "/work?n=120000"     # some 150 µs, beside which what weft bench takes for a request is little


def workers(ground):
    """The load generator needs a part of a core, so a second worker can be seen to carry its full share only where a
    request is long.  That it costs nothing more where requests are short is seen in CPU time: the load of each worker is the same
    then, and so low that all of them have a core when they need one."""
    one, two = (ground.serve(f"workers{n}", ("scale",), n) for n in (1, 2))
    for k in (4, 32):
        pairs = [(ground.load(two, WORK, "-k", k, "-t", 1)["per_second"], ground.load(one, WORK, "-k", k, "-t", 1)["per_second"])
                 for _ in range(ground.rounds)]
        yield ratio(f"requests a second that compute, two workers to one, {k} connections", pairs, (">=", 1.8), " a second")
    pairs = [(ground.cpu(two, "/wait?ms=10", 2000, 40000, "-k", 400), ground.cpu(one, "/wait?ms=10", 2000, 20000, "-k", 200))
             for _ in range(ground.rounds)]
    yield ratio("CPU a request, two workers to one, each with 20000 a second", pairs, ("<=", 1.1), CPU)


TOPICS = {
    "waiting": (f"{REQUESTS} requests that wait", waiting),
    "connections": ("from 64 to 8000 kept connections, all of them active", connections),
    "routes": ("from one route to 500", routes),
    "ids": ("multiplexing", ids),
    "workers": ("two workers and one", workers),
}
