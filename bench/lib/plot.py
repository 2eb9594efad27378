# SPDX-License-Identifier: ISC
"""The rounds as a picture: a panel for each case, a bar for each subject, its median; the line is the middle half."""
import math
import statistics
from xml.sax.saxutils import escape

from .subjects import BASE, UNIT

COLUMNS, GAP = 2, 36            # all in pixels
NAME, BAR, VALUE = 84, 230, 170     # the width of a panel: the subject's name, its bar, what it says
PANEL = NAME + BAR + VALUE
TITLE, ROW, THICK = 44, 22, 14
COLOUR = {BASE: "#9a9a9a", UNIT: "#c2410c"}
OURS, OTHERS = "#e08a5b", "#5b7a99"     # weft in another way, and its peers
STYLE = ("text { font: 12px sans-serif; fill: #222 } .title { font-weight: bold; font-size: 13px } "
         ".name { text-anchor: end } .what { fill: #666 }")


def text(x, y, words, style=""):
    return f'<text x="{x:.0f}" y="{y:.0f}" class="{style}">{escape(words)}</text>'


def number(value):
    """Three digits of it."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.{2 - int(math.log10(max(value, 1)))}f}"


def quarters(values):
    """Where the middle half of them begins, their median, and where it ends."""
    return statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else 3 * values


def colour(name):
    return COLOUR.get(name, OURS if name.startswith(UNIT) else OTHERS)


def bar(x, y, name, values, top, says):
    """One subject's row; top is what the whole width stands for."""
    middle = y + ROW / 2
    low, width, high = (BAR * value / top for value in quarters(values))
    x += NAME
    return [text(x - 8, middle + 4, name, "name"),
            f'<rect x="{x:.1f}" y="{middle - THICK / 2:.1f}" width="{max(width, 1):.1f}" height="{THICK}" '
            f'fill="{colour(name)}"/>',
            f'<path d="M{x + low:.1f} {middle:.1f}H{x + high:.1f}" stroke="#222" stroke-width="1.5"/>',
            text(x + max(width, high) + 6, middle + 4, says)]


def panel(results, case, x, y):
    key = "per_second" if case.is_fronted else "cpu"
    names = results.names(case)
    top = max(quarters(results.values(case, name, key))[2] for name in names)
    parts = [text(x, y + 16, case.text, "title"),
             text(x, y + 33, "requests a second: more is better" if case.is_fronted
                  else "CPU µs a request: less is better", "what")]
    for i, name in enumerate(names):
        values = results.values(case, name, key)
        says = number(statistics.median(values))
        times = results.ratios(case, name, UNIT, key)
        if times and name != UNIT:
            says += f" ({number(statistics.median(times))} × {UNIT})"
        parts += bar(x, y + TITLE + i * ROW, name, values, top, says)
    return parts


def svg(results):
    """The whole picture as a string.  Each panel goes below the shorter column."""
    bottoms = [GAP / 2] * COLUMNS
    parts = []
    for case in results.cases():
        column = bottoms.index(min(bottoms))
        parts += panel(results, case, GAP / 2 + column * (PANEL + GAP), bottoms[column])
        bottoms[column] += TITLE + ROW * len(results.names(case)) + GAP / 2
    width, height = COLUMNS * (PANEL + GAP), max(bottoms)
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
                      f'width="{width:.0f}" height="{height:.0f}">', f"<style>{STYLE}</style>",
                      '<rect width="100%" height="100%" fill="#fff"/>', *parts, "</svg>"]) + "\n"
