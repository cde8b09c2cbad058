"""A legend laid out as shapes and words on a sheet that fits a phone, to be drawn as SVG or PNG. PURE."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .colours import Colour
from .legend import CHANNELS, Legend, plain

INK: Colour = (22, 36, 47, 255)
SOFT: Colour = (74, 91, 104, 255)
EDGE: Colour = (74, 91, 104, 255)
WIDTH, EDGES, TEXT, HEAD = 280, 14, 13, 15
LINE = 19
MOST_ROWS = 60
LONGEST = 200
"""Characters that are looked at to fill a line: none holds as many."""

Measure = Callable[[str, int, bool], float]
"""How wide a text is, of a size in pixels, bold or not."""


@dataclass(frozen=True)
class Area:
    """A polygon of one colour; `edge`: with a thin line around it."""

    points: tuple[tuple[float, float], ...]
    colour: Colour
    edge: bool = False


@dataclass(frozen=True)
class Words:
    """A line of text on its baseline; `anchor` is start, middle or end."""

    x: float
    y: float
    text: str
    size: int = TEXT
    bold: bool = False
    colour: Colour = INK
    anchor: str = "start"


@dataclass(frozen=True)
class Sheet:
    """A finished legend: its size in pixels and what is on it, in the order of drawing."""

    width: int
    height: int
    shapes: tuple[Area | Words, ...]
    alt: str


def laid_out(legend: Legend, measure: Measure) -> Sheet:
    """The sheet of a legend."""
    shapes: list[Area | Words] = []
    y = float(EDGES)
    for line in wrapped(_head(legend), WIDTH - 2 * EDGES, HEAD, True, measure):
        shapes.append(Words(EDGES, y + HEAD - 2, line, HEAD, bold=True))
        y += LINE + 2
    y += 4 if shapes else 0
    body = {"continuous": _bar, "classes": _rows, "rgb": _bands, "bivariate": _square, "trivariate": _triangle}
    for shape, bottom in body[legend.kind](legend, y, measure):
        shapes.append(shape)
        y = max(y, bottom)
    if legend.shaded:
        y += LINE
        shapes.append(Words(EDGES, y, "with light from a side (hillshade)", TEXT - 1, colour=SOFT))
    return Sheet(WIDTH, round(y + EDGES), tuple(shapes), legend.alt)


Placed = Iterator[tuple[Area | Words, float]]
"""Shapes, each with how far down it reaches."""


def _head(legend: Legend) -> str:
    unit = f" ({legend.unit})" if legend.unit and legend.kind != "bivariate" else ""
    return f"{legend.title}{unit}" if legend.title else legend.unit


def wrapped(text: str, width: float, size: int, bold: bool, measure: Measure, most: int = 3) -> list[str]:
    """A text in lines that fit; what does not fit into `most` lines ends in an ellipsis."""
    lines: list[str] = []
    for word in " ".join(text.split())[: (most + 1) * LONGEST].split():
        if lines and measure(f"{lines[-1]} {word}", size, bold) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    if len(lines) > most:
        lines = [*lines[: most - 1], f"{lines[most - 1]} …"]
    return [_cut(line, width, size, bold, measure) for line in lines]


def _cut(line: str, width: float, size: int, bold: bool, measure: Measure) -> str:
    if measure(line, size, bold) <= width:
        return line
    line = line[:LONGEST]
    while line and measure(f"{line}…", size, bold) > width:
        line = line[:-1]
    return f"{line.rstrip()}…"


def box(x: float, y: float, width: float, height: float, colour: Colour, edge: bool = False) -> Area:
    """A rectangle."""
    return Area(((x, y), (x + width, y), (x + width, y + height), (x, y + height)), colour, edge)


def _bar(legend: Legend, y: float, measure: Measure) -> Placed:
    """The bar in thin stripes, a mark and a number at each tick; numbers that would touch are left out."""
    width, height, count = float(WIDTH - 2 * EDGES), 18.0, len(legend.colours)
    for i, colour in enumerate(legend.colours):
        start, end = round(width * i / count), round(width * (i + 1) / count)
        yield box(EDGES + start, y, end - start, height, colour), y + height
    yield box(EDGES, y, width, height, (0, 0, 0, 0), edge=True), y + height
    taken: list[tuple[float, float]] = []
    for tick in sorted(legend.ticks, key=lambda tick: -abs(tick.share - 0.5)):  # the ends first
        x, half = EDGES + tick.share * width, measure(tick.label, TEXT, False) / 2
        middle = min(max(x, half + 4), WIDTH - 4 - half)
        left, right = middle - half - 4, middle + half + 4
        if all(right <= a or left >= b for a, b in taken):
            taken.append((left, right))
            yield box(x - 0.5, y + height, 1, 5, EDGE), y + height + 5
            yield Words(middle, y + height + LINE, tick.label, anchor="middle"), y + height + LINE


def _rows(legend: Legend, y: float, measure: Measure) -> Placed:
    """A swatch and its label in each row; a long label goes on below."""
    shown = list(zip(legend.colours, legend.labels, strict=True))
    for colour, label in shown[:MOST_ROWS]:
        yield box(EDGES, y + 2, 22, 15, colour, edge=True), y + 17
        for line in wrapped(label, WIDTH - 2 * EDGES - 32, TEXT, False, measure, 3) or [""]:
            yield Words(EDGES + 32, y + 14, line), y + LINE
            y += LINE
        y += 3
    if len(shown) > MOST_ROWS:
        yield Words(EDGES, y + 14, f"and {len(shown) - MOST_ROWS} more classes", colour=SOFT), y + LINE


def _bands(legend: Legend, y: float, measure: Measure) -> Placed:
    """The band of each channel, with the values that are stretched."""
    for i, colour in enumerate(legend.colours):
        yield box(EDGES, y + 2, 22, 15, colour, edge=True), y + 17
        for line in wrapped(f"{CHANNELS[i]}: {legend.labels[i]}", WIDTH - 2 * EDGES - 32, TEXT, False, measure, 2):
            yield Words(EDGES + 32, y + 14, line), y + LINE
            y += LINE
        yield Words(EDGES + 32, y + 12, _span(legend, i), TEXT - 1, colour=SOFT), y + LINE
        y += LINE + 3


def _square(legend: Legend, y: float, measure: Measure) -> Placed:
    """The square; the first band grows to the right, the second upwards."""
    steps = round(len(legend.colours) ** 0.5)
    side = 150 // steps * steps
    left, cell = EDGES + 44, side / steps
    for i, colour in enumerate(legend.colours):
        row, column = divmod(i, steps)
        yield box(left + column * cell, y + side - (row + 1) * cell, cell, cell, colour), y + side
    yield box(left, y, side, side, (0, 0, 0, 0), edge=True), y + side
    (low, high), (bottom, top) = legend.ends
    below = y + side + 16
    yield Words(left, below, plain(low), TEXT - 1), below
    yield Words(left + side, below, plain(high), TEXT - 1, anchor="end"), below
    yield Words(left - 6, y + side, plain(bottom), TEXT - 1, anchor="end"), y + side
    yield Words(left - 6, y + 11, plain(top), TEXT - 1, anchor="end"), y + side
    for i, arrow in ((0, "→"), (1, "↑")):
        for line in wrapped(f"{arrow} {legend.labels[i]}", WIDTH - 2 * EDGES, TEXT, False, measure, 2):
            below += LINE
            yield Words(EDGES, below, line), below


def _triangle(legend: Legend, y: float, measure: Measure) -> Placed:
    """The triangle, in small triangles whose colours are means of the corners'; the first corner is at the top."""
    side, steps = 170.0, 16
    height, left = side * 0.866, (WIDTH - side) / 2
    y += LINE
    corners = ((left + side / 2, y), (left, y + height), (left + side, y + height))
    yield Words(corners[0][0], y - 7, _short(legend.labels[0], 200, measure), anchor="middle"), y
    for shares in _small(steps):
        points = tuple(_mean(corners, share) for share in shares)
        middle = tuple(sum(s[k] for s in shares) / 3 for k in range(3))
        yield Area(points, _mixed(legend.colours, middle)), y + height
    yield Area(corners, (0, 0, 0, 0), edge=True), y + height
    below = y + height + LINE
    yield Words(EDGES, below, _short(legend.labels[1], 120, measure)), below
    yield Words(WIDTH - EDGES, below, _short(legend.labels[2], 120, measure), anchor="end"), below
    for i in range(3):
        below += LINE
        yield (
            Words(
                EDGES,
                below,
                _short(f"{legend.labels[i]}: {_span(legend, i)}", WIDTH - 2 * EDGES, measure),
                TEXT - 1,
                colour=SOFT,
            ),
            below,
        )


Shares = tuple[float, float, float]


def _small(steps: int) -> Iterator[tuple[Shares, Shares, Shares]]:
    """The small triangles of a triangle cut so many times, by their corners' shares."""

    def at(i: int, j: int) -> Shares:
        return (steps - i - j) / steps, i / steps, j / steps

    for i in range(steps):
        for j in range(steps - i):
            yield at(i, j), at(i + 1, j), at(i, j + 1)
            if i + j < steps - 1:
                yield at(i + 1, j), at(i + 1, j + 1), at(i, j + 1)


def _mean(points: tuple[tuple[float, float], ...], shares: Shares) -> tuple[float, float]:
    pairs = list(zip(points, shares, strict=True))
    return sum(p[0] * s for p, s in pairs), sum(p[1] * s for p, s in pairs)


def _mixed(colours: tuple[Colour, ...], shares: tuple[float, ...]) -> Colour:
    red, green, blue = (round(sum(c[k] * s for c, s in zip(colours, shares, strict=True))) for k in range(3))
    return red, green, blue, 255


def _short(text: str, width: float, measure: Measure) -> str:
    return _cut(text, width, TEXT, False, measure)


def _span(legend: Legend, i: int) -> str:
    unit = f" {legend.unit}" if legend.unit else ""
    return f"{plain(legend.ends[i][0])} to {plain(legend.ends[i][1])}{unit}"
