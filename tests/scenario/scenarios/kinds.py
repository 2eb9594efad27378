# SPDX-License-Identifier: ISC
"""The kinds of back ends, each with what a scenario has to know of it: what holds for one is asked of all."""
import os
import socket
import subprocess
import threading
import time

from lib.backends import Service
from lib.place import Failure


class Session:
    """A client of the back end's own that stays connected, and asks one thing over and over."""

    def __init__(self, argv, question):
        self.question = question + "\n"
        self.child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def number(self):
        self.child.stdin.write(self.question)
        self.child.stdin.flush()
        line = self.child.stdout.readline()
        if not line.strip().isdigit():
            raise Failure(f"{self.child.args[0]} says {line!r}")
        return int(line)

    def close(self):
        self.child.stdin.close()
        self.child.stdout.close()
        self.child.wait()


class RedisSession:
    """How many clients Redis has but this one."""

    def __init__(self, redis):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(redis.socket)
        self.file = self.sock.makefile("rb")

    def number(self):
        self.sock.sendall(b"INFO clients\r\n")
        text = self.file.read(int(self.file.readline()[1:]) + 2).decode()
        return int(text.split("connected_clients:")[1].split()[0]) - 1

    def close(self):
        self.file.close()
        self.sock.close()


class Watch:
    """The most connections that a back end has had meanwhile, by its own count, a thousand times a second or so."""

    def __init__(self, session):
        self.session = session
        self.most = self.looks = 0
        self.failure = None
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        try:
            while not self.is_over.is_set():
                self.most = max(self.most, self.session.number())
                self.looks += 1
                time.sleep(0.0005)
        except (Failure, OSError, ValueError, IndexError) as failure:
            self.failure = failure
        self.session.close()

    def end(self):
        self.is_over.set()
        self.thread.join()
        if self.failure is not None:
            raise Failure(f"its connections cannot be counted: {self.failure}")
        return self.most


class Kind:
    """One of them.

    pool        the name of its pool
    quick       what is answered at once, with right
    slow        what keeps a connection busy for so many milliseconds; it is borrowed for it where many could share one
    is_silent   whether a pool cannot tell one that is stopped from one that takes long, as the kernel accepts connections for it
    only_ten    lets a pool have ten connections and no more.  Returns the URL for it; any_number ends that
    refused     how many have been refused for that or the like
    watch       begins to count those
    """
    is_sql = is_silent = False

    def __init__(self, stage):
        self.stage = stage

    def close(self):
        pass

    def slow(self, length):
        return f"op={self.sleep}&ms={length}"

    def pause(self):
        self.server.pause()

    def go_on(self):
        self.server.go_on()

    def kill(self):
        self.server.kill()

    def start(self):
        self.server.start()


class RedisKind(Kind):
    pool, quick, right, sleep, port = "cache", "op=redis&key=scenario", b"shuttle", "pop", 6379
    scheme = "redis://{}"

    def __init__(self, stage):
        super().__init__(stage)
        self.server = stage.suite.redis
        self.url = "redis+unix://" + self.server.socket
        self.proxy = stage.redis_proxy
        self.set_key()

    def set_key(self):
        self.server.ask("SET", "scenario", "shuttle")
        # It looks that often who has waited for long enough; usually ten times a second.
        self.server.ask("CONFIG", "SET", "hz", "500")

    def start(self):
        super().start()
        self.set_key()

    def only_ten(self, url):
        # And whoever counts them.
        self.server.ask("CONFIG", "SET", "maxclients", "11")
        return url

    def any_number(self):
        self.server.ask("CONFIG", "SET", "maxclients", "2000")

    def refused(self):
        return int(self.server.ask("INFO", "stats").decode().split("rejected_connections:")[1].split()[0])

    def watch(self):
        return Watch(RedisSession(self.server))


class SqlKind(Kind):
    pool, quick, right, sleep = "db", "op=sql&id=7", b"7 49", "wait"
    is_sql = True

    @property
    def url(self):
        return self.server.url


class PostgresKind(SqlKind):
    port, scheme = 5432, "postgresql://u@{}/d"

    def __init__(self, stage):
        super().__init__(stage)
        self.server = stage.suite.postgres
        self.proxy = stage.postgres_proxy

    def only_ten(self, url):
        self.server.query("CREATE ROLE ten LOGIN CONNECTION LIMIT 10; GRANT SELECT ON world TO ten")
        return url.replace("user=postgres", "user=ten")

    def any_number(self):
        self.server.query("DROP OWNED BY ten; DROP ROLE ten")

    def refused(self):
        return self.server.process.log_text().count("too many connections for role")

    def watch(self):
        server = self.server
        return Watch(Session([os.path.join(server.bin, "psql"), "-qAtX", "-h", server.folder, "-p", str(server.port), "-U", "postgres"],
                             "SELECT count(*) FROM pg_stat_activity WHERE usename = 'ten';"))


class MariadbKind(SqlKind):
    port, scheme = 3306, "mariadb://u@{}/d"

    def __init__(self, stage):
        super().__init__(stage)
        self.server = stage.suite.mariadb
        self.proxy = stage.mariadb_proxy

    def only_ten(self, url):
        self.server.query("CREATE USER ten@localhost WITH MAX_USER_CONNECTIONS 10; GRANT ALL ON weft.* TO ten@localhost")
        return url.replace("root@", "ten@")

    def any_number(self):
        self.server.query("DROP USER ten@localhost")

    def refused(self):
        return int(self.server.query("SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS"
                                     " WHERE VARIABLE_NAME = 'ACCESS_DENIED_ERRORS' OR VARIABLE_NAME = 'ABORTED_CONNECTS'").split()[0])

    def watch(self):
        return Watch(Session(["mariadb", "--no-defaults", "--socket=" + self.server.socket, "-u", "root", "-BNn"],
                             "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'ten' OR USER LIKE 'unauth%';"))


class HttpKind(Kind):
    """A service of each scenario's own."""
    pool, quick, right, sleep, port = "service", "op=http&ms=0", b"waited 0 ms", "http", 80
    scheme = "http://{}"
    is_silent = True

    def __init__(self, stage):
        super().__init__(stage)
        self.server = Service().start()
        self.url = f"http://127.0.0.1:{self.server.port}"
        self.proxy = stage.service_proxy

    def close(self):
        self.server.go_on()
        self.server.kill()


KINDS = {"redis": RedisKind, "postgres": PostgresKind, "mariadb": MariadbKind, "http": HttpKind}
