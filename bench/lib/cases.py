# SPDX-License-Identifier: ISC
"""What is measured: a case is one way of asking one question.

A question has the same answer from every subject, which is checked; a subject says under which address it is asked
(Subject.uris).  A further case is a line in CASES, a further kind of work a line in QUESTIONS and one in the
subjects that can do it.
"""
import collections

from . import techempower

BODY = "Hello, World!"


def row_is_right(body, number):
    """The row of the table world that a random number asks for; see lib/backends.py of the scenarios."""
    return body == f"{number} {number * 7 % 10007}"


# is_right(body, number)  whether this is the answer; number is what stands for %r in the address
# body                    the answer, where it is always the same: then each one is compared, under load as well
Question = collections.namedtuple("Question", "is_right body")


def always(body):
    return Question(lambda got, number: got == body, body)


QUESTIONS = {
    "fixed": always(BODY),
    "redis": always(BODY),
    "row": Question(row_is_right, None),
    "te-plaintext": always(BODY),
    "te-json": Question(techempower.json_is_right, None),
    "te-db": Question(techempower.row_is_right, None),
    "te-query": Question(techempower.rows_are_right(1), None),
    "te-queries": Question(techempower.rows_are_right(20), None),
    "te-updates": Question(techempower.rows_are_right(20), None),
    "te-fortunes": Question(techempower.fortunes_are_right, None),
    "te-cached": Question(techempower.rows_are_right(20), None),
}

# asks         its question
# connections  how many there are; each has one request at a time
# is_kept      one connection for many requests, or a new one for each
# is_fronted   a web server stands in front, and what counts are requests a second, not CPU time
Case = collections.namedtuple("Case", "name text asks connections is_kept is_fronted", defaults=(64, True, False))

CASES = (
    Case("fixed", "fixed answer, 64 kept connections", "fixed"),
    Case("one", "fixed answer, one request at a time on one kept connection", "fixed", connections=1),
    Case("new", "fixed answer, a new connection each", "fixed", is_kept=False),
    Case("redis", "Redis GET, 64 kept connections", "redis"),
    Case("row", "PostgreSQL row, 64 kept connections", "row"),
    Case("nginx", "fixed answer through nginx, 64 kept connections", "fixed", is_fronted=True),
    Case("nginx-redis", "Redis GET through nginx, 64 kept connections", "redis", is_fronted=True),
    Case("te-plaintext", "TechEmpower plaintext, 64 kept connections, no pipelining", "te-plaintext"),
    Case("te-json", "TechEmpower JSON, 64 kept connections", "te-json"),
    Case("te-db", "TechEmpower single query, 64 kept connections", "te-db"),
    Case("te-query", "TechEmpower multiple queries, 1 of them, 64 kept connections", "te-query"),
    Case("te-queries", "TechEmpower multiple queries, 20 of them, 64 kept connections", "te-queries"),
    Case("te-updates", "TechEmpower updates, 20 of them, 64 kept connections", "te-updates"),
    Case("te-fortunes", "TechEmpower fortunes, 64 kept connections", "te-fortunes"),
    Case("te-cached", "TechEmpower cached queries, 20 of them from Redis, 64 kept connections", "te-cached"),
    Case("te-nginx-queries", "TechEmpower multiple queries through nginx, 20 of them, 64 kept connections", "te-queries",
         is_fronted=True),
    Case("te-nginx-fortunes", "TechEmpower fortunes through nginx, 64 kept connections", "te-fortunes", is_fronted=True),
)


def choose(names):
    """The cases of these names; of no names all.  Raises KeyError for a name that is none."""
    by_name = {case.name: case for case in CASES}
    return [by_name[name] for name in names] if names else list(CASES)
