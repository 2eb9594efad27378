# SPDX-License-Identifier: ISC
"""The load generators: weft bench for what speaks FastCGI.

Each takes (bench, case, subject) and returns what it found as a dictionary:
cpu and latencies in microseconds, pss in KiB.
"""
import json
import random
import subprocess

from lib import fcgi
from lib.place import Failure

from .cases import QUESTIONS


def run(argv, limit):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=limit, check=False)
    if done.returncode != 0:
        raise Failure(f"{done.stdout}{done.stderr}")
    return done.stdout


def check(case, subject, ask):
    """One plain request before a measurement.  ask(uri) returns its body."""
    number = random.randint(1, 9999)
    body = ask(subject.uri(case).replace("%r", str(number)))
    is_right = body == subject.body(case) if subject.body(case) else QUESTIONS[case.asks].is_right(body, number)
    if not is_right:
        raise Failure(f"the answer is {body!r}")


def fastcgi(bench, case, subject):
    variables = dict(variable.split("=", 1) for variable in subject.variables)
    check(case, subject, lambda uri: fcgi.ask(subject.address.partition(":")[2], uri, **variables).body.decode())
    argv = [bench.words["WEFT"], "bench", "-a", subject.address, "-P", str(subject.pids()[0]), "-j",
            "-t", str(bench.options.seconds), "-k", str(case.connections), "-u", subject.uri(case)]
    argv += [] if case.is_kept else ["-K"]
    argv += ["-e", subject.body(case)] if subject.body(case) else []
    for variable in subject.variables:
        argv += ["-v", variable]
    found = json.loads(run(argv, bench.options.seconds + 30))
    return {"cpu": found["server"]["cpu"], "per_second": found["per_second"], "pss": found["server"]["pss"],
            "p50": found["latency"]["p50"], "p99": found["latency"]["p99"], "answered": found["answered"]}
