# SPDX-License-Identifier: ISC
"""What is a right answer in the tests of the TechEmpower benchmark; see examples/techempower.

Each takes the body, and a number that is of no use here.
"""
import html
import json

FORTUNES = 13


def json_is_right(body, _):
    return json.loads(body) == {"message": "Hello, World!"}


def is_row(row):
    return sorted(row) == ["id", "randomNumber"] and all(1 <= value <= 10000 for value in row.values())


def row_is_right(body, _):
    return is_row(json.loads(body))


def rows_are_right(count):
    def are_right(body, _):
        rows = json.loads(body)
        return isinstance(rows, list) and len(rows) == count and all(map(is_row, rows))
    return are_right


def fortunes_are_right(body, _):
    """Sorted, and escaped: the text of the one that is a script is there, the script is not."""
    messages = [html.unescape(row.partition("</td><td>")[2]) for row in body.split("<tr><td>")[1:]]
    messages = [message.partition("</td></tr>")[0] for message in messages]
    return (len(messages) == FORTUNES and messages == sorted(messages, key=str.encode) and "<script>" not in body
            and messages[0].startswith('<script>alert("') and messages[-1] == "フレームワークのベンチマーク")
