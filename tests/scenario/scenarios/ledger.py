# SPDX-License-Identifier: ISC
"""Inserts of numbers that nobody uses twice: what the table holds in the end shows what each answer was worth."""
from lib.askers import tally
from lib.place import check

INSERT = "op=insert&n=%n"
COMMIT = "op=commit&n=%n"
# What an answer says when the row may be there or not: the reply was lost or, without a transaction, did not come in time.
UNKNOWN = {INSERT: ("outcome unknown", "no answer in time"), COMMIT: ("outcome unknown",)}


def begin(stage):
    stage.postgres.query("CREATE TABLE IF NOT EXISTS ledger (token bigint NOT NULL); TRUNCATE ledger")


def check_ledger(stage, results, how=INSERT):
    """Each acknowledged number is there once, each refused one is not, and the rest is there once or not at all."""
    rows = list(map(int, stage.postgres.query("SELECT token FROM ledger").split()))
    there = set(rows)
    sure = {result.number for result in results if result.status == 200}
    unknown = {result.number for result in results if result.status <= 0 or any(word in result.text for word in UNKNOWN[how])}
    never = {result.number for result in results} - sure - unknown
    print(f"# {len(results)} inserts: {len(sure)} acknowledged, {len(unknown)} unknown, {len(never)} refused; {len(rows)} rows;"
          f" {tally(results)}")
    check(len(rows) == len(there), f"{len(rows) - len(there)} rows are there twice")
    check(sure <= there, f"{len(sure - there)} acknowledged rows are not there, such as {sorted(sure - there)[:3]}")
    wrong = sorted(never & there)
    check(not wrong, f"{len(wrong)} rows are there whose insert was said to have failed, such as"
          f" {[result for result in results if result.number in wrong[:3]]}")
    check(there <= sure | unknown, "there are rows that nobody asked for")
    return len(sure), len(unknown), len(never)
