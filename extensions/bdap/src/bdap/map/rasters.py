"""Cubes as layers: posted once, their legends, their dates, and why their tiles could not be drawn."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Self

import ipyleaflet
import ipywidgets as widgets

from .. import ask, labels
from ..client import TileService
from ..cube import Cube
from ..errors import BadCube, BdapError, ServiceError
from .base import Base
from .legends import legend_html
from .shown import Raster, Shown, at_time, tile_layer
from .times import TimeBar, around, slider


class Rasters(Base):
    """Layers of cubes."""

    def add(self, item: Any, name: str = "", opacity: float = 1.0, index: int | None = None) -> Self:
        """Put a cube on the map; a name used already is replaced. A cube with several dates gets a slider of them.

        Other ipyleaflet layers and controls pass through.
        """
        if not isinstance(item, Cube):
            super().add(item, index=index)
            return self
        name = name or f"layer {len(self._shown) + 1}"
        try:
            self._put(self._raster(item, name, opacity))
        except BdapError as error:
            self._say(name, error)
        return self

    def drop(self, name: str) -> Self:
        """Take the layer of that name off the map."""
        self._note(f"time {name}", None)
        return super().drop(name)

    def slide(
        self,
        make: Callable[[Any], Cube],
        values: Iterable[Any],
        name: str = "layer",
        label: str = "",
        opacity: float = 1.0,
    ) -> widgets.SelectionSlider:
        """A slider that shows `make(value)` for the value it stands at: a date, a threshold. Neighbours load ahead."""
        options = list(values)
        if not options:
            raise BadCube("the slider has no values", "give it at least one")
        control = slider(options, label)

        def show(place: int) -> None:
            self.add(make(options[place]), name, opacity)
            if isinstance(one := self._shown.get(name), Raster):
                one.near = lambda: [_quietly(make(options[i])) for i in around(place, len(options))]
                self._pooled(one)

        control.observe(lambda change: show(options.index(change["new"])), names="value")
        show(0)
        return control

    def dates(self, name: str) -> tuple[str, ...]:
        """The dates of a layer; none where it shows one picture."""
        one = self._named(name)
        return one.service.times if isinstance(one, Raster) else ()

    def at(self, name: str, date: str) -> Self:
        """Show a layer on one of its dates, of which the beginning is enough."""
        one = self._named(name)
        known = self.dates(name)
        found = [each for each in known if each.startswith(date)]
        if not isinstance(one, Raster) or not found:
            has = f"it has {', '.join(map(labels.day, known[:6]))}" if known else "it shows one picture"
            raise BadCube(f"the layer {name!r} has no date {date!r}", has)
        one.time = date if date in found else found[-1]
        if one.bar is not None:
            one.bar.tell(known, one.time)
        one.turn()
        return self._pooled(one)

    def _put(self, one: Shown) -> None:
        super()._put(one)
        if not isinstance(one, Raster):  # it may have taken the place of one
            self._note(f"time {one.name}", None)

    # --- inside -------------------------------------------------------------------------------------------------

    def _raster(self, cube: Cube, name: str, opacity: float) -> Raster:
        service = ask.service(cube, name)
        if service.undrawable:
            raise BadCube(*service.undrawable.split(": ", 1))
        time = service.times[-1] if len(service.times) > 1 else ""
        one = self._shown.get(name)
        if isinstance(one, Raster):
            one.cube, one.service, one.time, one.opacity, one.box = cube, service, time, opacity, service.bounds
            one.near = tuple
            one.turn()
        else:
            layer = tile_layer(service, name, opacity, at_time(service.url, time))
            one = Raster(
                name,
                layer,
                opacity,
                box=service.bounds,
                cube=cube,
                service=service,
                time=time,
                loaded=self._heard(name),
            )
        one.legend = _legend(cube, service, name)
        self._dated(one)
        return one

    def _heard(self, name: str) -> Callable[[ipyleaflet.TileLayer], None]:
        return lambda layer: self._loaded(name, layer)

    def _dated(self, one: Raster) -> None:
        times = one.service.times
        if len(times) < 2:
            self._note(f"time {one.name}", None)
            one.bar = None
            return
        if one.bar is None:
            one.bar = TimeBar(one.name, times, one.time, lambda time: self.at(one.name, time))
            self._note(f"time {one.name}", one.bar.widget, "bottomright")
        one.bar.tell(times, one.time)
        one.near = lambda: [at_time(one.service.url, times[i]) for i in around(times.index(one.time), len(times))]

    def _pooled(self, one: Raster) -> Self:
        """What is near the picture that is shown is loaded, once that one is there."""
        if one.url in one.there:
            one.preload()
            self._failures(one)
        return self._changed()

    def _loaded(self, name: str, layer: ipyleaflet.TileLayer) -> None:
        """The browser has all tiles that it will get of a layer: tell what failed, renew an old address, look ahead."""
        one = self._shown.get(name)
        if not isinstance(one, Raster):
            return
        self._failures(one)
        one.came(layer)
        self._changed()

    def _failures(self, one: Raster) -> None:
        try:
            service = ask.service(one.cube, one.name)
            if service.url != one.service.url:  # it would expire
                one.service = service
                one.turn()
            for entry in ask.client_of(one.cube).failures(service, one.told):
                one.told = max(one.told, int(entry["id"]))
                if datetime.fromisoformat(entry["time"]) >= one.since:
                    self._say(one.name, ServiceError(entry["message"], code=entry.get("code", "")))
        except BdapError as error:
            self._say(one.name, error)


def _legend(cube: Cube, service: TileService, name: str) -> str:
    try:
        return legend_html(name, ask.client_of(cube).legend(service))
    except ServiceError:
        return ""  # what has no legend is drawn all the same


def _quietly(cube: Cube) -> str:
    """The address of its tiles; none where it has none: that is said once it is wanted."""
    try:
        return ask.service(cube).url
    except BdapError:
        return ""
