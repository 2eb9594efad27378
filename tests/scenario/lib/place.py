# SPDX-License-Identifier: ISC
"""A folder for one group of scenarios, and the processes that run in it.

Whatever is started here is stopped here, by its process id; nothing else is
touched.  Should the harness itself be killed, the kernel ends its children.
"""
import ctypes
import os
import random
import re
import signal
import socket
import subprocess
import time

libc = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """What a scenario found wrong."""


def check(condition, text):
    if not condition:
        raise Failure(text)


def free_port():
    """By chance, and below what the kernel gives to clients, with what a Redis of a cluster adds: nobody takes it before its server does."""
    while True:
        port = random.randrange(10000, 22768)
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def wait_until(condition, what, limit=10.0, pause=0.01):
    """Call condition until it returns something true; return that."""
    end = time.monotonic() + limit
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise Failure(f"{what}: not within {limit:.1f} s")
        time.sleep(pause)


class Process:
    def __init__(self, name, child, log):
        self.name = name
        self.child = child
        self.log = log

    @property
    def pid(self):
        return self.child.pid

    def is_alive(self):
        return self.child.poll() is None

    def kill(self):
        """kill -9, and wait until it is gone."""
        self.child.kill()
        self.child.wait()

    def stop(self, how=signal.SIGTERM, limit=10.0):
        """Returns the exit status: negative for a signal, as subprocess has it."""
        if self.is_alive():
            self.child.send_signal(how)
        try:
            status = self.child.wait(limit)
        except subprocess.TimeoutExpired:
            status = None
        # Its session holds only what it has started itself.
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
        if status is None:
            self.child.wait()
            raise Failure(f"{self.name} did not end within {limit:.0f} s")
        return status

    def log_text(self):
        with open(self.log, errors="replace") as file:
            return file.read()


class Place:
    def __init__(self, folder, words):
        """words: what @WORD@ stands for in a template."""
        self.folder = folder
        self.processes = []
        os.mkdir(folder, 0o755)
        self.words = dict(words, RUN=folder, CONF=os.path.join(folder, "weft.conf"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text, mode=0o644):
        with open(self.path(name), "w") as file:
            file.write(text)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def expand(self, text, **more):
        words = dict(self.words, **more)
        return re.sub(r"@([A-Z]+)@", lambda m: str(words[m.group(1)]), text)

    def fill(self, name, template, mode=0o644, **more):
        """Write a template as the file name.  Returns its path."""
        return self.write(name, self.expand(template, **more), mode)

    def spawn(self, name, argv, env=None, stdin=subprocess.DEVNULL, how=signal.SIGTERM, stdout=None):
        """Start a server; both its outputs, or what stdout leaves of them, go to the log NAME.log."""

        def before_exec():
            libc.prctl(PR_SET_PDEATHSIG, how)

        log = self.path(name + ".log")
        with open(log, "ab") as out:
            child = subprocess.Popen(argv, stdin=stdin, stdout=out if stdout is None else stdout, stderr=out, env=env,
                                     cwd=self.folder, start_new_session=True, preexec_fn=before_exec)
        process = Process(name, child, log)
        process.how = how
        self.processes.append(process)
        return process

    def stop_all(self):
        """Stop what still runs, the last one first.  Returns what went wrong."""
        wrong = []
        for process in reversed(self.processes):
            try:
                process.stop(process.how)
            except Failure as failure:
                wrong.append(str(failure))
        self.processes.clear()
        return wrong
