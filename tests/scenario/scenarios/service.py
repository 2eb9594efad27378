# SPDX-License-Identifier: ISC
"""An HTTP service as a back end: its waits overlap, it dies under load, and its long answers are passed on."""
from lib import http
from lib.backends import Service
from lib.fronts import Nginx
from lib.place import Failure, check, wait_until
from lib.suite import Stage, scenario
from lib.weft import FEW, PROBE, SERVICE, Weft
from scenarios.examples import AFTER, OVERLAPPED, OWN, fetch_at
from scenarios.faults import check_backend_dies
from scenarios.load import AT_ONCE, BOUND, WAIT

LARGE = 20000000
FEW_MAX = 5


class Serving(Stage):
    """weft with a pool of an HTTP service, behind nginx."""
    conf = SERVICE

    def open(self):
        self.service = Service()
        if not Nginx.is_there():
            raise Failure("no nginx here")
        self.service.start()
        self.weft = Weft(self.place, self.conf, SERVICE=self.service.port).start()
        self.front = Nginx(self.place).start()
        wait_until(lambda: self.get("op=http&ms=0").is_ok, "the service answers through weft", 15, 0.05)

    def is_healthy(self):
        return self.service.is_up()

    def close(self):
        wrong = super().close()
        self.service.kill()
        return wrong

    def get(self, query, **more):
        return self.front.fetch(f"{PROBE}?{query}", **more)


@scenario(Serving)
def three_requests_take_their_own_time(stage):
    """Three requests that overlap, the shortest last: it is answered first."""
    wait = [f"op=http&ms={own * 1000:.0f}" for own in OWN]
    for answer in stage.front.fetch_all([f"{PROBE}?{query}" for query in wait]):     # connections are there
        check(answer.is_ok, f"answered {answer}")
    answers = fetch_at([(after, lambda query=query: stage.get(query)) for after, query in zip(AFTER, wait)])
    for answer, own in zip(answers, OWN):
        check(answer.is_ok and answer.body == b"waited %d ms" % round(own * 1000), f"a request of {own} s is answered {answer}")
        check(own * 0.99 <= answer.seconds <= own * OVERLAPPED * stage.relax, f"a request of {own} s took {answer.seconds:.3f} s")
    ends = [answer.at + answer.seconds for answer in answers]
    check(ends[2] < ends[1] < ends[0], f"the short one is not answered first: {ends}")
    done = stage.weft.verb("timeline", "-n", 3)
    check("http" in done.stdout, f"the timeline does not say what was waited for: {done.stdout}")


@scenario(Serving, limit=60)
def two_hundred_requests_overlap(stage):
    pid = stage.weft.worker()
    paths = [f"{PROBE}?op=http&ms={WAIT}"] * AT_ONCE
    stage.front.fetch_all(paths)        # connections are there
    answers = stage.front.fetch_all(paths)
    bad = [answer for answer in answers if not answer.is_ok]
    check(not bad, f"{len(bad)} of {AT_ONCE} failed, such as {bad[:1]}")
    slowest = http.percentile(answers, 1)
    print(f"# {AT_ONCE} requests of {WAIT} ms: the slowest took {slowest * 1000:.0f} ms")
    check(slowest <= BOUND * stage.relax, f"the slowest took {slowest:.3f} s")
    check(stage.weft.worker() == pid, "another process answers now")


@scenario(Serving, limit=60)
def service_dies(stage):
    check_backend_dies(stage, "op=http&ms=1", "service", stage.service.kill, stage.service.start)


@scenario(Serving)
def a_long_answer_is_passed_on(stage):
    answer = stage.get(f"op=relay&n={LARGE}")
    check(answer.is_ok, f"it is answered {answer.status} {answer.error}")
    check(answer.body == (b"0123456789abcdef" * (LARGE // 16 + 1))[:LARGE], f"{len(answer.body)} bytes came, not as they were")


class Sharing(Serving):
    """The same with three workers, which share five connections."""
    conf = FEW


@scenario(Sharing, limit=60)
def the_service_sees_max_connections_at_most(stage):
    """Also when a worker has had them and another one needs them."""
    for _ in range(8):
        for at_once in (1, 7, 30):
            answers = stage.front.fetch_all([f"{PROBE}?op=http&ms=5"] * at_once)
            bad = [answer for answer in answers if not answer.is_ok]
            check(not bad, f"{len(bad)} of {at_once} failed, such as {bad[:1]}")
    most = int(http.fetch(stage.service.port, "/most").body)
    print(f"# max is {FEW_MAX}: the service has seen {most}")
    check(most <= FEW_MAX, f"max is {FEW_MAX}, and the service has seen {most} at once")
