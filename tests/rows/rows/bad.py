# SPDX-License-Identifier: ISC
"""B01 to B24: the inputs that broke other implementations."""
import json
import os
import random
import re
import signal
import struct
import subprocess
import time

from lib import fcgi
from lib.fcgi import GET_VALUES, PARAMS, STDIN, STDOUT
from lib.place import check, free_port, wait_until

from . import framing, head, life, management, variables as cgi
from .framing import FAKE, params
from .peer import G, Peer, ask, begin, end, keep, nv, record, variables
from .stage import HEAD, Plain, Server, row


@row(Plain)
def b01_lengths_that_overflow(stage):
    """Refused as cut short, and nothing is allocated by a length that was only announced."""
    cases = [b"\xff" * 8 + b"A" * 500]
    for name, value in ((0x7ffffffe, 4), (0x40000000, 0x40000000), (0x7fffffff, 1), (0x7fffffff, 0x7fffffff), (1, 0x7fffffff)):
        cases.append(struct.pack(">II", name | 1 << 31, value | 1 << 31) + b"A" * 500)
    with stage.peer() as p:
        p.send(keep(G))
        p.hello()
        before = stage.memory()
        for pair in cases * 20:
            for pairs in (pair, variables("op=ok") + pair):
                p.send(begin(flags=1), params(pairs), record(STDIN, 1))
                check(p.answer().code == 400, f"{pair[:8]!r} is taken")
        check(stage.memory() - before < 1 << 20 or stage.relax > 1, f"{stage.memory() - before} bytes more")
        p.send(keep(G))
        p.hello()
    stage.alive()


@row(Plain)
def b02_a_reply_for_each_name(stage):
    management.m03_one_name_many_times(stage)


@row(Plain)
def b03_skipped_records(stage):
    life.l11_an_empty_record_of_an_id_that_is_not(stage)
    framing.a04_padding_on_empty_records(stage)
    management.m01_values_alone(stage)
    management.m06_an_unknown_type(stage)


@row(Plain, limit=30)
def b04_more_than_1024_descriptors(stage):
    peers = []
    try:
        for _ in range(1100):
            peers.append(stage.peer())
        wait_until(lambda: stage.descriptors() > 1100, "all are accepted")
        for one in (peers[-1], peers[0], peers[1050]):
            one.send(G)
            one.hello()
    finally:
        for one in peers:
            one.close()
    wait_until(lambda: stage.descriptors() < 100, "all are closed")
    names = subprocess.run(["nm", "-D", stage.place.words["WEFT"]], stdout=subprocess.PIPE, text=True, check=True).stdout
    if stage.relax == 1:        # sanitizers wrap it
        check(not re.search(r"\b(select|pselect|__fdelt_chk)\b", names), "it calls select()")


class ManyBackEnds(Server):
    """A pool of more than 1024 connections."""

    conf = HEAD + 'pool "fake" { url = "redis+unix://@RUN@/redis.sock"  max = 1100  min = 1100 }\n'

    def open(self):
        self.redis = life.FakeRedis(self.place.path("redis.sock"))
        self.redis.listener.listen(2048)
        super().open()

    def close(self):
        self.redis.close()
        return super().close()


@row(ManyBackEnds, limit=40)
def b04_more_than_1024_back_ends(stage):
    wait_until(lambda: stage.descriptors() > 1100, "all are connected", 20 * stage.relax)
    with stage.peer() as p:
        for i in range(1, 101):
            p.send(ask(f"op=redis&key=key{i}", number=i, flags=1))
        for i, a in p.answers(range(1, 101)).items():
            check(a.body == b"key%d" % i, f"{a.out!r}")
    stage.alive()


@row(Plain)
def b05_names_without_a_name(stage):
    with stage.peer() as p:
        p.send(record(GET_VALUES, 0, nv(b"", b"") + nv(b"=", b"") + nv(b"", b"x")))
        p.exactly(record(fcgi.GET_VALUES_RESULT, 0))
        p.send(begin(flags=1), params(variables("op=ok") + nv(b"", b"")), record(STDIN, 1))
        p.hello()
        p.send(begin(flags=1), params(variables("op=ok") + nv(b"=", b"")), record(STDIN, 1))
        check(p.answer().code == 400, "the name '=' is taken")
    stage.alive()


@row(Plain, limit=40)
def b06_lengths_of_two_variables(stage):
    """PATH_INFO "" beside a SCRIPT_FILENAME with a line end in it, and QUERY_STRING of any length."""
    with stage.peer() as p:
        p.send(begin(flags=1),
               params(nv(b"REQUEST_METHOD", b"GET") + nv(b"PATH_INFO", b"") + nv(b"SCRIPT_FILENAME", b"/a/b.php\n/")), record(STDIN, 1))
        refused = p.answer()
        check(refused.code == 400, f"{refused.out!r}")
        answer = None
        step = 1 if stage.relax == 1 else 7
        for n in range(0, 51):
            script = nv(b"SCRIPT_FILENAME", b"/a/b.php\n/" + b"A" * n) if n % 2 else nv(b"SCRIPT_FILENAME", b"/a/b.php/" + b"A" * n)
            fixed = nv(b"REQUEST_METHOD", b"GET") + nv(b"PATH_INFO", b"") + script
            out = []
            for m in range(0, 2001, step):
                pairs = fixed + nv(b"QUERY_STRING", b"Q" * m)
                number = m % 900 + 1
                out.append(begin(number, flags=1) + record(PARAMS, number, pairs) + record(PARAMS, number) + record(STDIN, number))
            for at in range(0, len(out), 500):
                p.send(b"".join(out[at:at + 500]))
                answer = p.answers([m % 900 + 1 for m in list(range(0, 2001, step))[at:at + 500]])
                for a in answer.values():
                    check(a.out.startswith(b"Status: 400" if n % 2 else b"Status: 200"), f"n={n}: {a.out[:80]!r}")
    stage.alive()


@row(Plain)
def b07_what_php_fpm_does(stage):
    for test in (framing.a08_a_pair_cut_over_two_records, cgi.c01_less_than_announced, life.l19_not_version_1,
                 life.l21_a_request_with_id_0, framing.a17_nothing_of_before_in_reserved_bytes):
        test(stage)


@row(Plain, limit=30)
def b07_a_peer_that_dribbles_after_the_end(stage):
    """It is no reason to stay: after END the connection is over for weft, or costs nothing."""
    with stage.peer() as p, stage.peer() as other:
        p.send(ask("op=early", "POST", bytes(1000))[:-900])
        p.body(b"early")
        for _ in range(4):
            time.sleep(0.3)
            p.try_send(b"x")
            was = time.monotonic()
            other.send(keep(G))
            other.hello()
            check(time.monotonic() - was < 0.2 * stage.relax, "others wait for it")


@row(Plain)
def b08_a_head_in_two_reads(stage):
    framing.a03_two_writes_split_anywhere(stage)


@row(Plain)
def b09_much_in_one_line_of_stderr(stage):
    for n in (8191, 8192, 65535, 1 << 20):
        with stage.peer() as p:
            p.send(ask(f"op=log&n={n}"))
            a = p.body(b"logged")
            size = sum(map(len, a.err))
            check(all(0 < len(one) <= 4096 for one in a.err), f"{[len(one) for one in a.err][:10]}")
            # More than a connection holds back is cut, and an answer is never the part that goes.
            check(size == n or 32768 <= size < n, f"{size} bytes of {n}")
            check(not b"".join(a.err).strip(b"e"), "it is another text")
            p.over()


@row(Plain)
def b10_lengths_whose_sum_wraps(stage):
    framing.a06_the_longest_record_with_the_longest_padding(stage)
    life.l12_a_long_record_of_an_id_that_is_not(stage)
    management.m07_an_unknown_type_full_of_records(stage)


@row(Plain)
def b11_a_second_pair_that_claims_more(stage):
    for more in (b"\x01\x02", b"\x05\x05ab", b"\x80\0\x01\0\x01xyz", b"\x01\x80\0\0", b"\x01"):
        with stage.peer() as p:
            p.send(begin(flags=1), params(variables("op=ok") + more), record(STDIN, 1))
            check(p.answer().code == 400, f"{more!r} is taken")
            p.send(record(GET_VALUES, 0, nv(b"FCGI_MAX_REQS", b"") + more))
            p.exactly(record(fcgi.GET_VALUES_RESULT, 0))
            p.send(G)
            p.hello()
            p.over()


@row(Plain)
def b12_streams_with_id_0(stage):
    life.l22_records_of_requests_with_id_0(stage)


@row(Plain)
def b13_smuggled_records(stage):
    framing.a16_long_answers(stage)
    with stage.peer() as p:
        fake = FAKE * 2000
        pairs = variables("op=echo", "POST", fake, HTTP_FAKE=fake.replace(b"\0", b"\1"))
        p.send(begin(flags=1), params(pairs), fcgi.stream(STDIN, 1, fake))
        p.body(fake)
        p.send(G)
        p.hello()
        p.over()


@row(Plain)
def b14_bytes_that_nobody_wrote(stage):
    framing.a17_nothing_of_before_in_reserved_bytes(stage)


@row(Plain)
def b15_lines_of_logs(stage):
    """One record is one line, and controls are not passed on; neither are they in the server's own log."""
    evil = b"x\r\n[FAKE] \x1b[31m and\x00more\n" + b"y" * 4090 + b"\r\x07z\n"
    with stage.peer() as p:
        p.send(ask("op=logbody", "POST", evil))
        a = p.body(b"logged")
        for one in a.err:
            check(b"\n" not in one[:-1] and not re.search(rb"[\x00-\x08\x0b-\x1f\x7f]", one), f"{one!r}")
        check(len(b"".join(a.err)) == len(evil), "bytes are missing")
    said = "line\r\n2026-11-21T00:00:00.000Z error master[1]: FAKE \x1b[31m\x07"
    with stage.peer() as p:
        p.send(ask("op=say", "POST", said.encode()))
        p.body(b"said")
    check(not re.search(r"^2026-11-21T00:00:00.000Z", stage.log(), re.M), "a handler's text is a line of the log by itself")
    check("\x1b" not in stage.log() and "\r" not in stage.log() and "\x07" not in stage.log(), "controls are in the log")
    # A path in the log is the client's.
    with stage.peer() as p:
        p.send(ask("op=ok", REQUEST_URI="/rows?%0a\x1b[31m\x7fFAKE", HTTP_X="\x1b[31m"))
        p.answer()
    check("\x1b" not in stage.log() and "\x7f" not in stage.log(), "controls of a path are in the log")


@row(Plain)
def b16_ends_and_splits(stage):
    """The end behind each byte of G: never a wait for ever, never an answer to half a request."""
    framing.a02_one_byte_a_write(stage)
    framing.a03_two_writes_split_anywhere(stage)
    framing.a04_padding_on_empty_records(stage)
    for cut in range(len(G)):
        with stage.peer(3.0) as p:
            p.send(G[:cut])
            p.shut()
            got = p.closes()
            # Once its variables are there, the handler may have answered before the end comes.
            check(got == b"" or (cut >= 56 and got.endswith(record(STDOUT, 1) + end())), f"after {cut} bytes: {got!r}")
    stage.alive()


@row(Plain, limit=30)
def b17_answers_before_the_body_and_the_id_again(stage):
    body = b"x" * 3000
    whole = ask("op=early", "POST", body, flags=1)
    cut = whole.index(b"x" * 100) - 8
    with stage.peer() as p:
        for i in range(stage.some(1000)):
            p.send(whole[:cut])
            p.body(b"early")
            # Its body comes late; with the next request at once behind it, or together with that one's begin.
            if i % 2:
                p.send(whole[cut:])
            else:
                p.send(whole[cut:] + keep(G))
                p.hello()
        p.send(keep(G))
        p.hello()
    stage.alive()


@row(Plain)
def b18_the_environment_of_the_request_before(stage):
    cgi.c11_nothing_of_the_request_before(stage)


@row(Plain)
def b19_text_html_by_default(stage):
    head.h02_no_content_type(stage)


@row(Plain)
def b20_lengths_that_do_not_fit(stage):
    with stage.peer() as p:
        for n in (128, 255, 256, 300):
            name = b"HTTP_" + b"N" * (n - 5)
            p.send(begin(flags=1), params(variables("op=vars") + nv(name, b"value")), record(STDIN, 1))
            check(b"%d 5\n%s\nvalue\n" % (n, name) in p.answer().body, f"{n} bytes of name")
        for n in (65535, 65536):
            a = head.do(p, "set X-Large " + "v" * n, "puts text")
            check(a.code == 500 and b"vvv" not in a.out, f"{a.head[:100]!r}")
        p.send(keep(G))
        p.hello()


@row(Plain, limit=30)
def b21_who_writes_first(stage):
    cgi.c05_neither_waits_for_the_other(stage)


def state_of(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):       # gone before it was opened, or read
        return ""


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


def processor_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


class Killed(Server):
    """Its workers are killed."""

    conf = HEAD.replace("workers = 1", "workers = 2")

    def is_healthy(self):
        return False


@row(Killed, limit=40)
def b21_workers_that_are_killed(stage):
    """They come back, nothing is left of them, and the master does not spin."""
    def both_serve():
        done = stage.weft.verb("status")
        return done.returncode == 0 and len(json.loads(done.stdout)["workers"]) == 2

    master = stage.weft.process.pid
    was, used = time.monotonic(), processor_of(master)
    for _ in range(3):
        # One that ends while they start refuses the start: that is another matter.
        wait_until(both_serve, "both serve", 10 * stage.relax)
        workers = children_of(master)
        check(len(workers) == 2, f"workers {workers}")
        for pid in workers:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(state_of(pid) for pid in workers), "they are reaped", 2 * stage.relax)
        wait_until(lambda: len(children_of(master)) == 2, "others take their places", 10 * stage.relax)
        wait_until(stage.weft.is_up, "it answers again", 10 * stage.relax)
    time.sleep(0.5)
    share = (processor_of(master) - used) / (time.monotonic() - was)
    check(share < 0.02 * stage.relax * stage.relax, f"the master takes {share:.1%} of a processor")
    check(all(state_of(pid) != "Z" for pid in children_of(master)), "a zombie")


class Tcp(Server):
    """Over TCP, where a reset is one."""

    conf = HEAD + 'listen "tcp" { address = "127.0.0.1:@PORT@" }\n' + 'limit { head_timeout = "1s" }\n'

    def open(self):
        self.port = self.place.words["PORT"] = free_port()
        super().open()

    def tcp(self):
        return Peer(("127.0.0.1", self.port), 8 * self.relax)


@row(Tcp, limit=40)
def b22_peers_that_leave(stage):
    """Half a request and no more; a whole one, and a reset.  All that they held comes back."""
    half = begin() + record(PARAMS, 1, variables("op=ok"))[:60]
    whole = ask("op=sleep&ms=20") if stage.relax > 1 else ask("op=ok")
    before = stage.descriptors()
    for _ in range(stage.some(10000)):
        with stage.peer() as p:
            p.try_send(half)
            p.shut()
    for _ in range(stage.some(10000)):
        p = stage.tcp()
        p.try_send(whole)
        p.reset()

    stage.settles()
    wait_until(lambda: stage.descriptors() <= before + 1, "descriptors are as before", 2 * stage.relax)
    stage.alive()


@row(Plain, limit=40)
def b23_variables_without_end(stage):
    """Refused over the cap, and skipped from there: the connection serves on."""
    used, rss = stage.processor(), stage.memory()
    with stage.peer(20) as p:
        for size in (64 << 10, 1 << 20, 16 << 20, 100 << 20):
            p.send(begin(flags=1), record(PARAMS, 1, variables("op=length")))
            name = nv(b"HTTP_FILL", b"")[:1]
            p.send(record(PARAMS, 1, name + struct.pack(">I", size | 1 << 31) + b"HTTP_FILL"))
            piece = record(PARAMS, 1, b"v" * 65536 if size < 65536 else b"v" * 32768)
            for _ in range(size // 32768):
                p.send(piece)
            p.send(record(PARAMS, 1), record(STDIN, 1))
            a = p.answer()
            check(a.code == (200 if size <= 64 << 10 else 431), f"{size} bytes: {a.head!r}")
        # Many small ones: "pairs" of two bytes have no name and cost nothing; with a name there is a cap on them.
        p.send(begin(flags=1), params(variables("op=ok") + b"\0\0" * 100000), record(STDIN, 1))
        check(p.answer().code in (200, 431), "pairs without names")
        p.send(begin(flags=1), params(variables("op=ok") + b"\1\0A" * 33000), record(STDIN, 1))
        check(p.answer().code == 431, "33,000 variables are taken")
        p.send(keep(G))
        p.hello()
    check(stage.processor() - used < 2 * stage.relax, f"{stage.processor() - used:.1f} s of processor")
    check(stage.memory() - rss < (8 << 20) * stage.relax ** 2, f"{stage.memory() - rss} bytes more")
    stage.alive()


@row(Plain)
def b24_names_that_collide(stage):
    """There is no table to collide in: many names take as long as they are many."""
    dice = random.Random(24)
    for names in ([b"HTTP_%05d" % i for i in range(1000)],
                  [b"HTTP_" + b"".join(dice.choice((b"Aa", b"BB")) for _ in range(10)) for _ in range(1000)]):
        pairs = variables("op=ok") + b"".join(nv(name, b"") for name in names)
        best = 9.0
        with stage.peer() as p:
            for _ in range(5):
                was = time.monotonic()
                p.send(begin(flags=1) + params(pairs) + record(STDIN, 1))
                a = p.answer()
                best = min(best, time.monotonic() - was)
                check(a.code == 200, f"{a.head!r}")
        check(best < 0.02 * stage.relax, f"{best:.3f} s")
    with stage.peer() as p:
        was = time.monotonic()
        p.send(begin(flags=1) + params(variables("op=ok") + b"".join(nv(b"H%d" % i, b"") for i in range(5000))) + record(STDIN, 1))
        check(p.answer().code == 431, "5,000 variables are taken")
        check(time.monotonic() - was < 0.02 * stage.relax, f"{time.monotonic() - was:.3f} s")
