# SPDX-License-Identifier: ISC
"""What an operator does to weft, and what happens to it."""
import os
import re
import signal
import threading
import time

from lib import fcgi, stalls
from lib.fronts import ApacheCgi, ApacheFcgid, LighttpdCgi, LighttpdSpawn, Nginx
from lib.place import Failure, check, wait_until
from lib.suite import Stage, scenario
from lib.weft import BASIC, PROBE, SPAWNED, Weft


class Background:
    """Requests that are under way while the scenario goes on."""

    def __init__(self, function, *arguments):
        self.results = None
        self.thread = threading.Thread(target=self.run, args=(function, arguments), daemon=True)
        self.thread.start()

    def run(self, function, arguments):
        self.results = function(*arguments)

    def wait(self, limit=20.0):
        self.thread.join(limit)
        check(self.results is not None, "requests under way were not answered")
        return self.results


class Operate(Stage):
    """weft behind nginx; each scenario begins with a running one."""

    def open(self):
        if not Nginx.is_there():
            raise Failure("no nginx here")
        self.weft = Weft(self.place).start()
        self.front = Nginx(self.place).start()

    def is_healthy(self):
        return self.weft.process.is_alive() and self.weft.is_up()

    def get(self, query, **more):
        return self.front.fetch(f"{PROBE}?{query}", **more)


class Slow(Stage):
    """A handler that computes."""

    may_stall = True

    def open(self):
        self.weft = Weft(self.place).start()


@scenario(Slow)
def who_holds_the_loop_up_is_named(stage):
    """By handler and function, in the log."""
    def found():
        return stalls.find(stage.place.folder, stage.place.words["WEFT"])

    check(stage.weft.ask("op=compute&ms=10").code == 200 and not found(), f"10 ms are named: {found()}")
    check(stage.weft.ask(f"op=compute&ms={stalls.LIMIT * stage.relax * 3:.0f}").code == 200, "it is not answered")
    wait_until(lambda: "stall over" in stage.weft.process.log_text(), "the end of it is told")
    check(len(found()) == 1 and "/app/probe" in found()[0] and "app_" in found()[0], f"it is told so: {found()}")


def check_answers_then_ends(stage, end):
    sleepers = Background(stage.front.fetch_all, [f"{PROBE}?op=sleep&ms=800"] * 20)
    time.sleep(0.3)
    began = time.monotonic()
    status = end()
    for answer in sleepers.wait():
        check(answer.is_ok, f"a request that was under way is answered {answer}")
    check(status == 0, f"the exit status is {status}")
    check(0.2 < time.monotonic() - began < 3 * stage.relax, f"it took {time.monotonic() - began:.1f} s")
    check(not os.path.exists(stage.place.path("control.sock")), "the control socket is still there")


@scenario(Operate)
def sigterm_ends_after_the_answers(stage):
    check_answers_then_ends(stage, stage.weft.stop)


@scenario(Operate)
def stop_ends_after_the_answers(stage):
    def end():
        done = stage.weft.verb("stop")
        check(done.returncode == 0, f"weft stop: {done.stdout}")
        return stage.weft.process.child.wait(15)
    check_answers_then_ends(stage, end)


@scenario(Operate)
def a_killed_worker_is_replaced(stage):
    master = stage.weft.process.pid
    for _ in range(3):
        before = stage.weft.worker()
        check(before != master, "the master itself answers")
        os.kill(before, signal.SIGKILL)
        wait_until(lambda: stage.weft.is_up() and stage.weft.worker() != before, "another worker answers",
                   3 * stage.relax)
    check(stage.weft.process.is_alive(), "the master ended")


def ask_or_fail(stage, query):
    """Returns the reply, or a text that says why there is none."""
    try:
        return stage.weft.ask(query)
    except (Failure, OSError) as failure:
        return str(failure)


@scenario(Operate, limit=60)
def a_killed_worker_loses_only_its_own_requests(stage):
    """Of two workers under load one is killed: what was under way in it fails, and nothing else."""
    two = Weft(stage.place, BASIC.replace("workers = 1", "workers = 2"), "two.conf")
    stage.weft.stop()
    stage.weft = two.start()
    # Not through nginx, which quietly asks again where a connection that it had kept breaks.
    for _ in range(5):
        sleepers = [Background(ask_or_fail, stage, "op=sleep&ms=1000") for _ in range(20)]
        time.sleep(0.4)
        before = stage.weft.worker()
        os.kill(before, signal.SIGKILL)
        answers = [sleeper.wait() for sleeper in sleepers]
        good = [answer for answer in answers if not isinstance(answer, str)]
        print(f"# {20 - len(good)} of 20 requests were in the worker that was killed")
        check(all(answer.code == 200 for answer in good), "a request of the other worker is not answered well")
        # Who takes a connection is the kernel's choice: both should have had some.
        if 0 < len(good) < 20:
            break
    else:
        raise Failure("a killed worker takes all requests with it, or none")
    seen = set()
    wait_until(lambda: seen.add(stage.weft.worker()) or len(seen) == 2, "there are two workers again", 5 * stage.relax)
    check(before not in seen, "the killed one answers")
    stage.weft.stop()       # the next scenario begins with one worker again


def shared_out(weft, count):
    """Keep so many connections.  Returns how many of them each worker has, the fewest first."""
    conns = [fcgi.Connection(weft.socket) for _ in range(count)]
    try:
        answers = [[], []]
        for answer in answers:
            for conn in conns:
                conn.send(fcgi.request(1, PROBE + "?op=pid"))
                answer.append(conn.gather([1])[1].body)
        check(answers[0] == answers[1], "another worker answers on the same connection")
        return sorted(answers[0].count(pid) for pid in set(answers[0]))
    finally:
        for conn in conns:
            conn.close()


@scenario(Operate)
def workers_share_the_connections_that_are_kept(stage):
    """Whoever wakes first accepts; the one that has more hands on, unless the other does not wake for a while."""
    stage.weft.stop()
    stage.weft = Weft(stage.place, BASIC.replace("workers = 1", "workers = 2"), "two.conf").start()
    try:
        for _ in range(3):
            counts = shared_out(stage.weft, 40)
            print(f"# {counts} connections")
            if len(counts) == 2 and counts[0] >= 10:
                return
        raise Failure(f"40 connections are shared out as {counts}")
    finally:
        stage.weft.stop()       # the next scenario begins with one worker again


@scenario(Operate)
def reload_loses_no_request(stage):
    before = stage.weft.worker()
    with stage.front.load([f"{PROBE}?op=ok", f"{PROBE}?op=sleep&ms=100"], at_once=8) as load:
        time.sleep(0.3)
        for _ in range(2):
            done = stage.weft.verb("reload")
            check(done.returncode == 0, f"weft reload: {done.stdout}")
            time.sleep(0.5)
        answers = load.end()
    bad = [answer for answer in answers if not answer.is_ok]
    check(not bad, f"{len(bad)} of {len(answers)} failed, such as {bad[:1]}")
    wait_until(lambda: stage.weft.worker() != before, "a new worker answers", 5 * stage.relax)


@scenario(Operate)
def reload_refuses_a_bad_configuration(stage):
    with open(stage.weft.conf) as file:
        good = file.read()
    before = stage.weft.worker()
    try:
        stage.place.write("weft.conf", good + "no_such_key = 1\n")
        done = stage.weft.verb("reload")
        check(done.returncode != 0, "it is taken")
        check(stage.weft.worker() == before, "the worker was replaced all the same")
    finally:
        stage.place.write("weft.conf", good)


class Launched(Stage):
    """weft under a soft limit of open files."""

    def open(self):
        self.weft = Weft(self.place, launcher=["prlimit", "--nofile=128:4096"]).start()


@scenario(Launched)
def more_open_files_than_the_soft_limit(stage):
    idle = [fcgi.Connection(stage.weft.socket) for _ in range(1000)]
    try:
        check(stage.weft.ask("op=ok").code == 200, "it serves no more")
        check(stage.weft.status()["connections"] >= 1000, "not all are accepted")
    finally:
        for conn in idle:
            conn.close()


@scenario(Operate)
def status_says_what_runs(stage):
    done = stage.weft.verb("status")
    check(done.returncode == 0, f"it ends with {done.returncode}: {done.stdout}")
    check(str(stage.weft.worker()) in done.stdout, f"the worker is not in it: {done.stdout}")


@scenario(Operate)
def status_of_nothing(stage):
    stage.weft.stop()
    done = stage.weft.verb("status")
    check(done.returncode != 0, "it ends with 0 though nothing runs")
    check(done.stdout.strip() != "", "it says nothing")


@scenario(Operate)
def timeline_shows_requests(stage):
    for _ in range(3):
        stage.get("op=sleep&ms=50")
    done = stage.weft.verb("timeline")
    check(done.returncode == 0, f"it ends with {done.returncode}: {done.stdout}")
    check("/probe" in done.stdout, f"the requests are not in it: {done.stdout[:500]}")


BAD = {
    "an unknown key": ('no_such_key = 1', ""),
    "an unknown key in a section": ('listen "x" { address = "unix:@RUN@/x.sock"  colour = "red" }', ""),
    "an unknown section": ('loom "x" { width = 1 }', ""),
    "a word that is no number": ('workers = "many"', ""),
    "a pool without a known scheme": ('pool "x" { url = "carrier-pigeon://loft"  max = 1 }', ""),
    "a mode that is none": ('listen "x" { address = "unix:@RUN@/x.sock"  mode = "rw" }', ""),
    "a module that is not there": ('module "x" { file = "@RUN@/no-such.so"  prefix = "/x" }', "no-such.so"),
    "a section that does not end": ('listen "x" {', ""),
}


@scenario(Operate)
def check_names_file_and_line(stage):
    for what, (line, word) in BAD.items():
        text = BASIC + "\n# the next line is wrong\n" + line + "\n"
        number = text.count("\n")
        done = Weft(stage.place, text, "bad.conf").verb("check")
        check(done.returncode > 0, f"{what} is taken ({done.returncode})")
        lines = [int(n) for n in re.findall(r"bad\.conf:(\d+)", done.stdout)]
        # What does not end is found at the end.
        check(any(number <= n <= number + 1 for n in lines), f"{what} in line {number}: {done.stdout!r}")
        check(word in done.stdout, f"{what}: {done.stdout!r}")


@scenario(Operate)
def check_takes_a_good_configuration(stage):
    done = stage.weft.verb("check")
    check(done.returncode == 0, f"it ends with {done.returncode}: {done.stdout}")


@scenario(Operate)
def serve_refuses_a_bad_configuration(stage):
    done = Weft(stage.place, BASIC + "no_such_key = 1\n", "bad.conf").verb("serve")
    check(done.returncode > 0, f"it ends with {done.returncode}")
    check("bad.conf:" in done.stdout, f"it says {done.stdout!r}")
    check(stage.weft.is_up(), "the one that runs was hit")


class Gates(Stage):
    """Apache with mod_fcgid: gates."""

    def open(self):
        if not ApacheFcgid.is_there():
            raise Failure("no apache here")
        self.weft = Weft(self.place).start()
        self.front = ApacheFcgid(self.place).start()
        wait_until(lambda: self.get("op=ok").is_ok, "a request passes", 15, 0.05)

    def get(self, query, **more):
        return self.front.fetch(f"{PROBE}?{query}", **more)

    def is_healthy(self):
        return self.weft.process.is_alive() and self.weft.is_up()


@scenario(Gates, limit=60)
def gates_come_back_to_a_new_server(stage):
    """Requests that come while there is no server wait for the next one."""
    stage.front.fetch_all([f"{PROBE}?op=sleep&ms=300"] * 20)
    stage.weft.kill()
    waiting = Background(stage.front.fetch_all, [f"{PROBE}?op=ok"] * 5)
    time.sleep(1.0)
    stage.weft.start()
    for answer in waiting.wait():
        check(answer.is_ok, f"a request that waited is answered {answer}")
    for answer in stage.front.fetch_all([f"{PROBE}?op=ok"] * 20):
        check(answer.is_ok, f"a request after it is answered {answer}")


@scenario(Gates, limit=60)
def gates_survive_an_orderly_restart(stage):
    stage.front.fetch_all([f"{PROBE}?op=sleep&ms=300"] * 10)
    sleepers = Background(stage.front.fetch_all, [f"{PROBE}?op=sleep&ms=800"] * 5)
    time.sleep(0.3)
    check(stage.weft.stop() == 0, "it does not end with 0")
    stage.weft.start()
    for answer in sleepers.wait():
        check(answer.is_ok, f"a request under way is answered {answer}")
    check(stage.get("op=ok").is_ok, "no request passes after it")


@scenario(Gates, limit=60)
def gates_are_warmed(stage):
    done = stage.weft.verb("warm", 50, f"http://127.0.0.1:{stage.front.port}{PROBE}?op=sleep&ms=1000", limit=50)
    check(done.returncode == 0, f"weft warm ends with {done.returncode}: {done.stdout}")
    answers = stage.front.fetch_all([f"{PROBE}?op=sleep&ms=300"] * 50)
    slowest = max(answer.seconds for answer in answers)
    check(all(answer.is_ok for answer in answers), f"one is answered {[a for a in answers if not a.is_ok][:1]}")
    check(slowest < 0.45 * stage.relax, f"after it, 50 requests of 300 ms take {slowest:.2f} s")


@scenario(Gates, limit=60)
def gates_outlive_a_graceful_restart_of_apache(stage):
    """The server owns what it has accepted."""
    sleepers = Background(stage.front.fetch_all, [f"{PROBE}?op=sleep&ms=800"] * 5)
    time.sleep(0.4)
    os.kill(stage.front.process.pid, signal.SIGUSR1)
    for answer in sleepers.wait():
        check(answer.is_ok, f"a request under way is answered {answer}")
    wait_until(lambda: stage.get("op=ok").is_ok, "requests pass again", 10 * stage.relax, 0.05)


class Cgi(Stage):
    """Plain CGI."""

    def open(self):
        kind = {"apache": ApacheCgi, "lighttpd": LighttpdCgi}[self.arguments[0]]
        if not kind.is_there():
            raise Failure(f"no {kind.program} here")
        self.weft = Weft(self.place).start()
        self.front = kind(self.place).start()

    def get(self, query, **more):
        return self.front.fetch(f"{PROBE}?{query}", **more)


def cgi_without_a_server(stage):
    stage.weft.stop()
    began = time.monotonic()
    answer = stage.get("op=ok")
    took = time.monotonic() - began
    check(answer.status == 503, f"it answers {answer}")
    check(4 < took < 8 * stage.relax, f"it says so after {took:.1f} s")


def cgi_waits_for_a_restart(stage):
    if stage.weft.process.is_alive():
        stage.weft.stop()
    waiting = Background(stage.get, "op=ok")
    time.sleep(1.0)
    stage.weft.start()
    check(waiting.wait().is_ok, f"a request that waited is answered {waiting.results}")


for front in ("apache", "lighttpd"):
    for function in (cgi_without_a_server, cgi_waits_for_a_restart):
        scenario(Cgi, front)(function)


class Spawned(Stage):
    """lighttpd starts weft."""

    def open(self):
        if not LighttpdSpawn.is_there():
            raise Failure("no lighttpd here")
        self.weft = Weft(self.place, SPAWNED)
        self.front = LighttpdSpawn(self.place).start()
        wait_until(lambda: self.get("op=ok").is_ok, "a request passes", 15, 0.05)

    def get(self, query, **more):
        return self.front.fetch(f"{PROBE}?{query}", **more)


@scenario(Spawned)
def a_spawned_worker_is_replaced(stage):
    before = int(stage.get("op=pid").body)
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: stage.get("op=pid").body.strip() not in (b"", str(before).encode()) and stage.get("op=ok").is_ok,
               "another worker answers", 10 * stage.relax, 0.05)


@scenario(Spawned)
def a_spawned_server_ends_with_lighttpd(stage):
    pid = int(stage.get("op=pid").body)
    stage.front.process.child.terminate()
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), "the worker ends", 10 * stage.relax)
