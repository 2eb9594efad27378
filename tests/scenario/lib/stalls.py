# SPDX-License-Identifier: ISC
"""Who held a loop up: workers look on while the tests run, and say so in their logs.

No handler of the tests computes or blocks, so whoever is named is at fault.  Where nobody is named, the thread did not
come to take a signal: it was not let run, or the kernel kept it waiting for the disk, which is the machine's doing.
"""
import os
import re
import subprocess

LIMIT = 50          # milliseconds, before --relax
FRAMES = 8          # of the place that are worth reading
SAID = re.compile(r'stall in="([^"]*)" ms=(\d+) at="([^"]+)"')


def look_out(relax):
    """Let all workers that are started from now on look out for stalls."""
    os.environ["WEFT_STALL_MS"] = str(round(LIMIT * relax))


def name_of(program, place):
    """A function's name for weft+0x1234; what cannot be named stays as it is."""
    file, _, offset = place.partition("+")
    if file != os.path.basename(program):
        return place
    try:
        done = subprocess.run(["addr2line", "-f", "-s", "-e", program, offset], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True, timeout=20, check=False)
        return done.stdout.split("\n")[0].strip() or place
    except (OSError, subprocess.TimeoutExpired):
        return place


def find(folder, program):
    """Returns a line for each stall that a log in this folder tells of.  program: the weft that ran."""
    found = []
    for log in sorted(os.listdir(folder)):
        if not log.endswith(".log"):
            continue
        with open(os.path.join(folder, log), errors="replace") as file:
            for line in file:
                said = SAID.search(line)
                if said:
                    places = [name_of(program, place) for place in said.group(3).split()[:FRAMES]]
                    found.append(f"{log}: the loop was held up in {said.group(1)}: {' < '.join(places)}")
    return found
