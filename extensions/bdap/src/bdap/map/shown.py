"""What is known of each layer on a map, and how each kind of it fades; the order of all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import ipyleaflet

from ..client import TileService
from ..cube import Cube
from .view import Box

WORLD = (-180.0, -85.0, 180.0, 85.0)
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

    `pool`: `layer`, and layers that load what may be wanted next without being seen, whose addresses `near` gives.
    Their order never changes: Leaflet would load them again.
    """

    layer: ipyleaflet.TileLayer
    cube: Cube = field(kw_only=True)
    service: TileService = field(kw_only=True)
    time: str = ""
    pool: list[ipyleaflet.TileLayer] = field(default_factory=list)
    near: Callable[[], Sequence[str]] = tuple
    since: datetime = field(default_factory=lambda: datetime.now(UTC) - BEFORE)
    told: int = 0

    def drawn(self) -> list[ipyleaflet.Layer]:
        """All of the pool."""
        return list(self.pool) or [self.layer]

    @property
    def url(self) -> str:
        """The address of its tiles on its date."""
        return at_time(self.service.url, self.time)

    def turn(self) -> None:
        """Show the tiles of `url`: those that are there already, where they have been loaded ahead."""
        url, place = self.url, corners(self.service.bounds or WORLD)
        ready = next((layer for layer in self.pool if layer.url == url), self.layer)
        if ready is not self.layer:
            self.layer.opacity, self.layer.show_loading = 0, False
            self.layer = ready
        ready.url, ready.bounds, ready.opacity, ready.show_loading = url, place, self.opacity, True

    def preload(self) -> None:
        """Let the unseen layers load what is near."""
        if len(self.pool) < 2:
            return
        kept, free = {self.layer.url}, []
        near = [url for url in self.near() if url]
        for layer in self.pool:
            if layer is not self.layer:
                if layer.url in kept or layer.url not in near:
                    free.append(layer)
                kept.add(layer.url)
        for layer, url in zip(free, [url for url in near if url not in kept], strict=False):
            layer.url, layer.bounds = url, self.layer.bounds


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

    `apart`: layers that something else draws (a swipe).
    """
    seen = [layer for each in shown if each.visible for layer in each.drawn()]
    return tuple(layer for layer in [*base, *seen, *others] if layer not in apart)
