# SPDX-License-Identifier: ISC
"""The examples do what they are there to show, above all the waterfall."""
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
import urllib.parse

from lib import fronts, http
from lib.place import Failure, check, wait_until
from lib.suite import Stage, scenario
from lib.weft import PROBE, Weft

OWN = (0.600, 0.450, 0.150)         # what the database takes for each request, in seconds
AFTER = (0.000, 0.050, 0.100)       # when each is made
OVERLAPPED = 1.15                   # a request takes at most so many times its own
SERIAL = 0.9                        # the last one takes at least so much of the sum

# The probe tells when the server is up.
WATERFALL = """\
workers = 1
control = "@RUN@/control.sock"
status = "/app/weft"
listen "web" { address = "unix:@RUN@/web.sock"  mode = "0666" }
module "probe" { file = "@MODULES@/probe.so"  prefix = "/app" }
module "waterfall" { file = "@MODULES@/waterfall.so"  prefix = "/app" }
pool "db" { url = "@DB@"  max = 8  min = 3 }
pool "one" { url = "@DB@"  max = 1  min = 1  queue_timeout = "20s" }
"""

SHOP = """\
workers = 1
control = "@RUN@/control.sock"
listen "web" { address = "unix:@RUN@/web.sock"  mode = "0666" }
module "probe" { file = "@MODULES@/probe.so"  prefix = "/app" }
module "shop" { file = "@MODULES@/shop.so"  prefix = "/app/shop" }
module "hello" { file = "@MODULES@/hello.so"  prefix = "/app" }
pool "shop" { url = "@DB@"  max = 8 }
pool "cache" { url = "@CACHE@"  max = 4  queue_timeout = "200ms"  connect_timeout = "200ms"  call_timeout = "500ms" }
"""


def fetch_at(requests):
    """Make each request at its time after now.  requests: (seconds, function).  Returns the answers, each with .at and .seconds."""
    answers = [None] * len(requests)
    begin = time.monotonic() + 0.02

    def one(i, after, function):
        time.sleep(max(0.0, begin + after - time.monotonic()))
        answers[i] = function()

    threads = [threading.Thread(target=one, args=(i, *request), daemon=True) for i, request in enumerate(requests)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    check(None not in answers, "a request was not answered")
    return answers


class Waterfall(Stage):
    """The example behind a web server, on a database of each kind."""

    def open(self):
        kind = fronts.ALL[self.arguments[0]]
        if not kind.is_there():
            raise Failure(f"no {kind.program} here")
        database = self.suite.postgres.url if self.arguments[1] == "postgres" else "sqlite:/dev/null?mode=ro"
        self.weft = Weft(self.place, WATERFALL, DB=database).start()
        self.front = kind(self.place).start()
        wait_until(lambda: self.front.fetch(PROBE + "?op=ok").is_ok, "a request passes", 15, 0.05)
        if kind is fronts.ApacheFcgid:
            url = f"http://127.0.0.1:{self.front.port}{PROBE}?op=sleep&ms=500"
            done = self.weft.verb("warm", 6, url)
            check(done.returncode == 0, f"weft warm ended with {done.returncode}: {done.stdout}")
        # Connections are there, and no first time is measured.
        self.runs = 0
        for way in ("overlapped", "serial"):
            for answer in self.front.fetch_all([self.path("first", 3, way)] * 3):
                check(answer.is_ok, f"answered {answer}")

    @staticmethod
    def path(run, number, way):
        return f"/app/run/{run}/{number}?way={way}"

    def run(self, way):
        """The three requests.  Returns the run's name and their answers."""
        self.runs += 1
        name = f"{way[0]}{self.runs}"     # labels are short
        answers = fetch_at([(after, lambda path=self.path(name, i + 1, way): self.front.fetch(path))
                            for i, after in enumerate(AFTER)])
        for i, answer in enumerate(answers):
            check(answer.is_ok, f"request {i + 1} is answered {answer}")
            check(answer.body.startswith(b"request %d:" % (i + 1)), f"request {i + 1} got {answer.body!r}")
        print(f"# {way}: " + ", ".join(f"{answer.seconds * 1000:.0f} ms of {own * 1000:.0f}"
                                       for answer, own in zip(answers, OWN)))
        return name, answers


def overlapped_requests_take_their_own_time(stage):
    _, answers = stage.run("overlapped")
    for i, (answer, own) in enumerate(zip(answers, OWN)):
        check(own * 0.99 <= answer.seconds <= own * OVERLAPPED * stage.relax,
              f"request {i + 1} of {own:.3f} s took {answer.seconds:.3f} s")
    ends = [answer.at + answer.seconds for answer in answers]
    check(ends[2] < ends[1] < ends[0], f"the short one is not answered first: {ends}")


def one_at_a_time_they_take_the_sum(stage):
    _, answers = stage.run("serial")
    ends = [answer.at + answer.seconds for answer in answers]
    check(ends[0] < ends[1] < ends[2], f"they overtake each other: {ends}")
    want = sum(OWN) - AFTER[2]
    check(want * SERIAL <= answers[2].seconds <= want * OVERLAPPED * stage.relax,
          f"the third took {answers[2].seconds:.3f} s, not about {want:.3f} s")


def the_timeline_shows_what_was_waited_for(stage):
    run, _ = stage.run("serial")
    done = stage.weft.verb("timeline", "-n", 3, "-w", 200)
    check(done.returncode == 0, f"weft timeline ends with {done.returncode}: {done.stdout}")
    for i, bar in ((1, "s+"), (2, "p+s+"), (3, "p+s+")):
        check(re.search(rf"/run/{run}/{i} +{bar} +200 ", done.stdout), f"request {i} is not in it as {bar}: {done.stdout}")
    check("p pool queue" in done.stdout and "s sql" in done.stdout, f"the letters are not explained: {done.stdout}")
    svg = stage.front.fetch(f"/app/weft/timeline.svg?match=/{run}/&last=3")
    check(svg.is_ok and svg.headers.get("content-type") == "image/svg+xml", f"the SVG is {svg} {svg.headers}")
    text = svg.body.decode()
    check(text.lstrip().startswith("<svg") and text.rstrip().endswith("</svg>"), f"it is no SVG: {text[:200]!r}")
    for word in (f"/run/{run}/1", f"/run/{run}/3", "sql", "pool queue"):
        check(word in text, f"{word} is not in the SVG")
    everything = json.loads(stage.front.fetch(f"/app/weft/timeline.json?match=/{run}/").body)
    records = everything if isinstance(everything, list) else everything["requests"]
    check(len(records) == 3, f"{len(records)} records of three requests")


def wrong_numbers_are_refused(stage):
    check(stage.front.fetch("/app/run/x/4").status == 404, "request 4 is there")
    check(stage.front.fetch("/app/run/x/1?way=sideways").status == 400, "a way is taken that there is not")
    page = stage.front.fetch("/app/")
    check(page.is_ok and b"<html" in page.body, f"the page is {page}")


for front in ("lighttpd", "apache-proxy", "apache-fcgid"):
    for database in ("postgres", "sqlite"):
        for function in (overlapped_requests_take_their_own_time, one_at_a_time_they_take_the_sum,
                         the_timeline_shows_what_was_waited_for, wrong_numbers_are_refused):
            scenario(Waterfall, front, database, limit=60)(function)


class Shop(Stage):
    """The shop, with hello beside it; each scenario goes on with what is in the database."""

    def open(self):
        if not fronts.Lighttpd.is_there():
            raise Failure("no lighttpd here")
        database, cache = self.arguments
        if database == "postgres":
            self.suite.postgres.query("DROP TABLE IF EXISTS item; " + self.schema())
        self.cache = cache == "redis"
        self.weft = Weft(self.place, SHOP,
                         DB=self.suite.postgres.url if database == "postgres" else f"sqlite:{self.place.path('shop.sqlite')}",
                         CACHE="redis+unix://" + (self.suite.redis.socket if self.cache else self.place.path("no-redis.sock")))
        self.weft.start()
        if self.cache:
            self.suite.redis.ask("FLUSHALL")
        self.front = fronts.Lighttpd(self.place).start()

    @staticmethod
    def schema():
        return fronts.examples["shop/schema.sql"]

    def get(self, path, **more):
        return self.front.fetch("/app/shop" + path, **more)

    def add(self, name, price):
        return self.get("/item", method="POST", body=urllib.parse.urlencode({"name": name, "price": price}).encode(),
                        headers=[("Content-Type", "application/x-www-form-urlencoded")])

    def newest(self):
        """Its number in the list."""
        page = self.get("/")
        check(page.is_ok, f"the list is {page}")
        found = re.findall(r"href='item/(\d+)'", page.body.decode())
        check(found, f"nothing is in the list: {page}")
        return int(found[0])


def items_are_added_listed_and_shown(stage):
    name = "Schütz & <Söhne>'s \"weft\""
    answer = stage.add(name, "12.50")
    check(answer.status == 303 and answer.headers.get("location") == "./", f"POST is answered {answer} {answer.headers}")
    number = stage.newest()
    page = stage.get("/").body.decode()
    check("Schütz &amp; &lt;Söhne&gt;&#39;s &quot;weft&quot;" in page and "12.50" in page, f"the list is {page}")
    for views in (1, 2):
        answer = stage.get(f"/item/{number}")
        check(answer.is_ok and answer.headers.get("content-type") == "application/json", f"the item is {answer}")
        item = json.loads(answer.body)
        check(item["id"] == number and item["name"] == name and item["price"] == "12.50", f"the item is {item}")
        if stage.cache:
            check(item.get("views") == views, f"it was looked at {views} times: {item}")
        else:
            check("views" not in item and "not counted" in item["note"], f"without Redis it is {item}")


def what_is_no_item_is_refused(stage):
    for path in ("/item/999999", "/item/0", "/item/x", "/item/1;DROP%20TABLE%20item"):
        check(stage.get(path).status == 404, f"{path} is answered {stage.get(path)}")
    for name, price in (("", "1"), ("x" * 101, "1"), ("x", ""), ("x", "free"), ("x", "1.2"), ("x", "-1"), ("x", "99999999999")):
        answer = stage.add(name, price)
        check(answer.status == 400, f"{name!r} for {price!r} is answered {answer}")
    check(stage.get("/item", method="GET").status == 405, "GET /item is taken")
    name = "'); DROP TABLE item; --"
    check(stage.add(name, "1").status == 303, "a name is refused")
    check(json.loads(stage.get(f"/item/{stage.newest()}").body)["name"] == name, "a name is not kept as it is")


def hello_says_hello(stage):
    answer = stage.front.fetch("/app/hello/W%C3%B6rld%20%2F1")
    check(answer.is_ok and answer.body.decode() == "Hello, Wörld /1!\n", f"it says {answer}")
    check(answer.headers.get("content-type") == "text/plain; charset=utf-8", f"headers are {answer.headers}")


scenario(Shop, "sqlite", "alone")(hello_says_hello)
for arguments in (("sqlite", "alone"), ("postgres", "alone"), ("postgres", "redis")):
    for function in (items_are_added_listed_and_shown, what_is_no_item_is_refused):
        scenario(Shop, *arguments)(function)


class Dev(Stage):
    """weft dev, with an example's own configuration."""

    def open(self):
        self.processes = []

    def start(self, *words, **env):
        """Returns the process, and the port that its first line names."""
        with open(self.place.path("dev.log"), "ab") as log:
            child = subprocess.Popen([self.place.words["WEFT"], "dev", "-p", "0", *words], stdout=subprocess.PIPE, stderr=log,
                                     stdin=subprocess.DEVNULL, text=True, cwd=self.place.folder, env=dict(os.environ, **env))
        self.processes.append(child)
        line = child.stdout.readline()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\n", line)
        check(found is not None, f"it prints {line!r}")
        return child, int(found.group(1))

    def close(self):
        for child in self.processes:
            if child.poll() is None:
                child.kill()
            child.wait()
            child.stdout.close()
        return super().close()


@scenario(Dev)
def dev_serves_the_waterfall(stage):
    conf = stage.place.write("waterfall.conf", fronts.examples["waterfall/weft.conf"])
    child, port = stage.start("-c", conf, WEFT_MODULES=stage.place.words["MODULES"], WEFT_RUN=stage.place.folder)
    page = http.fetch(port, "/")
    check(page.is_ok and b"weft/timeline.svg" in page.body, f"the page is {page}")
    answer = http.fetch(port, "/run/x/3")
    check(answer.is_ok and answer.body.startswith(b"request 3: 150 ms"), f"request 3 is answered {answer}")
    check(answer.seconds < 0.5 * stage.relax, f"request 3 took {answer.seconds:.3f} s")
    svg = http.fetch(port, "/weft/timeline.svg?match=/x/")
    check(svg.is_ok and b"/run/x/3" in svg.body, f"the timeline is {svg}")
    child.send_signal(signal.SIGINT)
    check(child.wait(10) == 0, f"it ends with {child.returncode}")


@scenario(Dev)
def dev_serves_a_module_without_a_configuration(stage):
    child, port = stage.start(os.path.join(stage.place.words["MODULES"], "hello.so"))
    answer = http.fetch(port, "/hello/weft")
    check(answer.is_ok and answer.body == b"Hello, weft!\n", f"it says {answer}")
    child.terminate()
    check(child.wait(10) == 0, f"it ends with {child.returncode}")


@scenario(Dev)
def examples_pass_weft_check(stage):
    for name in ("hello", "probe", "waterfall", "shop", "bank", "techempower"):
        conf = stage.place.write(f"{name}.conf", fronts.examples[f"{name}/weft.conf"])
        done = subprocess.run([stage.place.words["WEFT"], "check", "-c", conf], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=20, check=False, cwd=stage.place.folder,
                              env=dict(os.environ, WEFT_MODULES=stage.place.words["MODULES"], WEFT_RUN=stage.place.folder))
        check(done.returncode == 0, f"{name}: {done.stdout}")


@scenario(Dev)
def a_module_cut_short_is_refused(stage):
    """What a linker has not finished yet: a sentence, not a crash."""
    whole = os.path.join(stage.place.words["MODULES"], "hello.so")
    half = stage.place.path("half.so")
    shutil.copy(whole, half)
    os.truncate(half, 6000)
    done = subprocess.run([stage.place.words["WEFT"], "dev", "-p", "0", half], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=20, check=False, cwd=stage.place.folder)
    check(done.returncode == 1 and "the file is cut short" in done.stdout, f"it ends with {done.returncode}: {done.stdout}")
