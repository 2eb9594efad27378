# SPDX-License-Identifier: ISC
"""Run tests/bench/path, which make check builds in its own folder, under a program that counts."""
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile

PATH = os.path.join(os.getcwd(), "tests", "bench", "path")


class Folder:
    """A folder with a database, and what the counting programs write."""

    def __init__(self, program):
        if shutil.which(program) is None:
            sys.exit(f"no {program} here")
        self.held = tempfile.TemporaryDirectory(prefix="weft-bench.")
        self.database = self.path("world.db")
        with sqlite3.connect(self.database) as db:
            db.execute("CREATE TABLE world (id INTEGER PRIMARY KEY, randomnumber INTEGER NOT NULL)")
            db.execute("INSERT INTO world VALUES (1, 7)")

    def path(self, name):
        return os.path.join(self.held.name, name)

    def run(self, launcher, kind, requests):
        """Returns the process id of path."""
        child = subprocess.Popen(launcher + [PATH, kind, str(requests), self.database], stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, text=True)
        out, _ = child.communicate(timeout=60)
        if child.returncode != 0:
            sys.exit(f"{kind}: {out[-2000:]}")
        return child.pid
