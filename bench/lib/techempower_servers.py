# SPDX-License-Identifier: ISC
"""The tests of the TechEmpower benchmark: weft's example, and the same for two peers.

Each has 8 connections to the database and, where it asks Redis, 2 to that.  weft is asked over FastCGI, the peers over
HTTP, none of them with a web server in front unless the case says so.  The benchmark pipelines its plaintext requests
over HTTP; FastCGI has no such thing (many requests at once on a connection, yes, but no web server makes use of that),
so nobody does here.
"""
import os

from .ours import WeftServer
from .peers_http import Kore, NginxLua
from .subject import PEERS

CONF = """\
workers = 1
control = "@RUN@/control.sock"
listen "web" { address = "unix:@RUN@/web.sock"  mode = "0666" }
listen "tcp" { address = "127.0.0.1:@PORT@" }
module "probe" { file = "@MODULES@/probe.so"  prefix = "/app" }
module "techempower" { file = "@MODULES@/techempower.so" }
pool "cache" { url = "redis+unix://@REDIS@"  min = 2  max = 2 }
pool "db" { url = "@TECHEMPOWER@"  min = 8  max = 8  queue = 20000 }
"""


class WeftTechempower(WeftServer):
    room, conf = "weft-techempower", CONF
    uris = {"te-plaintext": "/plaintext", "te-json": "/json", "te-db": "/db", "te-query": "/queries?queries=1",
            "te-queries": "/queries?queries=20", "te-updates": "/updates?queries=20", "te-fortunes": "/fortunes",
            "te-cached": "/cached-queries?count=20"}


class LuaTechempower(NginxLua):
    room = "nginx-lua-techempower"
    uris = WeftTechempower.uris
    needs = {**NginxLua.needs, "/usr/lib/x86_64-linux-gnu/lua/5.1/cjson.so": "lua-cjson"}

    def prepare(self):
        super().prepare()
        with open(os.path.join(PEERS, NginxLua.room, "pg.lua")) as file:
            self.texts["pg.lua"] = file.read()


class KoreTechempower(Kore):
    room, program, file = "kore-techempower", "kore-te.so", "te.c"
    database = "techempower"
    # It has no client for Redis.
    uris = {question: uri for question, uri in WeftTechempower.uris.items() if question not in ("te-updates", "te-cached")}
