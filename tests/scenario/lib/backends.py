# SPDX-License-Identifier: ISC
"""Real Redis, PostgreSQL and MariaDB servers, shared by all scenarios that want them; and an HTTP service to wait for."""
import contextlib
import ctypes
import glob
import http.server
import os
import shutil
import signal
import socket
import socketserver
import subprocess
import threading
import time
import urllib.parse

from .place import Failure, Place, free_port, wait_until

ROWS = 10000


def pause_all(pids):
    """Stop processes, and wait until they stand still."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        wait_until(lambda pid=pid: state_of(pid) == "T", f"process {pid} stands still", 10, 0.001)


def signal_those_left(pids, number):
    """Some may have ended since they were counted."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


def state_of(pid):
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0]


class Redis:
    def __init__(self, folder):
        self.place = Place(folder, {})
        self.socket = self.place.path("redis.sock")
        self.process = None

    def start(self):
        if self.process is not None and self.process.is_alive():
            return self
        self.process = self.place.spawn("redis", [
            "redis-server", "--port", "0", "--unixsocket", self.socket, "--unixsocketperm", "777",
            "--maxclients", "2000", "--save", "", "--appendonly", "no", "--daemonize", "no"])
        wait_until(self.is_up, "redis answers")
        return self

    def ask(self, *words):
        """Returns the raw reply to one command."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(self.socket)
            sock.sendall(b"*%d\r\n" % len(words) +
                         b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in (w.encode() for w in words)))
            return sock.recv(65536)

    def is_up(self):
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def kill(self):
        self.process.kill()

    def pause(self):
        """It answers nobody, and its connections stay."""
        pause_all([self.process.pid])

    def go_on(self):
        if self.process is not None and self.process.is_alive():
            self.process.child.send_signal(signal.SIGCONT)

    def stop(self):
        self.go_on()
        self.place.stop_all()


class Postgres:
    """With the table world(id, randomnumber): ids 1 to ROWS, randomnumber = id * 7 % 10007."""

    def __init__(self, folder):
        self.place = Place(folder, {})
        self.folder = self.place.folder
        self.port = free_port()
        self.process = None
        self.bin = self.find()

    @staticmethod
    def find():
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[-2]))
        return found[-1] if found else ""

    @property
    def url(self):
        return self.url_of("postgres")

    def url_of(self, database):
        return f"postgresql:///{database}?host={self.folder}&port={self.port}&user=postgres"

    def run(self, *argv):
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=self.folder, check=False)
        if done.returncode != 0:
            raise Failure(f"{argv[0]}: {done.stdout.decode(errors='replace')[-500:]}")
        return done.stdout.decode()

    def start(self):
        if self.process is not None and self.process.is_alive():
            return self
        data = self.place.path("data")
        is_new = not os.path.exists(data)
        if is_new:
            self.make(data)
        # SIGINT is its fast shutdown: it waits for no client.
        self.process = self.place.spawn("postgres", [
            os.path.join(self.bin, "postgres"), "-D", data, "-k", self.folder, "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=450", "-c", "fsync=off",
            "-c", "shared_buffers=32MB"], how=signal.SIGINT)
        wait_until(self.is_up, "postgres answers", 20)
        if is_new:
            self.fill()
        return self

    def make(self, data):
        self.run(os.path.join(self.bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--no-locale")

    def fill(self):
        self.query("CREATE TABLE world (id integer PRIMARY KEY, randomnumber integer NOT NULL);"
                   f"INSERT INTO world SELECT i, i * 7 % 10007 FROM generate_series(1, {ROWS}) i;")

    def is_up(self):
        argv = [os.path.join(self.bin, "pg_isready"), "-q", "-h", self.folder, "-p", str(self.port)]
        return subprocess.run(argv, check=False).returncode == 0

    def query(self, text, database="postgres"):
        return self.run(os.path.join(self.bin, "psql"), "-qAtX", "-v", "ON_ERROR_STOP=1", "-h", self.folder,
                        "-p", str(self.port), "-U", "postgres", "-c", text, database).strip()

    def load(self, database, text):
        """Run what a file has in a database of its own.  Returns its URL."""
        if not self.query(f"SELECT 1 FROM pg_database WHERE datname = '{database}'"):
            self.query(f"CREATE DATABASE {database}")
        self.query("SET client_min_messages = warning; " + text, database)
        return self.url_of(database)

    def end_connections(self, database, number):
        """Of weft's, by lot."""
        self.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND "
                   f"application_name = 'weft' AND datname = '{database}' ORDER BY random() LIMIT {number}")

    def restart(self, how):
        """Stop by SIGINT (fast: transactions are rolled back) or SIGQUIT (immediate: as if it had crashed), and start."""
        self.process.stop(how)
        self.start()

    def pause(self):
        """It answers nobody, and its connections stay."""
        pause_all([self.process.pid] + self.children())

    def go_on(self):
        if self.process is not None and self.process.is_alive():
            signal_those_left(self.children() + [self.process.pid], signal.SIGCONT)

    def kill(self):
        """kill -9 of all of it, as when a machine goes: the postmaster and its children."""
        children = self.children()
        self.process.kill()
        signal_those_left(children, signal.SIGKILL)
        # Its successor refuses to start while one of them lives.
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), "postgres is gone")

    def children(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            return [int(pid) for pid in file.read().split()]

    def stop(self):
        self.go_on()
        self.place.stop_all()


class Standby(Postgres):
    """A copy of another one that follows it, until it is promoted."""

    def __init__(self, folder, primary):
        super().__init__(folder)
        self.primary = primary

    def make(self, data):
        self.run(os.path.join(self.bin, "pg_basebackup"), "-D", data, "-h", self.primary.folder, "-p", str(self.primary.port),
                 "-U", "postgres", "-R", "-X", "stream", "-c", "fast")

    def fill(self):
        """It has what the primary has."""

    def promote(self):
        self.run(os.path.join(self.bin, "pg_ctl"), "-D", self.place.path("data"), "-w", "promote")


class MariaDB:
    """With the table world as PostgreSQL has it, and a function pg_sleep: what asks one can ask the other."""

    SEED = ("CREATE TABLE IF NOT EXISTS world (id integer PRIMARY KEY, randomnumber integer NOT NULL);"
            f"INSERT IGNORE INTO world SELECT seq, seq * 7 % 10007 FROM seq_1_to_{ROWS};"
            "CREATE OR REPLACE FUNCTION pg_sleep(seconds double) RETURNS int NOT DETERMINISTIC RETURN SLEEP(seconds);")

    def __init__(self, folder):
        self.place = Place(folder, {})
        self.socket = self.place.path("mariadb.sock")
        self.process = None
        self.is_seeded = False

    @property
    def url(self):
        return self.url_of("weft")

    def url_of(self, database):
        return f"mariadb://root@/{database}?socket={self.socket}"

    def run(self, argv, text="", may_fail=False):
        done = subprocess.run(argv, input=text.encode(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              cwd=self.place.folder, check=False)
        if done.returncode != 0 and not may_fail:
            raise Failure(f"{argv[0]}: {done.stdout.decode(errors='replace')[-500:]}")
        return done.stdout.decode()

    def start(self):
        if self.process is None or not self.process.is_alive():
            self.spawn()
        wait_until(self.is_up, "mariadb answers", 20)
        # On a busy machine a scenario's time may be over in the middle of this: the next one goes on from there.
        if not self.is_seeded:
            self.query("CREATE DATABASE IF NOT EXISTS weft", "mysql")
            self.query(self.SEED)
            self.is_seeded = True
        return self

    def spawn(self):
        data, draft = self.place.path("data"), self.place.path("draft")
        if not os.path.exists(data):
            shutil.rmtree(draft, ignore_errors=True)
            self.run(["mariadb-install-db", "--no-defaults", "--datadir=" + draft, "--auth-root-authentication-method=normal",
                      "--skip-test-db", "--skip-name-resolve"])
            os.rename(draft, data)
        self.process = self.place.spawn("mariadb", [
            "/usr/sbin/mariadbd", "--no-defaults", "--datadir=" + data, "--socket=" + self.socket, "--skip-networking",
            "--max-connections=450", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M",
            "--innodb-flush-log-at-trx-commit=2", "--key-buffer-size=1M", "--aria-pagecache-buffer-size=1M",
            "--performance-schema=off"])

    def is_up(self):
        argv = ["mariadb-admin", "--no-defaults", "--socket=" + self.socket, "-u", "root", "--silent", "ping"]
        return subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def query(self, text, database="weft"):
        return self.run(["mariadb", "--no-defaults", "--socket=" + self.socket, "-u", "root", "-BN", database], text).strip()

    def load(self, database, text):
        """Run what a file has in a database of its own.  Returns its URL."""
        self.query(f"CREATE DATABASE IF NOT EXISTS {database}")
        self.query(text, database)
        return self.url_of(database)

    def end_connections(self, database, number):
        """Of weft's, by lot."""
        for pid in self.query(f"SELECT id FROM information_schema.processlist WHERE db = '{database}' AND id <> CONNECTION_ID() "
                              f"ORDER BY RAND() LIMIT {number}").split():
            # It may have ended by itself meanwhile.
            self.run(["mariadb", "--no-defaults", "--socket=" + self.socket, "-u", "root", "-f"], f"KILL {pid}", may_fail=True)

    def kill(self):
        self.process.kill()

    def pause(self):
        """It answers nobody, and its connections stay."""
        pause_all([self.process.pid])

    def go_on(self):
        if self.process is not None and self.process.is_alive():
            self.process.child.send_signal(signal.SIGCONT)

    def stop(self):
        self.go_on()
        self.place.stop_all()


class Answering(http.server.BaseHTTPRequestHandler):
    """GET /wait?ms=N: says so after N ms.  GET /big?n=N: N bytes that show a hole or a shift.  GET /most: the most connections there were at a /wait."""
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    lock = threading.Lock()
    there = set()           # connections
    most = 0

    def setup(self):
        super().setup()
        with Answering.lock:
            Answering.there.add(self.connection)

    def finish(self):
        with Answering.lock:
            Answering.there.remove(self.connection)
        super().finish()

    @staticmethod
    def is_open(connection):
        """Has the client not closed it?  Its thread may not have seen that yet."""
        try:
            return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False

    def do_GET(self):
        where = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(where.query))
        if where.path == "/wait":
            with Answering.lock:
                Answering.most = max(Answering.most, sum(map(self.is_open, Answering.there)))
            time.sleep(int(query["ms"]) / 1000)
            self.say(200, f"waited {query['ms']} ms".encode())
        elif where.path == "/big":
            size = int(query["n"])
            self.say(200, (b"0123456789abcdef" * (size // 16 + 1))[:size])
        elif where.path == "/most":
            self.say(200, str(Answering.most).encode())
        else:
            self.say(404, b"no such thing")

    do_POST = do_GET        # without a body

    def say(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Answers(socketserver.ThreadingTCPServer):
    request_queue_size = 512
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that has left is nothing to tell."""


class Service:
    """An HTTP server in a process of its own, always on the same port."""

    def __init__(self):
        self.port = free_port()
        self.pid = 0

    def start(self):
        self.pid = os.fork()
        if self.pid == 0:
            self.run()
        wait_until(self.is_up, "the service answers")
        return self

    def run(self):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)      # PR_SET_PDEATHSIG
        signal.alarm(0)
        try:
            Answers(("127.0.0.1", self.port), Answering).serve_forever()
        finally:
            os._exit(1)

    def is_up(self):
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def pause(self):
        """It answers nobody, and its connections stay."""
        pause_all([self.pid])

    def go_on(self):
        if self.pid:
            os.kill(self.pid, signal.SIGCONT)

    def kill(self):
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.pid = 0
