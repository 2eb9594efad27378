# SPDX-License-Identifier: ISC
"""CPU time and memory of processes with all their children, read as weft bench -P reads them."""
import os
import time

TICK = os.sysconf("SC_CLK_TCK")
CPUCLOCK_SCHED = 2      # linux/posix-timers_types.h: the clock id of a process is made of its id and this


def children(pid):
    found = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children") as file:
                found += [int(word) for word in file.read().split()]
    except OSError:
        pass
    return found


def processes(pids):
    """These and all below them."""
    found = list(pids)
    for pid in found:
        found += children(pid)
    return found


def cpu_of(pid):
    """Seconds: its own, to the nanosecond, and those of its children that have ended."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return time.clock_gettime(~pid << 3 | CPUCLOCK_SCHED) + (int(fields[13]) + int(fields[14])) / TICK
    except OSError:
        return 0.0


def cpu(pids):
    return sum(cpu_of(pid) for pid in processes(pids))


def pss(pids):
    """KiB."""
    total = 0
    for pid in processes(pids):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("Pss:"))
        except OSError:
            pass
    return total
