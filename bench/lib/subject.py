# SPDX-License-Identifier: ISC
"""What all subjects have in common."""
import os
import shutil

from lib.place import Failure, Place

from . import load
from .cases import QUESTIONS

PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"


class Subject:
    """Something that is measured."""
    name = ""
    load = staticmethod(load.fastcgi)
    uris = {}           # question: the address that it is asked under, where %r stands for a random number
    passes = None       # how nginx in front passes a request on: "fastcgi", "proxy", or not at all
    root = ""           # where its scripts are
    needs = {}          # program or file: Debian's package that has it

    def __init__(self, bench):
        self.bench = bench
        self.address = None     # of weft bench -a, or HOST:PORT for HTTP
        self.socket = None      # the path of a unix socket, where it speaks FastCGI
        self.process = None

    def prepare(self):
        """Read and build what is needed, with the privileges and in the folder of who calls."""

    def start(self):
        """Start it; then address, socket and process are set."""
        raise NotImplementedError

    def pids(self):
        """The processes whose trees are measured."""
        return [self.process.pid]

    def takes(self, case):
        return case.asks in self.uris and (self.passes is not None or not case.is_fronted)

    def uri(self, case):
        return self.uris[case.asks]

    def body(self, case):
        """The answer if it is always the same, else None."""
        return QUESTIONS[case.asks].body

    def variables(self, _case):
        """More FastCGI variables than weft bench sends by itself."""
        return {}

    def make_place(self, name):
        """A folder for what it runs."""
        place = Place(os.path.join(self.bench.folder, name), self.bench.words)
        self.bench.places.append(place)
        return place

    def spawn(self, place, argv, env=None):
        """Start a server that stays in the foreground; returns its process."""
        if not os.path.isabs(argv[0]):
            argv = [shutil.which(argv[0], path=PATH), *argv[1:]]
        return place.spawn(os.path.basename(argv[0]), argv, env=dict(os.environ, **(env or {})))

    def fail_if_dead(self, process):
        if not process.is_alive():
            raise Failure(f"{self.name} ended at once: {process.log_text()[-1000:]}")

    @classmethod
    def missing(cls):
        """The packages that are not installed."""
        return [package for name, package in cls.needs.items()
                if not os.path.exists(name) and shutil.which(name, path=PATH) is None]


class Peer(Subject):
    """A subject with sources or configuration in a room of bench/peers; there words as @RUN@ are filled in."""
    room = ""
    texts = {}      # name: what is there

    def prepare(self):
        folder = os.path.join(PEERS, self.room)
        self.texts = {}
        for name in os.listdir(folder):
            with open(os.path.join(folder, name)) as file:
                self.texts[name] = file.read()

    def fill(self, place, **words):
        """Write all of it into the folder of what runs."""
        for name, text in self.texts.items():
            place.fill(name, text, **words)

    def source(self, name):
        return os.path.join(PEERS, self.room, name)
