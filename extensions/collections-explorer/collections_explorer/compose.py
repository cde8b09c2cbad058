"""From what one chose to the steps of a cube: the picture, the values at a place, their history. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from bdap.recipe import Recipe, Step

from .bands import Band
from .looks import Look, Range
from .view import Side

CLOUDS = "SCL"
AROUND = 0.005
"""Degrees around a place within which its history is looked for."""
Box = tuple[float, float, float, float]


def picture(side: Side, look: Look, bands: Sequence[Band], title: str, box: Box | None = None) -> Recipe:
    """What the map draws. `look` has its span by now."""
    drawn = _drawn(look)
    return Recipe(side.collection, (*_chosen(side, look, box), *_reduced(side, look, bands), *drawn), title)


def values(side: Side, look: Look, bands: Sequence[Band], title: str, box: Box | None = None) -> Recipe:
    """The numbers behind the picture, as they are stored or computed."""
    return Recipe(side.collection, (*_chosen(side, look, box), *_reduced(side, look, bands)), title)


def history(side: Side, look: Look, bands: Sequence[Band], place: tuple[float, float]) -> Recipe:
    """One band or index through time near (latitude, longitude), without clouds where the data tells them."""
    lat, lon = place
    box = (round(lon - AROUND, 5), round(lat - AROUND, 5), round(lon + AROUND, 5), round(lat + AROUND, 5))
    steps = (("inside", (box,)), *_taken(look), *_unclouded(look, bands))
    return Recipe(side.collection, steps, look.title)


def measured(look: Look, span: Range | None) -> Look:
    """The look with the span that was found on the pixels, where it had none."""
    return look if look.span or look.kind == "classes" else replace(look, span=span or (0.0, 1.0))


def told(look: Look, options: Sequence[Look]) -> Look:
    """The look whose history is shown: an index says more than the three bands of a picture."""
    if look.kind != "colour":
        return look
    best = next((one for one in options if one.kind == "index"), None)
    return best or Look(f"band:{look.bands[0]}", look.bands[0], "band", look.bands[:1])


def _chosen(side: Side, look: Look, box: Box | None) -> tuple[Step, ...]:
    steps: list[Step] = []
    if box is not None:
        steps.append(("inside", (box,)))
    if days := side.period.days:
        steps.append(("between", days))
    return (*steps, *_taken(look))


def _taken(look: Look) -> tuple[Step, ...]:
    if look.kind == "index":
        return (("normalized_difference", look.bands),)
    return (("bands", look.bands),)


def _unclouded(look: Look, bands: Sequence[Band]) -> tuple[Step, ...]:
    """Scene classes hide clouds in all but themselves."""
    has_classes = any(band.name == CLOUDS for band in bands)
    return (("mask_clouds", ()),) if has_classes and look.kind != "classes" else ()


def _reduced(side: Side, look: Look, bands: Sequence[Band]) -> tuple[Step, ...]:
    """A day as it is; of longer times the median without clouds, of classes the last."""
    if side.period.kind == "day":
        return (("first", ()),)
    if side.period.kind == "all" or look.kind == "classes":
        return (("last", ()),)
    return (*_unclouded(look, bands), ("median", ()))


def _drawn(look: Look) -> tuple[Step, ...]:
    if look.kind == "classes":
        return ()
    low, high = look.span or (0.0, 1.0)
    return (("stretch", (low, high)),) if look.kind == "colour" else (("colormap", (look.colormap, low, high)),)
