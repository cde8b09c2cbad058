"""What is known of each layer on a map, and how each kind of it fades; the order of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import ipyleaflet

from ..client import TileService
from ..cube import Cube
from .times import TimeBar
from .view import Box

WORLD = (-180.0, -85.0, 180.0, 85.0)
NOWHERE = [(-89.0, -180.0), (-88.9, -179.9)]
"""Bounds of a layer that loads nothing any more."""
MOST = 12
"""Layers of a pool before those that are over go."""
BEFORE = timedelta(seconds=60)
"""A failure of so long before a layer came is told for it, too: the service says the same once a minute."""


@dataclass(eq=False)
class Shown:
    """A layer by its name. `legend` is HTML; `box` where it has something to show."""

    name: str
    layer: ipyleaflet.Layer
    opacity: float = 1.0
    visible: bool = True
    legend: str = ""
    box: Box | None = None

    def fade(self, opacity: float) -> None:
        """Show it so opaque (0 to 1)."""
        self.opacity = opacity
        self.layer.opacity = opacity

    def drawn(self) -> list[ipyleaflet.Layer]:
        """What Leaflet draws for it, from the bottom."""
        return [self.layer]


@dataclass(eq=False)
class Raster(Shown):
    """A cube as tiles of the platform.

    `pool`: `layer`, and others that nobody sees: some load what may be wanted next, whose addresses `near` gives, those
    that lie NOWHERE are over and load nothing. An address never changes, as Leaflet would leave tiles that are on their
    way as they were; and layers come at the end, as it loads all anew that stand behind one that goes.
    """

    layer: ipyleaflet.TileLayer
    cube: Cube = field(kw_only=True)
    service: TileService = field(kw_only=True)
    time: str = ""
    pool: list[ipyleaflet.TileLayer] = field(default_factory=list)
    near: Callable[[], Sequence[str]] = tuple
    loaded: Callable[[ipyleaflet.TileLayer], None] = field(kw_only=True)
    there: set[str] = field(default_factory=set)
    since: datetime = field(default_factory=lambda: datetime.now(UTC) - BEFORE)
    told: int = 0
    bar: TimeBar | None = None

    def __post_init__(self) -> None:
        self.pool = [self._heard(self.layer)]

    def drawn(self) -> list[ipyleaflet.Layer]:
        """All of the pool."""
        return list(self.pool)

    @property
    def url(self) -> str:
        """The address of its tiles on its date."""
        return at_time(self.service.url, self.time)

    def turn(self) -> None:
        """Show the tiles of `url`: those that were loaded ahead; else the former ones stay until new ones have come."""
        before, url = self.layer, self.url
        self.layer = self._of(url) or self._more(url, self.opacity)
        for each in self.pool:
            if each not in (before, self.layer):
                each.opacity = 0
        self.layer.opacity, self.layer.show_loading = self.opacity, True
        if url in self.there:
            self.settle()

    def settle(self) -> None:
        """The tiles that are wanted are there: others are hidden, those that are not near are over."""
        kept = {self.layer.url, *self.near()}
        for each in self.pool:
            if each is not self.layer:
                each.opacity, each.show_loading = 0, False
                if each.url not in kept:
                    each.bounds = NOWHERE
        if len(self.pool) > MOST:
            self.pool = [each for each in self.pool if each.bounds != NOWHERE]

    def preload(self) -> None:
        """Let unseen layers load what is near."""
        self.settle()
        for url in self.near():
            if url and self._of(url) is None:
                self._more(url, 0)

    def came(self, layer: ipyleaflet.TileLayer) -> None:
        """All tiles of a layer have come."""
        self.there.add(layer.url)
        if layer is self.layer:
            self.preload()

    def _of(self, url: str) -> ipyleaflet.TileLayer | None:
        return next((each for each in self.pool if each.url == url and each.bounds != NOWHERE), None)

    def _more(self, url: str, opacity: float) -> ipyleaflet.TileLayer:
        self.there.discard(url)
        layer = self._heard(tile_layer(self.service, self.name, opacity, url))
        self.pool.append(layer)
        return layer

    def _heard(self, layer: ipyleaflet.TileLayer) -> ipyleaflet.TileLayer:
        layer.on_load(lambda **_: self.loaded(layer))
        return layer


def tile_layer(service: TileService, name: str, opacity: float, url: str = "") -> ipyleaflet.TileLayer:
    """A service's tiles as Leaflet draws them."""
    return ipyleaflet.TileLayer(
        url=url or service.url,
        name=name,
        opacity=opacity,
        bounds=corners(service.bounds or WORLD),
        min_zoom=service.min_zoom,
        max_zoom=22,
        max_native_zoom=service.max_zoom,
        show_loading=opacity > 0,
    )


def corners(box: Box) -> list[tuple[float, float]]:
    """A box as Leaflet takes it."""
    west, south, east, north = box
    return [(south, west), (north, east)]


def at_time(url: str, time: str) -> str:
    """The address of a service's tiles on a date."""
    return f"{url}{'&' if '?' in url else '?'}time={time}" if time else url


def arranged(
    base: Iterable[ipyleaflet.Layer],
    shown: Iterable[Shown],
    others: Iterable[ipyleaflet.Layer],
    apart: set[ipyleaflet.Layer],
) -> tuple[ipyleaflet.Layer, ...]:
    """All layers from the bottom to the top: base maps, what is visible, what people added themselves.

    What comes and goes with the topmost raster stands last. `apart`: layers that something else draws (a swipe).
    """
    visible = [each for each in shown if each.visible]
    top = next((each for each in reversed(visible) if isinstance(each, Raster)), None)
    seen = [layer for each in visible for layer in each.drawn()[: 1 if each is top else None]]
    last = top.drawn()[1:] if top else []
    return tuple(layer for layer in [*base, *seen, *others, *last] if layer not in apart)
