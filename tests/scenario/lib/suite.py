# SPDX-License-Identifier: ISC
"""Which scenarios there are, and how they are run.

A scenario is a function with one argument, its stage: what a group of
scenarios shares (servers that run).  A group is a class of a stage:

    class Alone(Stage):
        def open(self): ...         start what the scenarios need

    @scenario(Alone)
    def one_request(stage): ...
"""
import itertools
import json
import os
import shutil
import signal
import struct
import sys
import time
import traceback

from . import stalls
from .backends import MariaDB, Postgres, Redis
from .place import PR_SET_PDEATHSIG, Failure, Place, libc

NUMBER = struct.Struct("H")

scenarios = []      # (name, group key, stage class, arguments, function, limit)


class TimedOut(Exception):
    pass


class Stage:
    """The servers of a group of scenarios, in a folder of their own."""

    may_stall = False       # a handler computes, on purpose

    def __init__(self, suite, folder, *arguments):
        self.suite = suite
        self.relax = suite.relax
        self.place = Place(folder, suite.words)
        self.arguments = arguments

    def open(self):
        """Start what the scenarios of this group share."""

    def is_healthy(self):
        """Returns whether the next scenario can use it as it is."""
        return True

    def close(self):
        return self.place.stop_all()


SOAK = 20           # times as long a scenario may take in a soak


def scenario(stage, *arguments, name=None, limit=30):
    """Register a scenario.  limit: seconds that it may take, before --relax."""

    def register(function):
        group = stage.__name__.lower() if not arguments else f"{stage.__name__.lower()}[{','.join(map(str, arguments))}]"
        scenarios.append((f"{group} {name or function.__name__}", group, stage, arguments, function, limit))
        return function
    return register


class Suite:
    def __init__(self, folder, words, relax, keep, soak=False):
        """soak: scenarios that can be long are."""
        self.folder = folder
        self.words = words
        self.relax = relax
        self.keep = keep
        self.soak = soak
        self.backends = {}
        self.stage = None
        self.group = None
        self.number = 0
        self.passed = self.failed = 0
        self.failed_folders = set()
        self.closed_groups = set()      # those whose stage did not open
        stalls.look_out(relax)

    def backend(self, kind):
        """A Redis, Postgres or MariaDB that runs."""
        if kind not in self.backends:
            self.backends[kind] = kind(os.path.join(self.folder, kind.__name__.lower()))
        return self.backends[kind].start()

    @property
    def redis(self):
        return self.backend(Redis)

    @property
    def postgres(self):
        return self.backend(Postgres)

    @property
    def mariadb(self):
        return self.backend(MariaDB)

    def close_stage(self):
        wrong = []
        if self.stage is not None:
            wrong = self.stage.close()
            self.check_stalls()
        self.stage = self.group = None
        return wrong

    def check_stalls(self):
        """Whatever a scenario does, nothing holds a loop up."""
        found = stalls.find(self.stage.place.folder, self.words["WEFT"])
        if found and not self.stage.may_stall:
            self.report("not ok", f"{self.group or 'it'} is not held up", "\n".join(found[:5]), 0.0)

    def open_stage(self, group, kind, arguments):
        if self.group == group and self.stage.is_healthy():
            return
        if group in self.closed_groups:
            raise Failure("its servers do not start: see above")
        self.close_stage()
        self.number += 1
        self.stage = kind(self, os.path.join(self.folder, f"s{self.number}"), *arguments)
        self.closed_groups.add(group)
        self.stage.open()
        self.closed_groups.remove(group)
        self.group = group

    def run_one(self, name, group, kind, arguments, function, limit):
        seconds = limit * self.relax * (SOAK if self.soak else 1)

        def on_alarm(*_):
            raise TimedOut(f"not done within {seconds:.0f} s")

        began = time.monotonic()
        signal.signal(signal.SIGALRM, on_alarm)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            self.open_stage(group, kind, arguments)
            function(self.stage)
            result, why = "ok", ""
        except (Failure, TimedOut) as failure:
            result, why = "not ok", str(failure) + self.where(failure)
        except Exception:       # a broken scenario is a failed one; the others go on
            result, why = "not ok", traceback.format_exc()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self.report(result, name, why, time.monotonic() - began)

    @staticmethod
    def where(failure):
        """The scenario's line that failed."""
        places = [f for f in traceback.extract_tb(failure.__traceback__) if f"{os.sep}lib{os.sep}" not in f.filename]
        return f"  ({os.path.basename(places[-1].filename)}:{places[-1].lineno})" if places else ""

    def report(self, result, name, why, seconds):
        lines = [f"{result} {name} ({seconds:.2f} s)"]
        if result == "ok":
            self.passed += 1
        else:
            self.failed += 1
            lines += [f"#   {line}" for line in why.rstrip().split("\n")]
            if self.stage is not None:
                self.failed_folders.add(self.stage.place.folder)
                lines += self.ends_of_logs(self.stage.place.folder)
        # In one piece: others may run beside it.
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()

    @staticmethod
    def ends_of_logs(folder):
        ends = []
        for name in sorted(os.listdir(folder)):
            if not name.endswith(".log"):
                continue
            with open(os.path.join(folder, name), errors="replace") as file:
                lines = file.read().split("\n")[-12:]
            ends += [f"#   {name}: {line[:300]}" for line in lines if line]
        return ends

    def run(self, chosen):
        """Run these, one after the other.  Returns the exit status."""
        self.run_groups([chosen])
        return self.conclude()

    def run_beside(self, chosen, sides):
        """Run these, as many groups at a time as there are sides, each side with servers of its own.  Returns the exit status."""
        groups = [list(group) for _, group in itertools.groupby(chosen, key=lambda one: one[1])]
        todo, fill = os.pipe()      # numbers of groups, of which each side takes the next
        os.write(fill, b"".join(NUMBER.pack(i) for i in range(len(groups))))
        os.close(fill)
        for name, said in [self.fork_side(f"side{i}", groups, todo) for i in range(sides)]:
            with open(said) as file:
                result = json.loads(file.read() or "null")
            os.wait()
            if result is None:
                self.report("not ok", f"{name} ends", "it did not say how", 0.0)
                continue
            self.passed += result["passed"]
            self.failed += result["failed"]
            self.failed_folders.update(result["folders"])
        os.close(todo)
        return self.conclude()

    def fork_side(self, name, groups, todo):
        """Returns the name, and a descriptor of which the results can be read."""
        said, say = os.pipe()
        sys.stdout.flush()
        if os.fork() != 0:
            os.close(say)
            return name, said
        try:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            self.folder = os.path.join(self.folder, name)
            os.mkdir(self.folder)
            self.run_groups(groups[NUMBER.unpack(number)[0]] for number in iter(lambda: os.read(todo, NUMBER.size), b""))
            os.write(say, json.dumps({"passed": self.passed, "failed": self.failed, "folders": list(self.failed_folders)}).encode())
        except BaseException:       # there is nobody above to tell
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(0)

    def run_groups(self, groups):
        try:
            for one in itertools.chain.from_iterable(groups):
                # Servers that do not stop are a failure of what was done with them.
                if self.stage is not None and self.group != one[1]:
                    self.check_close()
                self.run_one(*one)
                if self.group is None:      # it did not open, or not in whole
                    self.close_stage()
            self.check_close()
        finally:
            self.close_stage()
            for backend in self.backends.values():
                backend.stop()
            self.tidy()

    def conclude(self):
        """Say what has become of it.  Returns the exit status."""
        if self.failed_folders or self.keep:
            print(f"# logs are in {self.folder}")
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
        print(f"# {self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed else 0

    def check_close(self):
        group, folder = self.group, self.stage.place.folder if self.stage is not None else None
        wrong = self.close_stage()
        if wrong:
            self.failed_folders.add(folder)
            self.report("not ok", f"{group} stops", "; ".join(wrong), 0.0)

    def tidy(self):
        """Keep the folders of failures only."""
        for folder in [] if self.keep else os.listdir(self.folder):
            path = os.path.join(self.folder, folder)
            if path not in self.failed_folders and os.path.isdir(path):
                shutil.rmtree(path, ignore_errors=True)
