# SPDX-License-Identifier: ISC
"""weft itself, and the floor that it is measured against."""
import os

from lib.place import wait_until
from lib.weft import Weft

from .cases import BODY
from .subject import Subject

WEFT_CONF = """\
workers = 1
control = "@RUN@/control.sock"
listen "web" { address = "unix:@RUN@/web.sock"  mode = "0666" }
module "fixed" { file = "@MODULES@/fixed.so" }
module "probe" { file = "@MODULES@/probe.so"  prefix = "/app" }
pool "cache" { url = "redis+unix://@REDIS@"  min = 2  max = 8 }
pool "db" { url = "@POSTGRES@"  min = 8  max = 16 }
"""


class Floor(Subject):
    """The least that a responder can do.  Where others ask a back end its answer is the fixed one, without any."""
    name = "floor"
    uris = {"fixed": "/"}
    passes = "fastcgi"

    def takes(self, case):
        return True

    def uri(self, case):
        return self.uris["fixed"]

    def body(self, case):
        return BODY

    def start(self):
        place = self.make_place("floor")
        socket = place.path("floor.sock")
        self.process = self.spawn(place, [self.bench.program("floor"), socket])
        wait_until(lambda: os.path.exists(socket), "floor listens")
        self.address = f"unix:{socket}"


class WeftServer(Subject):
    name = "weft"
    passes = "fastcgi"
    uris = {"fixed": "/fixed", "redis": "/app/probe?op=redis&key=k", "row": "/app/probe?op=sql&id=%r"}

    def start(self):
        weft = Weft(self.make_place(self.name.replace(" ", "-")), WEFT_CONF).start()
        self.address, self.process = f"unix:{weft.socket}", weft.process


class WeftProbe(Subject):
    """A server of the same kind, with a handler that reads its query."""
    name = "weft probe"
    uris = {"fixed": "/app/probe?op=ok"}

    def takes(self, case):
        return case.name in ("fixed", "one")

    def body(self, case):
        return "ok"

    start = WeftServer.start
