# SPDX-License-Identifier: ISC
"""Real Redis and PostgreSQL servers, shared by all scenarios that want them."""
import glob
import os
import signal
import socket
import subprocess

from .place import Failure, Place, free_port, wait_until

ROWS = 10000


def pause_all(pids):
    """Stop processes, and wait until they stand still."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        wait_until(lambda pid=pid: state_of(pid) == "T", f"process {pid} stands still", 10, 0.001)


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
            self.run(os.path.join(self.bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-N",
                     "-E", "UTF8", "--no-locale")
        # SIGINT is its fast shutdown: it waits for no client.
        self.process = self.place.spawn("postgres", [
            os.path.join(self.bin, "postgres"), "-D", data, "-k", self.folder, "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=450", "-c", "fsync=off",
            "-c", "shared_buffers=32MB"], how=signal.SIGINT)
        wait_until(self.is_up, "postgres answers", 20)
        if is_new:
            self.query("CREATE TABLE world (id integer PRIMARY KEY, randomnumber integer NOT NULL);"
                       f"INSERT INTO world SELECT i, i * 7 % 10007 FROM generate_series(1, {ROWS}) i;")
        return self

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

    def restart(self, how):
        """Stop by SIGINT (fast: transactions are rolled back) or SIGQUIT (immediate: as if it had crashed), and start."""
        self.process.stop(how)
        self.start()

    def pause(self):
        """It answers nobody, and its connections stay."""
        pause_all([self.process.pid] + self.children())

    def go_on(self):
        if self.process is not None and self.process.is_alive():
            for pid in self.children() + [self.process.pid]:
                os.kill(pid, signal.SIGCONT)

    def kill(self):
        """kill -9 of all of it, as when a machine goes: the postmaster and its children."""
        children = self.children()
        self.process.kill()
        for pid in children:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        # Its successor refuses to start while one of them lives.
        wait_until(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in children), "postgres is gone")

    def children(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            return [int(pid) for pid in file.read().split()]

    def stop(self):
        self.go_on()
        self.place.stop_all()
