# SPDX-License-Identifier: ISC
"""The peers that speak FastCGI, each on a unix socket."""
import os

from lib.place import wait_until

from .subject import Peer


class FastcgiPeer(Peer):
    passes = "fastcgi"
    environment = {}

    def argv(self, place):
        """What starts it; it listens at web.sock in its folder."""
        raise NotImplementedError

    def start(self):
        place = self.make_place(self.room)
        self.fill(place)
        self.socket = place.path("web.sock")
        self.process = self.spawn(place, self.argv(place), {**self.bench.back_ends(), **self.environment})
        self.address, self.root = f"unix:{self.socket}", place.folder
        wait_until(lambda: self.fail_if_dead(self.process) or os.path.exists(self.socket), f"{self.name} listens")


class Libfcgi(FastcgiPeer):
    name = room = "libfcgi"
    uris = {"fixed": "/"}
    needs = {"/usr/include/fcgiapp.h": "libfcgi-dev"}

    def prepare(self):
        source = self.source("fixed.c")
        self.bench.compile("libfcgi-fixed", source, ["cc", "-O2", "-pthread", source, "-lfcgi"])

    def argv(self, place):
        return [self.bench.program("libfcgi-fixed"), place.path("web.sock")]


class PhpFpm(FastcgiPeer):
    name = room = "php-fpm"
    uris = {"fixed": "/fixed.php", "redis": "/redis.php?key=k", "row": "/row.php?id=%r"}
    needs = {"php-fpm8.2": "php8.2-fpm", "/etc/php/8.2/fpm/conf.d/20-pgsql.ini": "php8.2-pgsql",
             "/etc/php/8.2/fpm/conf.d/20-redis.ini": "php8.2-redis"}

    def variables(self, case):
        return {"SCRIPT_FILENAME": self.root + self.uri(case).partition("?")[0]}

    def argv(self, place):
        # These are read when it starts only, so the pool's configuration cannot have them.
        return ["php-fpm8.2", "-y", place.path("php-fpm.conf"), "-d", "opcache.enable=1",
                "-d", "opcache.validate_timestamps=0", "-d", "opcache.jit=tracing", "-d", "opcache.jit_buffer_size=16M"]


class Go(FastcgiPeer):
    name, room = "Go", "go"
    uris = {"fixed": "/fixed", "redis": "/redis?key=k", "row": "/row?id=%r"}
    needs = {"go": "golang-go", "/usr/share/gocode/src/github.com/gomodule/redigo": "golang-github-gomodule-redigo-dev",
             "/usr/share/gocode/src/github.com/jackc/pgx": "golang-github-jackc-pgx-v4-dev"}

    # With two processors its threads wake each other, and it serves fewer; collecting seldom spares a tenth of its time.
    environment = {"GOMAXPROCS": "1", "GOGC": "400"}

    def prepare(self):
        # Sources of Debian's packages only: nothing is fetched.
        source = self.source("main.go")
        self.bench.compile("go-peer", source, ["go", "build"], [source], GO111MODULE="off", GOPATH="/usr/share/gocode",
                           GOCACHE=os.path.join(self.bench.options.build, "bench", "made", "go-cache"))

    def argv(self, place):
        return [self.bench.program("go-peer"), place.path("web.sock")]
