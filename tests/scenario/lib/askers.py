# SPDX-License-Identifier: ISC
"""tests/support/askers: many clients at once, and what became of each request."""
import collections
import subprocess
import time

from .place import Failure
from .weft import PROBE

LEFT, CLOSED, NO_CONNECTION, LATE = 0, -1, -2, -3

# seconds of the monotonic clock; status: of the answer, or one of the above; text: the first line of its body
Result = collections.namedtuple("Result", "number began took status text")


class Askers:
    """Requests from a process of their own, while the scenario goes on.

    query    of the probe; %n in it is the request's number
    address  of weft, if not its unix socket
    options  as those of askers.c, such as k=8
    """

    def __init__(self, weft, query, name="askers", address="", **options):
        self.place = weft.place
        self.out = self.place.path(name + ".out")
        argv = [self.place.words["SUPPORT"] + "/askers", "-a", address or weft.socket, "-u", f"{PROBE}?{query}"]
        for option, value in options.items():
            argv += ["-" + option, str(value)]
        with open(self.out, "wb") as out:
            self.process = self.place.spawn(name, argv, stdin=subprocess.DEVNULL, stdout=out)

    def wait(self, limit=60.0):
        """Until all has been asked and answered.  Returns the results, by number."""
        try:
            status = self.process.child.wait(limit)
        except subprocess.TimeoutExpired:
            raise Failure(f"requests are under way still, after {limit:.0f} s") from None
        if status != 0:
            raise Failure(f"askers ended with {status}: {self.process.log_text()}")
        return self.results()

    def end(self, limit=60.0):
        """Ask no more, and wait."""
        if self.process.is_alive():
            self.process.child.terminate()
        return self.wait(limit)

    def results(self):
        found = []
        with open(self.out, errors="replace") as file:
            for line in file:
                number, began, took, status, text = line.rstrip("\n").split(" ", 4)
                found.append(Result(int(number), int(began) / 1e6, int(took) / 1e6, int(status), text))
        return found


def tally(results):
    """Returns {status: how many}."""
    return dict(collections.Counter(result.status for result in results))


def between(results, since, until=float("inf")):
    """Those that began within this time."""
    return [result for result in results if since <= result.began < until]


def percentile(results, share):
    """Seconds that SHARE (0..1) of them did not exceed."""
    times = sorted(result.took for result in results)
    if not times:
        raise Failure("nothing was asked meanwhile")
    return times[min(len(times) - 1, int(len(times) * share))]


def ask(weft, query, limit=60.0, name="askers", **options):
    """All of it, from begin to end.  Returns the results."""
    return Askers(weft, query, name, **options).wait(limit)


def pulse(weft, query="op=ok", name="pulse", k=2, r=500):
    """Requests that need nobody: what the others notice.  They have begun when this returns."""
    beats = Askers(weft, query, name, k=k, r=r)
    time.sleep(0.05)
    return beats
