# SPDX-License-Identifier: ISC
"""weft itself, and the floor that it is measured against."""
import os

from lib.place import free_port, wait_until
from lib.weft import Weft

from .cases import BODY
from .subject import Subject

WEFT_CONF = """\
workers = 1
control = "@RUN@/control.sock"
listen "web" { address = "unix:@RUN@/web.sock"  mode = "0666" }
listen "tcp" { address = "127.0.0.1:@PORT@" }
module "fixed" { file = "@MODULES@/fixed.so" }
module "probe" { file = "@MODULES@/probe.so"  prefix = "/app" }
pool "cache" { url = "redis+unix://@REDIS@"  min = 2  max = 8 }
pool "db" { url = "@POSTGRES@"  min = 8  max = 16 }
"""


class Floor(Subject):
    """The least that a responder can do.  Where others ask a back end its answer is the fixed one, without any."""
    name = "floor"
    passes = "fastcgi"
    uris = {"fixed": "/"}

    def takes(self, case):
        return True

    def uri(self, case):
        return self.uris["fixed"]

    def body(self, case):
        return BODY

    def start(self):
        place = self.make_place("floor")
        self.socket = place.path("floor.sock")
        self.process = self.spawn(place, [self.bench.program("floor"), self.socket])
        self.address = f"unix:{self.socket}"
        wait_until(lambda: os.path.exists(self.socket), "floor listens")


class WeftServer(Subject):
    name = room = "weft"
    conf = WEFT_CONF
    passes = "fastcgi"
    uris = {"fixed": "/fixed", "redis": "/app/probe?op=redis&key=k", "row": "/app/probe?op=sql&id=%r"}

    def start(self):
        self.port = free_port()
        weft = Weft(self.make_place(self.room), self.conf, PORT=self.port).start()
        self.socket, self.process = weft.socket, weft.process
        self.address = f"unix:{self.socket}"


class WeftTcp(WeftServer):
    """Over loopback, as the peers that speak HTTP are."""
    name, room = "weft TCP", "weft-tcp"
    uris = {"fixed": "/fixed"}
    passes = None

    def start(self):
        super().start()
        self.address = f"127.0.0.1:{self.port}"


class WeftProbe(WeftServer):
    """With a handler that reads its query."""
    name, room = "weft probe", "weft-probe"
    uris = {"fixed": "/app/probe?op=ok"}

    def takes(self, case):
        return case.name in ("fixed", "one")

    def body(self, case):
        return "ok"
