# SPDX-License-Identifier: ISC
"""What the rounds come to, as text."""
import statistics

from .subjects import BASE, UNIT

SPREAD = f"{'median':>9}{'min':>9}{'max':>9}"


def spread(numbers, digits):
    """Median, least and most."""
    if not numbers:
        return f"{'-':>9}{'':18}"
    return "".join(f"{number:9.{digits}f}" for number in (statistics.median(numbers), min(numbers), max(numbers)))


def one(numbers, digits):
    return f"{statistics.median(numbers):10.{digits}f}" if numbers else f"{'-':>10}"


def tail(results, case, name):
    return (f"{results.median(case, name, 'p99'):10.0f}"
            f"{max(results.values(case, name, 'pss')) / 1024:10.1f}")


def cpu_table(results, case):
    """CPU time counts."""
    yield (f"{'':12}{'CPU us a request':>27}{'times the ' + BASE:>28}{'x ' + UNIT:>10}{'a second':>10}"
           f"{'99% us':>10}{'PSS MiB':>10}")
    yield f"{'':12}{SPREAD} {SPREAD}"
    for name in results.names(case):
        yield (f"{name:12}{spread(results.values(case, name, 'cpu'), 2)} "
               f"{spread(results.ratios(case, name, BASE, 'cpu'), 2)}"
               f"{one(results.ratios(case, name, UNIT, 'cpu'), 2)}"
               f"{results.median(case, name, 'per_second'):10.0f}{tail(results, case, name)}")


def rate_table(results, case):
    """Requests a second count; CPU time is that of the web server and of what stands behind it."""
    yield (f"{'':12}{'requests a second':>27}{UNIT + ' to it':>28}{'web CPU us':>12}{'its CPU us':>12}"
           f"{'99% us':>10}{'PSS MiB':>10}")
    yield f"{'':12}{SPREAD} {SPREAD}"
    for name in results.names(case):
        front, both = results.median(case, name, "cpu_front"), results.median(case, name, "cpu")
        yield (f"{name:12}{spread(results.values(case, name, 'per_second'), 0)} "
               f"{spread(results.ratios(case, UNIT, name, 'per_second'), 2)}"
               f"{front:12.2f}{both - front:12.2f}{tail(results, case, name)}")


def text(results):
    lines = []
    for case in results.cases():
        lines += ["", case.text, *(rate_table if case.is_fronted else cpu_table)(results, case)]
    return "\n".join(lines)
