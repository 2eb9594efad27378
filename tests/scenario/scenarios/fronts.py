# SPDX-License-Identifier: ISC
"""The same requests through every web server."""
import hashlib
import random

from lib import fronts
from lib.place import Failure, check, wait_until
from lib.suite import Stage, scenario
from lib.weft import BASIC, PROBE, SPAWNED, Weft


class Front(Stage):
    """One web server with weft behind it."""

    def open(self):
        kind = fronts.ALL[self.arguments[0]]
        if not kind.is_there():
            raise Failure(f"no {kind.program} here")
        self.weft = Weft(self.place, SPAWNED if kind.is_spawning else BASIC)
        if not kind.is_spawning:
            self.weft.start()
        self.front = kind(self.place).start()
        wait_until(lambda: self.get("op=ok").is_ok, "a request passes", 15, 0.05)

    def get(self, query, **more):
        return self.front.fetch(f"{PROBE}?{query}", **more)

    def post(self, query, body, **more):
        return self.get(query, method="POST", body=body, **more)


def noise(size):
    return random.Random(size).randbytes(size)


def check_ok(answer):
    check(answer.is_ok, f"answered {answer}")


def ok(stage):
    answer = stage.get("op=ok")
    check_ok(answer)
    check(answer.body.strip() == b"ok", f"body is {answer.body!r}")
    check(answer.headers.get("content-type", "").startswith("text/plain"), f"headers are {answer.headers}")


def echo_of_1_mb(stage):
    body = noise(1 << 20)
    answer = stage.post("op=echo", body)
    check_ok(answer)
    check(answer.body == body, f"{len(answer.body)} bytes came back, not the same {len(body)}")


def echo_of_an_empty_body(stage):
    answer = stage.post("op=echo", b"")
    check_ok(answer)
    check(answer.body == b"", f"body is {answer.body[:100]!r}")


def echo_of_a_chunked_body(stage):
    """Its length is not known before its end."""
    body = noise(300000)
    answer = stage.post("op=echo", body, chunked=True)
    check_ok(answer)
    check(answer.body == body, f"{len(answer.body)} bytes came back, not the same {len(body)}")


def variables_of_the_request(stage):
    for method, name, want in (("GET", "QUERY_STRING", "op=env&name=QUERY_STRING"),
                               ("GET", "REQUEST_METHOD", "GET"),
                               ("POST", "REQUEST_METHOD", "POST"),
                               ("GET", "REQUEST_URI", f"{PROBE}?op=env&name=REQUEST_URI")):
        answer = stage.get(f"op=env&name={name}", method=method, body=b"x" if method == "POST" else None)
        check_ok(answer)
        check(answer.body.decode().strip() == want, f"{name} of {method} is {answer.body!r}")


def a_header_of_the_client(stage):
    answer = stage.get("op=env&name=HTTP_X_SCENARIO", headers=[("X-Scenario", "warp and weft")])
    check_ok(answer)
    check(answer.body.strip() == b"warp and weft", f"it is {answer.body!r}")


def answer_of_5_mb(stage):
    size = 5 << 20
    answers = [stage.get(f"op=big&n={size}") for _ in range(2)]
    for answer in answers:
        check_ok(answer)
        check(len(answer.body) == size, f"{len(answer.body)} bytes, not {size}")
    sums = {hashlib.sha256(answer.body).hexdigest() for answer in answers}
    check(len(sums) == 1, "two answers to one question differ")


def length_of_a_body(stage):
    for size in (1, 8192, 65535, 65536, 200001):
        answer = stage.post("op=length", noise(size))
        check_ok(answer)
        check(answer.body.strip() == str(size).encode(), f"the length of {size} bytes is {answer.body[:100]!r}")


def head(stage):
    answer = stage.get("op=big&n=1000", method="HEAD")
    check_ok(answer)
    check(answer.body == b"", f"it has a body: {answer.body[:100]!r}")


def answer_before_the_body(stage):
    """The handler does not look at the body."""
    answer = stage.post("op=ok", noise(1 << 20))
    check_ok(answer)
    check(answer.body.strip() == b"ok", f"body is {answer.body!r}")


def no_such_page(stage):
    answer = stage.front.fetch("/app/no-such-page")
    check(answer.status == 404 and answer.error is None, f"answered {answer}")


def lines_on_stderr(stage):
    """What a handler logs does not end up in its answer, and does not stop it."""
    answer = stage.get("op=stderr&n=50")
    check(answer.status == 200 and answer.error is None, f"answered {answer}")


for front in fronts.ALL:
    for function in (ok, echo_of_1_mb, echo_of_an_empty_body, echo_of_a_chunked_body, variables_of_the_request,
                     a_header_of_the_client, answer_of_5_mb, length_of_a_body, head, answer_before_the_body,
                     no_such_page, lines_on_stderr):
        if fronts.ALL[front].takes_chunked or function is not echo_of_a_chunked_body:
            scenario(Front, front)(function)


@scenario(Front, "haproxy")
def few_connections_for_100_at_once(stage):
    """It multiplexes: 50 requests to a connection, as its configuration says, and a few more for its threads."""
    began = stage.weft.status()["served"]
    with stage.front.load([f"{PROBE}?op=sleep&ms=500"], at_once=100) as load:
        wait_until(lambda: stage.weft.status()["requests"] >= 100, "100 requests wait")
        seen = stage.weft.status()
        answers = load.end()
    print(f"# {seen['requests']} requests at once over {seen['connections']} connections")
    check(all(answer.is_ok for answer in answers), "not all were answered")
    check(seen["connections"] <= 8, f"{seen['requests']} requests took {seen['connections']} connections")
    check(stage.weft.status()["served"] >= began + 100, "they went elsewhere")


@scenario(Front, "haproxy", limit=90)
def ids_of_a_connection_start_over(stage):
    """HAProxy counts 1, 3, 5 …: after 32768 requests a connection's ids are used up."""
    total, at_once, most = 70000, 80, 0
    before = stage.weft.status()
    for _ in range(total // 2000):
        answers = []
        for _ in range(2000 // at_once):
            answers += stage.front.fetch_all([f"{PROBE}?op=ok"] * at_once)
        bad = [answer for answer in answers if not answer.is_ok]
        check(not bad, f"{len(bad)} failed, such as {bad[:1]}")
        most = max(most, stage.weft.status()["connections"])
    after = stage.weft.status()
    print(f"# {after['served'] - before['served']} requests over {most} connections")
    check(after["served"] - before["served"] >= total, f"only {after['served'] - before['served']} of them")
    check(most <= 4, f"{most} connections")
