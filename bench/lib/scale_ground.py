# SPDX-License-Identifier: ISC
"""What bench/scale measures on: servers of its own, and loads on them."""
import json
import os
import shutil
import subprocess

from lib.backends import Redis
from lib.place import Failure, Place, wait_until
from lib.weft import Weft
from limits.measure import raise_files

from . import load, tree

PROGRAMS = ("weft", "bench/floor", "bench/fixed.so", "bench/scale.so", "bench/scale_list.so", "bench/scale_item.so",
            "bench/scale_routes.so", "examples/probe.so")

CONF = """\
workers = {workers}
control = "@RUN@/control.sock"
listen "web" {{ address = "unix:@RUN@/web.sock"  mode = "0666" }}
limit {{ requests = 20000  connections = 20000 }}
module "probe" {{ file = "@MODULES@/probe.so"  prefix = "/app" }}
"""


class Server:
    """Something that listens: weft, or the floor."""

    def __init__(self, socket, process, weft=None):
        self.address = f"unix:{socket}"
        self.process = process
        self.weft = weft


class Ground:
    def __init__(self, options, folder):
        self.rounds = options.rounds
        self.folder = folder
        self.places = []
        self.redis = None
        programs = os.path.join(folder, "bin")
        os.makedirs(programs)
        for name in PROGRAMS:
            shutil.copy(os.path.join(os.path.abspath(options.build), name), programs)
        self.words = {"WEFT": os.path.join(programs, "weft"), "MODULES": programs}
        raise_files()

    def make_place(self, name):
        place = Place(os.path.join(self.folder, name), self.words)
        self.places.append(place)
        return place

    def serve(self, name, modules=(), workers=1, more=""):
        """A weft with these modules at the root of the site."""
        conf = CONF.format(workers=workers) + more
        for module in modules:
            conf += f'module "{module}" {{ file = "@MODULES@/{module}.so" }}\n'
        weft = Weft(self.make_place(name), conf).start()
        return Server(weft.socket, weft.process, weft)

    def floor(self):
        place = self.make_place("floor")
        socket = place.path("floor.sock")
        process = place.spawn("floor", [os.path.join(self.words["MODULES"], "floor"), socket])
        wait_until(lambda: os.path.exists(socket), "floor listens")
        return Server(socket, process)

    def start_redis(self):
        self.redis = Redis(os.path.join(self.folder, "redis")).start()
        return self.redis

    def stop(self):
        for place in reversed(self.places):
            place.stop_all()
        if self.redis is not None:
            self.redis.stop()

    def begin(self, server, uri, *words):
        """Begin a load."""
        return load.start([self.words["WEFT"], "bench", "-a", server.address, "-P", str(server.process.pid), "-j",
                           "-u", uri, *map(str, words)])

    def end(self, process, limit=60.0):
        """Returns what it found, once it has ended."""
        try:
            return json.loads(load.finish(process, limit)[0])
        except subprocess.TimeoutExpired:
            raise Failure("weft bench did not end") from None

    def load(self, server, uri, *words):
        return self.end(self.begin(server, uri, *words))

    @staticmethod
    def others(server):
        """Seconds of processor time that all but this server have taken, ever."""
        with open("/proc/stat") as file:
            user, nice, system, _, _, irq, soft, steal = map(int, file.readline().split()[1:9])
        return (user + nice + system + irq + soft + steal) / tree.TICK - tree.cpu([server.process.pid])

    def cpu(self, server, uri, few, many, *words):
        """CPU time of a request, in microseconds: what many requests take more than few, without the opening of connections."""
        spent = []
        for requests in (few, many):
            found = self.load(server, uri, "-n", requests, *words)
            spent.append(found["server"]["cpu"] * found["answered"])
        return (spent[1] - spent[0]) / (many - few)
