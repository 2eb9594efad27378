# SPDX-License-Identifier: ISC
"""Real web servers in front of weft, each with its configuration of contrib/ as it is."""
import os
import shutil
import socket
import subprocess

from . import http
from .place import Failure, free_port, wait_until

# Filled before privileges are dropped: {name: text} of contrib/ and of frame/.
contrib = {}
frame = {}
examples = {}       # "shop/weft.conf" and so on


def load(top):
    for texts, folder in ((contrib, os.path.join(top, "contrib")),
                          (frame, os.path.join(top, "tests", "scenario", "frame"))):
        for name in os.listdir(folder):
            with open(os.path.join(folder, name)) as file:
                texts[name] = file.read()
    for name in ("hello/weft.conf", "probe/weft.conf", "shop/weft.conf", "shop/schema.sql", "waterfall/weft.conf",
                 "bank/weft.conf", "bank/schema.sql", "techempower/weft.conf", "techempower/seed.sql"):
        with open(os.path.join(top, "examples", name)) as file:
            examples[name] = file.read()


class Front:
    """A web server.  Subclasses say what runs."""

    program = ""        # must be there, or the scenarios fail
    conf = ""           # of contrib/
    is_spawning = False  # it starts weft itself
    is_cgi = False
    takes_chunked = True

    def __init__(self, place):
        self.place = place
        self.port = free_port()
        os.mkdir(place.path("htdocs"))

    @classmethod
    def is_there(cls):
        return shutil.which(cls.program, path=os.environ["PATH"] + ":/usr/sbin:/sbin") is not None

    def fill(self, frame_name):
        inner = self.place.fill(self.conf, contrib[self.conf], PORT=self.port)
        return self.place.fill("front.conf", frame[frame_name], PORT=self.port, INNER=inner)

    def command(self):
        raise NotImplementedError

    def start(self):
        self.process = self.place.spawn(self.program, self.command(), env=self.environment())
        wait_until(self.is_up, f"{self.program} listens")
        return self

    def environment(self):
        return dict(os.environ, PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")

    def is_up(self):
        if not self.process.is_alive():
            raise Failure(f"{self.program} ended at once: {self.process.log_text()[-1000:]}")
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def fetch(self, path, limit=20.0, **more):
        return http.fetch(self.port, path, limit, **more)

    def fetch_all(self, paths, limit=20.0):
        return http.fetch_all([http.Request(self.port, path) for path in paths], limit)

    def load(self, paths, **more):
        return http.Load(self.port, paths, **more)


class Lighttpd(Front):
    program = "lighttpd"
    conf = "lighttpd.conf"

    def command(self):
        return ["lighttpd", "-D", "-f", self.fill("lighttpd.conf")]


class LighttpdAuthorizer(Lighttpd):
    conf = "lighttpd-authorizer.conf"


class LighttpdSpawn(Lighttpd):
    conf = "lighttpd-spawn.conf"
    is_spawning = True


class LighttpdCgi(Lighttpd):
    conf = "lighttpd-cgi.conf"
    is_cgi = True

    def command(self):
        self.place.fill("weft.cgi", contrib["weft.cgi"], 0o755)
        return super().command()


class Nginx(Front):
    program = "nginx"
    conf = "nginx.conf"

    def command(self):
        return ["nginx", "-p", self.place.folder, "-e", self.place.path("nginx-error.log"),
                "-c", self.fill("nginx.conf")]


class NginxClose(Nginx):
    conf = "nginx-close.conf"


class Apache(Front):
    program = "apache2"
    define = ""

    def command(self):
        return ["apache2", "-DFOREGROUND", "-D" + self.define, "-f", self.fill("apache.conf")]


class ApacheProxy(Apache):
    conf = "apache-proxy.conf"
    define = "PROXY"


class ApacheFcgid(Apache):
    conf = "apache-fcgid.conf"
    define = "FCGID"
    takes_chunked = False


class ApacheFcgidAuthorizer(ApacheFcgid):
    conf = "apache-fcgid-authorizer.conf"


class ApacheCgi(Apache):
    conf = "apache-cgi.conf"
    define = "CGI"
    is_cgi = True
    takes_chunked = False

    def command(self):
        self.place.fill("weft.cgi", contrib["weft.cgi"], 0o755)
        return super().command()


class Haproxy(Front):
    program = "haproxy"
    conf = "haproxy.cfg"
    takes_chunked = False   # 2.6 says 400 when such a body is longer than its buffer

    def command(self):
        return ["haproxy", "-db", "-f", self.place.fill(self.conf, contrib[self.conf], PORT=self.port)]


class H2o(Front):
    program = "h2o"
    conf = "h2o.yaml"

    def command(self):
        return ["h2o", "-m", "worker", "-c", self.place.fill(self.conf, contrib[self.conf], PORT=self.port)]


class Caddy(Front):
    program = "caddy"
    conf = "Caddyfile"

    def command(self):
        return ["caddy", "run", "--adapter", "caddyfile", "--config",
                self.place.fill(self.conf, contrib[self.conf], PORT=self.port)]

    def environment(self):
        # It keeps what it ran last in its home.
        return dict(super().environment(), HOME=self.place.folder, XDG_CONFIG_HOME=self.place.folder,
                    XDG_DATA_HOME=self.place.folder)


class CgiFcgi(Front):
    """cgi-fcgi of the fcgi2 library: no web server, but somebody else's client."""

    program = "cgi-fcgi"
    is_cgi = True
    takes_chunked = False

    def start(self):
        return self

    def is_up(self):
        return True

    def fetch(self, path, limit=20.0, method="GET", body=None, headers=()):
        where, _, query = path.partition("?")
        env = {"GATEWAY_INTERFACE": "CGI/1.1", "SERVER_PROTOCOL": "HTTP/1.1", "REQUEST_METHOD": method,
               "REQUEST_URI": path, "SCRIPT_NAME": "/app", "PATH_INFO": where[len("/app"):], "QUERY_STRING": query,
               "SERVER_NAME": "localhost", "SERVER_PORT": str(self.port), "REMOTE_ADDR": "127.0.0.1"}
        if body is not None:
            env["CONTENT_LENGTH"] = str(len(body))
        for name, value in headers:
            env["HTTP_" + name.upper().replace("-", "_")] = value
        with open(self.place.path("cgi-fcgi.log"), "ab") as log:
            done = subprocess.run(["cgi-fcgi", "-bind", "-connect", self.place.path("web.sock")], input=body or b"",
                                  env=dict(env, PATH=os.environ["PATH"]), stdout=subprocess.PIPE, stderr=log,
                                  timeout=limit, check=False)
        answer = http.Answer()
        head, _, answer.body = done.stdout.partition(b"\r\n\r\n")
        for line in head.decode("latin-1").split("\r\n"):
            name, _, value = line.partition(":")
            answer.headers[name.lower()] = value.strip()
        answer.status = int(answer.headers.get("status", "200").split()[0])
        if done.returncode != 0:
            answer.error = f"cgi-fcgi ends with {done.returncode}"
        return answer

    def fetch_all(self, paths, limit=20.0):
        return [self.fetch(path, limit) for path in paths]


ALL = {
    "lighttpd": Lighttpd,
    "lighttpd-spawn": LighttpdSpawn,
    "nginx": Nginx,
    "nginx-close": NginxClose,
    "apache-proxy": ApacheProxy,
    "apache-fcgid": ApacheFcgid,
    "haproxy": Haproxy,
    "h2o": H2o,
    "caddy": Caddy,
    "apache-cgi": ApacheCgi,
    "lighttpd-cgi": LighttpdCgi,
    "cgi-fcgi": CgiFcgi,
}
