"""From what one chose to the steps of a cube: the picture, the values at a place, their history. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bdap.recipe import Recipe, Step

from .bands import Band
from .looks import Look, Range
from .period import ALL, Period
from .view import Side

CLOUDS = "SCL"
GRID = 0.01
"""Degrees between the boxes in which histories are looked for: places near each other share one."""
Box = tuple[float, float, float, float]


def picture(side: Side, look: Look, bands: Sequence[Band], title: str, box: Box | None = None) -> Recipe:
    """What the map draws. `look` has its span by now."""
    return Recipe(side.collection, (*_steps(side, look, bands, box), *_drawn(look)), title)


def values(side: Side, look: Look, bands: Sequence[Band], title: str, box: Box | None = None) -> Recipe:
    """The numbers behind the picture, as they are stored or computed."""
    return Recipe(side.collection, _steps(side, look, bands, box), title)


def history(side: Side, look: Look, bands: Sequence[Band], place: tuple[float, float], only: Period = ALL) -> Recipe:
    """One band or index through time near (latitude, longitude), without clouds where the data tells them.

    `only`: within that time.
    """
    steps: tuple[Step, ...] = (("inside", (around(place),)), *((("during", (only.text,)),) if only.text else ()))
    return Recipe(side.collection, (*steps, *_taken(look, _can_hide(look, bands))), look.title)


def around(place: tuple[float, float]) -> Box:
    """A small box of a grid; (latitude, longitude) is at least half of GRID within it."""
    lat, lon = (round(each / GRID) for each in place)
    west, south, east, north = (round(step * GRID, 5) for step in (lon - 1, lat - 1, lon + 1, lat + 1))
    return west, south, east, north


def measured(look: Look, span: Range | None) -> Look:
    """The look with the span that was found on the pixels, where it had none."""
    return look if look.span or look.kind == "classes" else replace(look, span=span or (0.0, 1.0))


def told(look: Look, options: Sequence[Look]) -> Look:
    """The look whose history is shown: an index says more than the three bands of a picture."""
    if look.kind != "colour":
        return look
    best = next((one for one in options if one.kind == "index"), None)
    return best or Look(f"band:{look.bands[0]}", look.bands[0], "band", look.bands[:1])


def _steps(side: Side, look: Look, bands: Sequence[Band], box: Box | None) -> tuple[Step, ...]:
    steps: list[Step] = []
    if box is not None:
        steps.append(("inside", (box,)))
    if side.period.text:
        steps.append(("during", (side.period.text,)))
    reducer = _reducer(side, look)
    return (*steps, *_taken(look, reducer[0] == "median" and _can_hide(look, bands)), reducer)


def _taken(look: Look, unclouded: bool) -> tuple[Step, ...]:
    """Bands or an index; clouds are hidden while the scene classes are still there."""
    hidden: tuple[Step, ...] = (("mask_clouds", ()),) if unclouded else ()
    if look.kind == "index":
        return (*hidden, ("index", (look.id.removeprefix("index:"),)))
    return (("bands", look.bands), *hidden)


def _can_hide(look: Look, bands: Sequence[Band]) -> bool:
    """Scene classes hide clouds in all but themselves."""
    return look.kind != "classes" and any(band.name == CLOUDS for band in bands)


def _reducer(side: Side, look: Look) -> Step:
    """A day as it is; of longer times the median without clouds, of classes the last."""
    if side.period.kind == "day":
        return ("first", ())
    return ("last", ()) if side.period.kind == "all" or look.kind == "classes" else ("median", ())


def _drawn(look: Look) -> tuple[Step, ...]:
    if look.kind == "classes":
        return ()
    low, high = look.span or (0.0, 1.0)
    return (("stretch", (low, high)),) if look.kind == "colour" else (("colormap", (look.colormap, low, high)),)
