# SPDX-License-Identifier: ISC
"""B30 to B37: processes and deployment."""
import os
import re
import resource
import shutil
import signal
import stat
import subprocess
import time

from lib.place import check, free_port, wait_until

from .bad import children_of, state_of
from .life import TCP, Bare, listens
from .peer import Peer, ask
from .stage import HEAD, Plain, Server, row


@row(Plain, limit=40)
def b30_scribbled_shared_memory(stage):
    """Whatever workers write where the master reads: it goes on, and starts, stops and kills nothing by it."""
    master = stage.weft.process.pid
    for seed in range(stage.some(100)):
        with stage.peer() as p:
            p.send(ask(f"op=scribble&seed={seed}"))
            check(int(p.answer().body) > 0, "there is no shared memory")
        if seed % 10 == 0:
            for words in (("timeline",), ("timeline", "--json"), ("status",)):
                done = stage.weft.verb(*words)
                check(done.returncode in (0, 2), f"weft {words}: {done.returncode} {done.stdout[-300:]}")
            with stage.peer() as p:
                p.send(ask("", REQUEST_URI="/weft/timeline"))
                check(p.answer().code == 200, "the page of the timeline")
    check(stage.weft.process.pid == master and children_of(master) == [stage.pid], "other processes are there")
    stage.alive()


@row(Bare)
def b31_modes_of_sockets(stage):
    old = os.umask(0)
    try:
        weft = stage.serve(HEAD)
        weft.wait(15 * stage.relax)
    finally:
        os.umask(old)
    for name, mode in (("web.sock", 0o660), ("control.sock", 0o600)):
        st = os.lstat(stage.place.path(name))
        check(stat.S_ISSOCK(st.st_mode) and stat.S_IMODE(st.st_mode) == mode, f"{name} has the mode {oct(st.st_mode)}")
    weft.stop()


@row(Bare)
def b32_addresses_of_everybody(stage):
    for host in ("0.0.0.0", "[::]", "192.0.2.1", "[2001:db8::1]"):
        said = stage.refuses(TCP, HOST=host, PORT=free_port(), ALLOW="")
        check("allow" in said, f"{host}: {said}")
    port = free_port()
    weft = stage.serve(TCP, HOST="0.0.0.0", PORT=port, ALLOW='allow = { "127.0.0.1" }')
    wait_until(lambda: listens("127.0.0.1", port), "it listens where it is allowed to")
    weft.stop()


@row(Plain)
def b32_no_variable_names_a_module(stage):
    """SCRIPT_FILENAME and its like choose nothing; paths are matched with the routes, and with nothing else."""
    evil = stage.place.words["ROWS"] + "/bad_exits.so"
    paths = ("/rows/../etc/passwd", "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/rows%00.so",
             "/rows/%2e%2e/x", "/./" + evil, evil, "/rows\\..\\x", "/rows/..%2f..%2fx")
    with stage.peer() as p:
        for name in ("SCRIPT_FILENAME", "DOCUMENT_ROOT", "PATH_TRANSLATED", "PHP_VALUE", "PHP_ADMIN_VALUE", "SCRIPT_NAME"):
            if name != "SCRIPT_NAME":
                p.send(ask("op=ok", flags=1, **{name: evil}))
                p.hello()
        for path in paths:
            p.send(ask("op=ok", flags=1, REQUEST_URI=path))
            a = p.answer()
            check(a.code in (400, 404), f"{path}: {a.head!r}")
    with open(f"/proc/{stage.pid}/maps") as file:
        check("bad_" not in file.read(), "another module is loaded")
    stage.alive()


@row(Plain, limit=30)
def b33_a_module_that_dies_in_its_beginning(stage):
    """The reload is refused, in one piece; the old workers go on."""
    good = open(stage.weft.conf).read()
    try:
        for bad in ("init_dies", "init_refuses"):
            was = len(stage.log())
            with open(stage.weft.conf, "w") as file:
                file.write(good + f'module "bad" {{ file = "{stage.place.words["ROWS"]}/bad_{bad}.so" }}\n')
            done = stage.weft.verb("reload")
            check(done.returncode == 1 and done.stdout.startswith("weft: ") and done.stdout.count("\n") == 1, f"{done.stdout}")
            time.sleep(0.3)
            lines = stage.log()[was:].count("\n")
            check(lines < 10, f"{lines} lines of log")
            stage.alive()
    finally:
        with open(stage.weft.conf, "w") as file:
            file.write(good)
    check(stage.weft.verb("reload").returncode == 0, "a good one is refused afterwards")
    stage.pid = stage.worker()


class Crashing(Server):
    """Its worker dies all the time."""

    def is_healthy(self):
        return False


@row(Crashing, limit=40)
def b33_workers_that_die_all_the_time(stage):
    """Each time it takes longer until there is another."""
    master = stage.weft.process.pid
    until, lines = time.monotonic() + 3, stage.log().count("\n")
    while time.monotonic() < until:
        for pid in children_of(master):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)
    ended = len(re.findall(r"worker 1 ended", stage.log()))
    check(3 <= ended <= 8, f"{ended} workers in 3 s")
    check(stage.log().count("\n") - lines <= 2 * ended, "each takes more than two lines of the log")
    wait_until(stage.weft.is_up, "it answers again", 15)


@row(Bare, limit=40)
def b34_a_fork_that_fails(stage):
    """The reload does not come about, or later; nobody is killed, and the old workers go on."""
    if os.getuid() == 0:
        check(False, "root is not limited: run it as another user")
    weft = stage.serve(HEAD)
    weft.wait(15 * stage.relax)
    pid, master = weft.ask("op=pid"), weft.process.pid
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        worker = int(pid.body)
        soft, hard = resource.prlimit(master, resource.RLIMIT_NPROC)
        resource.prlimit(master, resource.RLIMIT_NPROC, (0, hard))
        os.kill(master, signal.SIGHUP)
        wait_until(lambda: "cannot be started" in weft.process.log_text(), "the fork fails", 5 * stage.relax)
        check(weft.is_up() and int(weft.ask("op=pid").body) == worker, "the old worker is gone")
        check(bystander.poll() is None, "a bystander was killed")
        resource.prlimit(master, resource.RLIMIT_NPROC, (soft, hard))
        wait_until(lambda: int(weft.ask("op=pid").body) != worker, "the reload comes about", 10 * stage.relax)
        check(bystander.poll() is None and state_of(master), "a bystander was killed")
    finally:
        bystander.kill()
        bystander.wait()
    weft.stop()


@row(Bare)
def b35_paths_of_sockets(stage):
    """A link at a socket's path is not followed, and what it names is left alone."""
    precious = stage.place.write("precious", "text")
    os.symlink(precious, stage.place.path("web.sock"))
    said = stage.refuses(HEAD)
    check("web.sock" in said, said)
    with open(precious) as file:
        check(file.read() == "text", "the file is another")
    check(os.path.islink(stage.place.path("web.sock")), "the link is gone")
    os.unlink(stage.place.path("web.sock"))
    os.symlink(stage.place.path("nowhere"), stage.place.path("web.sock"))
    stage.refuses(HEAD)
    check(not os.path.exists(stage.place.path("nowhere")), "the link was followed")
    with open(stage.place.path("control.sock"), "w") as file:
        file.write("text")
    os.unlink(stage.place.path("web.sock"))
    stage.refuses(HEAD)
    with open(stage.place.path("control.sock")) as file:
        check(file.read() == "text", "a file was replaced by the control socket")


@row(Plain)
def b36_a_filter_of_system_calls(stage):
    """What it refuses fails with EPERM, and nobody is killed; what a newer libc may ask for passes.  All rows run with it."""
    with open(f"/proc/{stage.pid}/status") as file:
        check("Seccomp:\t2" in file.read(), "there is no filter")
    with stage.peer() as p:
        p.send(ask("op=calls"))
        told = p.answer().body.decode().split()
    check(len(told) == 12 and all("=" in word for word in told), f"it tells {told}")
    for word in told:
        name, result = word.split("=")
        refused = name in ("bpf", "mount", "unshare", "kexec_load", "setns", "process_vm_readv")
        check((result == "EPERM") == refused, f"{name} gives {result}")
    stage.alive()


def bad_module(stage, name):
    return f'module "bad" {{ file = "{stage.place.words["ROWS"]}/bad_{name}.so" }}\n'


@row(Bare, limit=60)
def b37_modules_that_cannot_be(stage):
    """Each is refused in a sentence, at the start (exit status 1) and at a reload; the old one serves on."""
    words = {"symbol": "bad_nowhere", "entry": "weft_module", "abi": "version 2", "exits": "exit status 0", "init_refuses": "7"}
    weft = stage.serve(HEAD)
    weft.wait(15 * stage.relax)
    worker = int(weft.ask("op=pid").body)
    good = open(weft.conf).read()
    for bad, word in words.items():
        with open(weft.conf, "w") as file:
            file.write(good + bad_module(stage, bad))
        done = weft.verb("reload")
        check(done.returncode == 1, f"{bad}: {done.returncode} {done.stdout}")
        check(done.stdout.startswith("weft: ") and word in done.stdout, f"{bad}: {done.stdout}")
        check(weft.is_up() and int(weft.ask("op=pid").body) == worker, f"{bad}: another worker answers")
        # What did not become a worker is gone.
        wait_until(lambda: children_of(weft.process.pid) == [worker], f"{bad}: its worker is gone", 8 * stage.relax)
    weft.stop()
    for bad, word in words.items():
        said = stage.refuses(HEAD + bad_module(stage, bad))
        check(word in said, f"{bad}: {said}")


@row(Bare)
def b37_a_file_that_is_overwritten(stage):
    """In place, under a worker that runs: it has a copy."""
    copy = stage.place.path("copy.so")
    shutil.copy(os.path.join(stage.place.words["ROWS"], "rows.so"), copy)
    weft = stage.serve(HEAD.replace("@ROWS@/rows.so", copy))
    weft.wait(15 * stage.relax)
    worker = int(weft.ask("op=pid").body)
    with open(copy, "r+b") as file:
        file.truncate(0)
        file.write(b"\0" * 100000)
    for query in ("op=vars", "op=log&n=1", "op=counts"):
        with Peer(weft.socket) as p:
            p.send(ask(query))
            check(p.answer().code == 200, f"{query}: it fell with its file")
    check(weft.verb("reload").returncode == 1, "the file is none any more, and is loaded")
    check(int(weft.ask("op=pid").body) == worker, "another worker answers")
    weft.stop()


@row(Bare, limit=40)
def b37_a_module_that_never_ends_its_beginning(stage):
    """While it hangs the old one serves, no other reload begins, and weft can be stopped.

    After a minute it is given up: tests/unit/server_generation has less patience, and sees it.
    """
    weft = stage.serve(HEAD + 'limit { grace = "0" }\n')
    weft.wait(15 * stage.relax)
    worker = int(weft.ask("op=pid").body)
    with open(weft.conf, "a") as file:
        file.write(bad_module(stage, "loops"))
    asked = subprocess.Popen([stage.place.words["WEFT"], "reload", "-c", weft.conf], stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    wait_until(lambda: len(children_of(weft.process.pid)) == 2, "the reload begins", 5 * stage.relax)
    done = weft.verb("reload")
    check(done.returncode == 1 and "under way" in done.stdout, f"{done.stdout}")
    check(int(weft.ask("op=pid").body) == worker, "another worker answers")
    check(weft.stop(limit=10 * stage.relax) == 0, "its exit status is not 0")
    check(asked.wait(5) == 1, "the reload was a success")
