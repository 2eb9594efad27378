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
from .peers_http import Front
from .results import Results

PROGRAMS = ("weft", "bench/floor", "bench/fixed.so", "examples/probe.so", "examples/techempower.so")
SEED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "techempower", "seed.sql")
START = 3.0        # seconds that all starts and stops take, about
BESIDE = 0.05       # seconds beside each measurement


class Bench:
    def __init__(self, options, folder, cases, kinds):
        self.options = options
        self.folder = folder
        self.cases = cases
        self.words = {"WEFT": self.program("weft"), "MODULES": os.path.join(folder, "bin")}
        self.places = []
        self.subjects = [subject for subject in (kind(self) for kind in kinds) if any(map(subject.takes, cases))]
        self.fronts = {subject: Front(self, subject) for subject in self.subjects
                       if any(case.is_fronted and subject.takes(case) for case in cases)}
        self.results = Results(options.seconds)

    def program(self, name):
        return os.path.join(self.folder, "bin", name)

    def prepare(self):
        """What has to be done as who calls: afterwards neither the tree nor the build may be readable."""
        os.mkdir(os.path.join(self.folder, "bin"))
        for name in PROGRAMS:
            shutil.copy(os.path.join(self.options.build, name), os.path.join(self.folder, "bin"))
        shutil.copy(os.path.join(os.path.dirname(__file__), "wrk.lua"), os.path.join(self.folder, "bin"))
        with open(SEED) as file:
            self.seed = file.read()
        for subject in (*self.subjects, *self.fronts.values()):
            subject.prepare()

    def compile(self, name, source, command, sources=(), **environment):
        """Make a peer's program in the build's folder, where its source is newer: command -o name sources."""
        kept = os.path.join(self.options.build, "bench", "made", name)
        if not os.path.exists(kept) or os.path.getmtime(kept) < os.path.getmtime(source):
            os.makedirs(os.path.dirname(kept), exist_ok=True)
            done = subprocess.run([*command, "-o", kept, *sources], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  text=True, env=dict(os.environ, **environment), check=False)
            if done.returncode != 0:
                raise Failure(f"{source}: {done.stdout}")
        shutil.copy(kept, os.path.join(self.folder, "bin"))

    def start(self):
        self.redis = Redis(os.path.join(self.folder, "redis")).start()
        self.postgres = Postgres(os.path.join(self.folder, "postgres")).start()
        self.redis.ask("SET", "k", BODY)
        self.words.update(REDIS=self.redis.socket, POSTGRES=self.postgres.url, PGHOST=self.postgres.folder,
                          PGPORT=self.postgres.port, TECHEMPOWER=self.postgres.load("techempower", self.seed))
        self.postgres.query("ANALYZE", "techempower")
        for subject in (*self.subjects, *self.fronts.values()):
            subject.start()

    def back_ends(self, database="postgres"):
        """Where they are, for the environment of peers."""
        return {"BENCH_REDIS": self.redis.socket,
                "BENCH_PG": f"host={self.postgres.folder} port={self.postgres.port} user=postgres dbname={database}"}

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
        first = len(self.results.rounds) % len(self.subjects)
        for case in self.cases:
            for subject in self.subjects[first:] + self.subjects[:first]:
                if subject.takes(case):
                    found[case.name, subject.name] = self.measure(case, subject)
        self.results.rounds.append(found)

    def measure(self, case, subject):
        asked = self.fronts[subject] if case.is_fronted else subject
        try:
            return asked.load(self, case, asked)
        except (Failure, OSError, ValueError, subprocess.SubprocessError) as failure:
            raise Failure(f"{subject.name}, {case.name}: {failure}") from failure
