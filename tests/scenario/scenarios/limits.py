# SPDX-License-Identifier: ISC
"""What script/limits measures (tests/limits), scaled down."""
import importlib

from lib.place import check
from lib.suite import Stage, scenario

NAMES = ("heads", "readers", "upload", "stalled", "slow", "overload", "descriptors", "waiting")


class Limits(Stage):
    """Each measurement starts a weft of its own."""

    def is_healthy(self):
        return False    # so each has a folder of its own, too


def measurement(name):
    measure = importlib.import_module("limits.measure")
    module = importlib.import_module("limits." + name)

    def run(stage):
        measure.raise_files()
        bench = measure.Bench(stage.place, stage.relax)
        module.measure_it(bench, **module.SMALL)
        for row in bench.rows:
            print("#" + measure.row_text(row).rstrip())
        wrong = [" ".join(row[:3]) for row in bench.rows if row[3] is False]
        check(not wrong, "; ".join(wrong))

    return run


for each in NAMES:
    scenario(Limits, name=each, limit=60)(measurement(each))
