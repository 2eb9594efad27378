# SPDX-License-Identifier: ISC
"""One run of the bench: its folder, back ends, subjects and rounds.

Each round measures every subject once in every case, beginning with another subject each time, so that whatever
else the machine does hits all alike.  Ratios are made within a round.
"""
import os
import shutil
import subprocess

from lib.backends import Postgres, Redis
from lib.place import Failure

from .cases import BODY

PROGRAMS = ("weft", "bench/floor", "bench/fixed.so", "examples/probe.so")
START = 10.0        # seconds that all starts and stops take, about
BESIDE = 0.15       # seconds beside each measurement


class Bench:
    def __init__(self, options, folder, cases, kinds):
        self.options = options
        self.folder = folder
        self.cases = cases
        self.words = {"WEFT": self.program("weft"), "MODULES": os.path.join(folder, "bin")}
        self.places = []
        self.subjects = [kind(self) for kind in kinds]
        self.rounds = []        # {(case, subject): what load returned}

    def program(self, name):
        return os.path.join(self.folder, "bin", name)

    def prepare(self):
        """What has to be done as who calls: afterwards neither the tree nor the build may be readable."""
        os.mkdir(os.path.join(self.folder, "bin"))
        for name in PROGRAMS:
            shutil.copy(os.path.join(self.options.build, name), os.path.join(self.folder, "bin"))
        for subject in self.subjects:
            subject.prepare()

    def start(self):
        self.redis = Redis(os.path.join(self.folder, "redis")).start()
        self.postgres = Postgres(os.path.join(self.folder, "postgres")).start()
        self.redis.ask("SET", "k", BODY)
        for subject in self.subjects:
            subject.start()

    def stop(self):
        for place in reversed(self.places):
            place.stop_all()
        for name in ("redis", "postgres"):
            if hasattr(self, name):
                getattr(self, name).stop()

    def pairs(self):
        return [(case, subject) for case in self.cases for subject in self.subjects if subject.takes(case)]

    def estimate(self):
        """Seconds that the run takes."""
        return START + self.options.rounds * len(self.pairs()) * (self.options.seconds + BESIDE)

    def round(self):
        found = {}
        first = len(self.rounds) % len(self.subjects)
        for case in self.cases:
            for subject in self.subjects[first:] + self.subjects[:first]:
                if subject.takes(case):
                    found[case.name, subject.name] = self.measure(case, subject)
        self.rounds.append(found)

    def measure(self, case, subject):
        try:
            return subject.load(self, case, subject)
        except (Failure, OSError, ValueError, subprocess.SubprocessError) as failure:
            raise Failure(f"{subject.name}, {case.name}: {failure}") from failure
