# SPDX-License-Identifier: ISC
"""The peers that speak HTTP, each on a port of loopback, and nginx in front of others."""
import socket

from lib.place import free_port, wait_until

from . import load
from .subject import Peer


def nginx(place):
    return ["nginx", "-p", place.folder, "-e", place.path("error.log"), "-c", place.path("nginx.conf")]


class HttpPeer(Peer):
    load = staticmethod(load.http)
    database = "postgres"

    def argv(self, place):
        """What starts it; it listens at the port that is filled in as @PORT@."""
        raise NotImplementedError

    def is_up(self, port):
        self.fail_if_dead(self.process)
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", port)) == 0

    def listen(self, place, **words):
        port = free_port()
        self.address = f"127.0.0.1:{port}"
        self.fill(place, PORT=port, **words)
        self.process = self.spawn(place, self.argv(place), self.bench.back_ends(self.database))
        wait_until(lambda: self.is_up(port), f"{self.name} listens")

    def start(self):
        self.listen(self.make_place(self.room))


class NginxLua(HttpPeer):
    name, room = "nginx+Lua", "nginx-lua"
    uris = {"fixed": "/fixed", "redis": "/redis?key=k", "row": "/row?id=%r"}
    needs = {"nginx": "nginx-light", "/usr/lib/nginx/modules/ngx_http_lua_module.so": "libnginx-mod-http-lua",
             "/usr/share/lua/5.1/nginx/redis.lua": "lua-nginx-redis", "wrk": "wrk"}

    def argv(self, place):
        return nginx(place)


class Kore(HttpPeer):
    name, room = "Kore", "kore"
    program, file = "kore-bench.so", "bench.c"
    passes = "proxy"
    uris = {"fixed": "/fixed", "row": "/row?id=%r"}
    needs = {"kore": "kore", "/usr/include/postgresql/libpq-fe.h": "libpq-dev", "wrk": "wrk"}

    def prepare(self):
        super().prepare()
        source = self.source(self.file)
        with open("/usr/share/kore/features") as file:
            features = file.read().split()
        self.bench.compile(self.program, source, ["cc", "-O2", "-fPIC", "-shared", *features, source])

    def argv(self, place):
        # In the foreground, without another user and another root.
        return ["kore", "-fnr", "-c", place.path("kore.conf")]


class Front(HttpPeer):
    """nginx in front of another subject; what it asks and answers is that one's."""
    room = "nginx"
    needs = {"nginx": "nginx-light", "wrk": "wrk"}

    def __init__(self, bench, subject):
        super().__init__(bench)
        self.name, self.subject = subject.name, subject
        self.uri, self.body = subject.uri, subject.body

    def start(self):
        self.listen(self.make_place("front-" + type(self.subject).__name__), PASS=self.subject.passes, ROOT=self.subject.root,
                    ADDRESS=self.subject.address)

    def argv(self, place):
        return nginx(place)

    def pids(self):
        return [self.process.pid, *self.subject.pids()]
