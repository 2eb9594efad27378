# SPDX-License-Identifier: ISC
"""What the rounds come to, as text."""
import statistics

from .subjects import BASE, UNIT


def values(rounds, case, name, key):
    return [one[case.name, name][key] for one in rounds if (case.name, name) in one]


def ratios(rounds, case, name, other, key):
    """Of one subject to another, each within its round; empty when the other was not measured."""
    return [mine / its for mine, its in zip(values(rounds, case, name, key), values(rounds, case, other, key))]


def spread(numbers, digits):
    """Median, least and most."""
    if not numbers:
        return f"{'-':>9}{'':16}"
    return "".join(f"{number:{width}.{digits}f}" for number, width in
                   ((statistics.median(numbers), 9), (min(numbers), 8), (max(numbers), 8)))


def line(rounds, case, name):
    cpu = values(rounds, case, name, "cpu")
    to_unit = ratios(rounds, case, name, UNIT, "cpu")
    return (f"{name:14}{spread(cpu, 2)} {spread(ratios(rounds, case, name, BASE, 'cpu'), 2)}"
            f"{statistics.median(to_unit) if to_unit else float('nan'):9.2f}"
            f"{statistics.median(values(rounds, case, name, 'per_second')):12.0f}"
            f"{statistics.median(values(rounds, case, name, 'p99')):9.0f}"
            f"{max(values(rounds, case, name, 'pss')) / 1024:9.1f}")


def text(rounds, cases, subjects):
    lines = []
    for case in cases:
        lines += ["", case.text, f"{'':14}{'CPU us a request':>25} {'times the ' + BASE:>25}{'x ' + UNIT:>9}"
                  f"{'a second':>12}{'99% us':>9}{'PSS MiB':>9}",
                  f"{'':14}" + 2 * f"{'median':>9}{'min':>8}{'max':>8} "]
        lines += [line(rounds, case, subject.name) for subject in subjects if subject.takes(case)]
    return "\n".join(lines)
