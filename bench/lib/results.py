# SPDX-License-Identifier: ISC
"""What the rounds found, and how it is kept in a file."""
import json
import statistics

from . import cases, subjects


class Results:
    def __init__(self, seconds):
        self.seconds = seconds  # of load in each measurement
        self.rounds = []        # {(case, subject): what load returned}

    def values(self, case, name, key):
        """Of all rounds; none when it was not measured."""
        return [one[case.name, name][key] for one in self.rounds if (case.name, name) in one]

    def median(self, case, name, key):
        return statistics.median(self.values(case, name, key))

    def ratios(self, case, upper, lower, key):
        """Of one subject to another, each within its round; none when one of them was not measured."""
        return [mine / its for mine, its in zip(self.values(case, upper, key), self.values(case, lower, key))]

    def cases(self):
        """Those that were measured."""
        return [case for case in cases.CASES if self.names(case)]

    def names(self, case):
        """The subjects that were measured in it."""
        names = dict.fromkeys(kind.name for kind in subjects.SUBJECTS)
        return [name for name in names if self.values(case, name, "cpu")]

    def write(self, file):
        flat = [[{"case": case, "subject": name, **found} for (case, name), found in one.items()]
                for one in self.rounds]
        json.dump({"seconds": self.seconds, "rounds": flat}, file, indent=1)

    @classmethod
    def read(cls, file):
        kept = json.load(file)
        results = cls(kept["seconds"])
        for one in kept["rounds"]:
            results.rounds.append({(found.pop("case"), found.pop("subject")): found for found in one})
        return results
