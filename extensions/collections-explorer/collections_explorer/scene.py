"""One side of the map, made out of what a visitor chose: its looks, its tiles, its values, its history."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from bdap import Client, Cube
from bdap.client import TileService
from bdap.errors import BdapError
from bdap.recipe import Recipe

from . import compose, looks
from .bands import Band, read_bands
from .catalogue import Catalogue
from .looks import Look, Range
from .period import ALL, Period
from .themes import title_of
from .view import Side

Box = tuple[float, float, float, float]

BINS = 256
MOST_ITEMS = 400
"""More items than this are drawn only where one looks; a graph may read 500."""


@dataclass(frozen=True)
class Scene:
    """A side whose collection may be seen and whose look exists."""

    side: Side
    stac: dict[str, Any]
    bands: tuple[Band, ...]
    options: tuple[Look, ...]
    look: Look
    frame: Box | None = None  # where it is drawn, if not everywhere
    problem: str = ""  # why nothing is drawn just now

    @property
    def title(self) -> str:
        """The collection's name, for people."""
        return title_of(self.stac)

    @property
    def label(self) -> str:
        """What is drawn, for legends and snippets."""
        return f"{self.look.title}, {self.side.period.label}"

    @property
    def box(self) -> Box:
        """Where the collection lies: west, south, east, north."""
        west, south, east, north = (self.stac["extent"]["spatial"]["bbox"][0])[:4]
        return west, south, east, north

    def holds(self, lat: float, lon: float) -> bool:
        """Whether the collection may have something at a place."""
        west, south, east, north = self.box
        return west <= lon <= east and south <= lat <= north

    def recipe(self) -> Recipe:
        """The picture's steps."""
        return compose.picture(self.side, self.look, self.bands, self.label, self.frame)

    def tiles(self, client: Client) -> TileService | None:
        """The picture as tiles; None where there is a problem."""
        return None if self.problem else _service(self.recipe(), client)

    def values(self, client: Client, lat: float, lon: float) -> dict[str, float | None]:
        """The numbers behind the picture at a place, by name."""
        if self.problem or not self.holds(lat, lon):
            return {}
        recipe = compose.values(self.side, self.look, self.bands, self.label, self.frame)
        found = client.point(_service(recipe, client), lon, lat)
        return dict(zip([self.look.title], found.values(), strict=True)) if len(found) == 1 else found

    def history(
        self, client: Client, lat: float, lon: float, only: Period = ALL
    ) -> tuple[Look, list[tuple[str, float | None]]]:
        """What through time, and (day, value) for each day, within `only`."""
        told = compose.told(self.look, self.options)
        recipe = compose.history(self.side, told, self.bands, (lat, lon), only)
        dates, series = client.timeseries(_service(recipe, client), lon, lat)
        (values,) = list(series.values())[:1] or [[]]
        return told, [(date[:10], value) for date, value in zip(dates, values, strict=True)]


class NothingToShow(BdapError):
    """The collection cannot be drawn, or may not be seen."""


def open_scene(catalogue: Catalogue, client: Client, side: Side, view: Box) -> Scene:
    """The scene of a side; NothingToShow with a sentence otherwise. The catalogue is asked each time.

    `view` is where one looks: of a period with very many items only these are drawn.
    """
    stac = catalogue.collection(side.collection)
    if stac is None:
        raise NothingToShow(
            f"There is no collection “{side.collection}”, or it is not open to you",
            "choose one from the list, or ask whoever sent you the link",
        )
    bands = read_bands(stac)
    options = looks.looks(bands)
    look = looks.find(options, bands, side.look) or looks.find(options, bands, "")
    if look is None:
        raise NothingToShow(f"“{title_of(stac)}” has no bands that could be drawn", "choose another collection")
    if side.period.kind == "all" and stac.get("bdap:items", 0) != 1:
        side = replace(side, period=catalogue.clear_day(side.collection))
    side = replace(side, look=look.id)
    scene = Scene(side, stac, bands, options, look, *frame_of(catalogue, side, view))
    return scene if scene.problem else replace(scene, look=compose.measured(look, _measure(scene, client)))


def frame_of(catalogue: Catalogue, side: Side, view: Box) -> tuple[Box | None, str]:
    """Where to draw, and why nothing can be drawn there."""
    count, label = catalogue.count(side.collection, side.period), side.period.label
    if count <= MOST_ITEMS:
        return None, "" if count else f"There is no item of {label}: choose another time on the time line."
    inside = catalogue.count(side.collection, side.period, view)
    if not inside:
        return view, f"None of {count:,} items of {label} lies in view: move the map."
    return view, "" if inside <= MOST_ITEMS else f"{inside:,} items of {label} lie in view: zoom in to see them."


def _measure(scene: Scene, client: Client) -> Range | None:
    """The values between which nearly all pixels lie, of the first band; None where nothing has to be measured."""
    if scene.look.span or scene.look.kind == "classes":
        return None
    one = replace(scene.look, kind="band", bands=scene.look.bands[:1]) if scene.look.kind == "colour" else scene.look
    service = _service(compose.values(scene.side, one, scene.bands, scene.label, scene.frame), client)
    edges, counts = client.histogram(service, service.bounds or scene.box, BINS)
    return span_of(edges, counts)


def span_of(edges: Sequence[float], counts: Sequence[int], share: float = 0.02) -> Range | None:
    """The edges between which all but `share` of the pixels at either end lie; None without pixels. PURE."""
    total = sum(counts)
    if not total:
        return None
    low = high = 0
    seen = 0
    for place, count in enumerate(counts):
        if seen <= total * share:
            low = place
        if seen < total * (1 - share):
            high = place
        seen += count
    first, last = float(f"{edges[low]:.3g}"), float(f"{edges[high + 1]:.3g}")
    return (first, last) if first < last else (first, first + 1)


def _service(recipe: Recipe, client: Client) -> TileService:
    """Without a title of its own: such services make room for new ones."""
    cube: Cube = recipe.build(client)
    return client.service(cube.key, cube.graph)
