# SPDX-License-Identifier: ISC
"""A weft server with a configuration of its own."""
import json
import os
import signal
import subprocess

from . import fcgi
from .place import Failure, wait_until

PREFIX = "/app"
PROBE = PREFIX + "/probe"

BASIC = """\
workers = 1
sandbox = "on"
control = "@RUN@/control.sock"
listen "web" { address = "unix:@RUN@/web.sock"  mode = "0666" }
module "probe" { file = "@MODULES@/probe.so"  prefix = "/app" }
"""

# Started by a web server: the listening socket is fd 0.
SPAWNED = """\
workers = 1
sandbox = "on"
control = "@RUN@/control.sock"
module "probe" { file = "@MODULES@/probe.so"  prefix = "/app" }
"""

POOLS = BASIC + """\
pool "cache" { url = "redis+unix://@REDIS@"  min = 8  max = 200 }
pool "db" { url = "@SQL@"  min = 200  max = 200 }
"""

# With an HTTP service.
SERVICE = BASIC + """\
status = "/app/weft"
pool "service" { url = "http://localhost:@SERVICE@"  max = 200 }
"""

# Of which it takes few connections, from workers that have to share them.
FEW = BASIC.replace("workers = 1", "workers = 3") + """\
pool "service" { url = "http://localhost:@SERVICE@"  max = 5  queue_timeout = "5s" }
"""


class Weft:
    def __init__(self, place, text=BASIC, file="weft.conf", launcher=(), **words):
        """launcher: the words of a program that starts it, such as prlimit."""
        self.place = place
        self.launcher = list(launcher)
        self.socket = place.path("web.sock")
        self.conf = place.fill(file, text, **words)
        self.process = None

    def start(self):
        self.process = self.place.spawn("weft", self.launcher + [self.place.words["WEFT"], "serve", "-c", self.conf])
        self.wait()
        return self

    def wait(self, limit=15.0):
        def answers():
            if not self.process.is_alive():
                raise Failure(f"weft serve ended at once: {self.process.log_text()[-500:]}")
            return self.is_up()
        wait_until(answers, "weft answers", limit)

    def is_up(self):
        try:
            return fcgi.ask(self.socket, PROBE + "?op=ok", 5.0).code == 200
        except (OSError, Failure):
            return False

    def ask(self, query, limit=10.0, **more):
        """One request, straight to its socket.  Returns a fcgi.Reply."""
        return fcgi.ask(self.socket, f"{PROBE}?{query}", limit, **more)

    def worker(self):
        """The process id of the worker that answers."""
        return int(self.ask("op=pid").body)

    def verb(self, *words, limit=30.0):
        """weft VERB -c FILE …  Returns a subprocess.CompletedProcess with text."""
        argv = [self.place.words["WEFT"], words[0], "-c", self.conf, *map(str, words[1:])]
        return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=limit,
                              cwd=self.place.folder, stdin=subprocess.DEVNULL, check=False)

    def workers(self):
        """What weft status says of each worker."""
        done = self.verb("status")
        if done.returncode != 0:
            raise Failure(f"weft status: {done.stdout}")
        return json.loads(done.stdout)["workers"]

    def status(self):
        """What it says of the first one; one that is busy for a second is left out."""
        return wait_until(self.workers, "a worker says how it is")[0]

    def kill(self):
        """kill -9 of the master and of what it started: nothing is told to anybody."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            workers = [int(pid) for pid in file.read().split()]
        self.process.kill()
        for pid in workers:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def stop(self, how=signal.SIGTERM, limit=15.0):
        """Returns its exit status."""
        return self.process.stop(how, limit)
