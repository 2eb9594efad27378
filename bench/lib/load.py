# SPDX-License-Identifier: ISC
"""The load generators: weft bench for what speaks FastCGI, wrk for what speaks HTTP.

Each takes (bench, case, subject), begins with a plain request whose answer is compared, and returns what it found as
a dictionary: cpu (of a request) and p50, p99 (of latency) in microseconds, pss in KiB, per_second, answered.
wrk's has cpu_front as well, the first process's share of cpu: that is the web server's, where one stands in front.
"""
import encodings.idna   # noqa: F401  (Python loads it when it connects, which may be too late for who is www-data now)
import json
import random
import signal
import subprocess
import time
from http.client import HTTPConnection

from lib import fcgi
from lib.backends import ROWS
from lib.place import Failure

from . import tree
from .cases import QUESTIONS


def check(case, subject, ask):
    """One plain request.  ask(uri) returns its body."""
    number = random.randint(1, ROWS)
    body = ask(subject.uri(case).replace("%r", str(number)))
    is_right = body == subject.body(case) if subject.body(case) else QUESTIONS[case.asks].is_right(body, number)
    if not is_right:
        raise Failure(f"the answer is {body!r}")


def finish(process, limit):
    """Returns its standard output and error."""
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    if process.returncode != 0:
        raise Failure(f"{out}{err}")
    return out, err


def start(argv):
    return subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def fastcgi(bench, case, subject):
    variables = subject.variables(case)
    check(case, subject, lambda uri: fcgi.ask(subject.socket, uri, **variables).body.decode())
    argv = [bench.words["WEFT"], "bench", "-a", subject.address, "-P", str(subject.process.pid), "-j",
            "-t", str(bench.options.seconds), "-k", str(case.connections), "-u", subject.uri(case)]
    argv += [] if case.is_kept else ["-K"]
    argv += ["-e", subject.body(case)] if subject.body(case) else []
    for name, value in variables.items():
        argv += ["-v", f"{name}={value}"]
    found = json.loads(finish(start(argv), bench.options.seconds + 30)[0])
    return {"cpu": found["server"]["cpu"], "pss": found["server"]["pss"], "per_second": found["per_second"],
            "p50": found["latency"]["p50"], "p99": found["latency"]["p99"], "answered": found["answered"]}


def ask_http(address, uri):
    """Twice on one connection, which has to be kept: it is not opened again."""
    conn = HTTPConnection(address, timeout=10)
    for _ in range(2):
        conn.request("GET", uri)
        conn.auto_open = 0
        answer = conn.getresponse()
        body = answer.read().decode()
        if answer.status != 200:
            raise Failure(f"status {answer.status}: {body[:200]}")
    conn.close()
    return body


def http(bench, case, subject):
    check(case, subject, lambda uri: ask_http(subject.address, uri))
    # It takes whole seconds only; an interrupt ends it sooner, with its figures.
    argv = ["wrk", "-t", "1", "-c", str(case.connections), "-d", f"{bench.options.seconds + 10:.0f}",
            "-s", bench.program("wrk.lua"), f"http://{subject.address}/", "--",
            subject.uri(case), "keep" if case.is_kept else "close", str(ROWS)]
    before = [tree.cpu([pid]) for pid in subject.pids()]
    wrk = start(argv)
    time.sleep(bench.options.seconds)
    wrk.send_signal(signal.SIGINT)
    out, err = finish(wrk, 30)
    used = [tree.cpu([pid]) - was for pid, was in zip(subject.pids(), before)]
    found = json.loads(err.splitlines()[-1])
    if found["errors"] or not found["answered"]:
        raise Failure(f"wrk: {out}")
    return {"cpu": sum(used) / found["answered"] * 1e6, "cpu_front": used[0] / found["answered"] * 1e6,
            "pss": tree.pss(subject.pids()), "per_second": found["answered"] / found["seconds"],
            "p50": found["p50"], "p99": found["p99"], "answered": found["answered"]}
