# SPDX-License-Identifier: ISC
"""What all subjects have in common."""
import os
import shutil

from lib.place import Place

from . import load
from .cases import QUESTIONS


class Subject:
    """Something that is measured."""
    name = ""
    load = staticmethod(load.fastcgi)
    uris = {}           # question: the address that it is asked under, where %r stands for a random number
    variables = ()      # more FastCGI variables, NAME=value
    needs = {}          # program or file: Debian's package that has it

    def __init__(self, bench):
        self.bench = bench
        self.address = None     # of weft bench -a
        self.process = None

    def prepare(self):
        """Build what is to be built, with the privileges and the folder of who calls."""

    def start(self):
        """Start it; then address and process are set."""
        raise NotImplementedError

    def pids(self):
        """The processes whose trees are measured."""
        return [self.process.pid]

    def takes(self, case):
        return case.asks in self.uris and not case.is_fronted

    def uri(self, case):
        return self.uris[case.asks]

    def body(self, case):
        """The answer if it is always the same, else None."""
        return QUESTIONS[case.asks].body

    def place(self):
        """A folder of its own for what it runs."""
        place = Place(os.path.join(self.bench.folder, self.name.replace(" ", "-")), self.bench.words)
        self.bench.places.append(place)
        return place

    @classmethod
    def missing(cls):
        """The packages that are not installed."""
        path = os.environ["PATH"] + ":/usr/sbin:/sbin"
        return [package for name, package in cls.needs.items() if shutil.which(name, os.F_OK, path) is None]
