"""The dashboard: hears gestures, asks the catalogue and the processing service, and changes panel and map.

What a visitor may see is asked of the catalogue at each choice; nothing that a browser holds is trusted for it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ipywidgets
from bdap import Client
from bdap.errors import BdapError
from bdap.filters import day_of
from bdap.map.ground import OFFLINE, ground_of

from . import compose, show, themes
from .catalogue import Catalogue
from .panel import Panel
from .period import ALL, Period, are_few, read_period, timeline
from .scene import MOST_ITEMS, NothingToShow, Scene, open_scene
from .stage import Stage
from .view import Camera, Side, View, read, write

MOST_FOOTPRINTS = 200
AROUND = (2000, 1400)
"""Pixels around the middle of the map in which a very large collection is drawn."""


class Explorer:
    """One visitor's dashboard; `panel` is the widget to display."""

    def __init__(self, catalogue: Catalogue, client: Client, query: str = "", page: bool = True, hub: str = "") -> None:
        self.catalogue, self.client, self.hub = catalogue, client, hub
        self.scenes: list[Scene] = []
        self.collections: list[dict[str, Any]] = []
        self.place: tuple[float, float] | None = None
        self._months: dict[str, list[tuple[str, int]]] = {}
        self.stage = Stage(self.clicked, self.moved, ground_of(OFFLINE, client))
        self.chart = show.chart()
        self.panel = Panel(self.act, stage=self.stage, chart=ipywidgets.VBox([self.chart]), page=page)
        with self._said("Reading the catalogue"):
            self._browse()
        self._open(query)

    # --- what visitors do -----------------------------------------------------------------------------------------

    def act(self, what: str, data: dict[str, Any]) -> None:
        """A gesture of the panel."""
        gestures: dict[str, Callable[[dict[str, Any]], None]] = {
            "choose": self._choose,
            "look": lambda data: self._change(look=_text(data, "look")),
            "period": self._period,
            "activate": self._activate,
            "compare": self._compare,
            "single": lambda _: self._draw(self.scenes[:1]),
            "browse": lambda data: setattr(self.panel, "browsing", bool(data.get("on"))),
            "search": self._search,
            "middle": lambda _: self.clicked(self.stage.camera.lat, self.stage.camera.lon),
            "dismiss": lambda _: setattr(self.panel, "messages", []),
        }
        if gesture := gestures.get(what):
            self.panel.messages = []
            with self._said("Searching" if what == "search" else "Drawing"):
                gesture(data)

    def clicked(self, lat: float, lon: float) -> None:
        """Values and history at a place."""
        if not self.scenes:
            return
        self.place = (round(float(lat), 5), round(_turned(float(lon)), 5))
        self.stage.mark(self.place)
        self._share()
        with self._said("Reading the place"):
            self._ask_place(*self.place)

    def moved(self) -> None:
        """The address follows the map; what is drawn only where one looks is drawn anew."""
        self._share()
        if any(_is_stale(scene, self.stage.camera) for scene in self.scenes):
            self.panel.messages = []
            with self._said("Drawing"):
                self._draw([self._scene(scene.side) for scene in self.scenes])

    # --- gestures -------------------------------------------------------------------------------------------------

    def _search(self, data: dict[str, Any]) -> None:
        words = _text(data, "words")
        self.panel.themes, self.panel.sought = themes.shelves(self.collections, words), words

    def _choose(self, data: dict[str, Any]) -> None:
        """A collection for the active side; the map goes there."""
        side = Side(_text(data, "collection"))
        scene = self._scene(side)
        scenes = [*self.scenes] or [scene]
        scenes[self._active] = scene
        self.panel.browsing = False
        if self._active == 0:
            self.stage.fit(scene.box)
            if self.place and not scene.holds(*self.place):
                self._forget_place()
        self._draw(scenes)

    def _change(self, **values: Any) -> None:
        side = replace(self.scenes[self._active].side, **values)
        scenes = [*self.scenes]
        scenes[self._active] = self._scene(side)
        self._draw(scenes)

    def _period(self, data: dict[str, Any]) -> None:
        period = read_period(_text(data, "period"))
        if period is None or period.kind == "all":
            self._timeline(period or Period())
        else:
            self._change(period=period)

    def _activate(self, data: dict[str, Any]) -> None:
        self.panel.active = 1 if data.get("side") == 1 and len(self.scenes) > 1 else 0
        self._timeline(self.scenes[self._active].side.period)

    def _compare(self, _: dict[str, Any]) -> None:
        """The same collection once more, at an earlier date where there is one."""
        left = self.scenes[0]
        days = left.side.period.days
        earlier = self.catalogue.clear_day(left.side.collection, days[0]) if days else Period()
        side = replace(left.side, period=earlier if earlier.text else left.side.period)
        self.panel.active = 1
        self._draw([left, self._scene(side)])

    def _scene(self, side: Side) -> Scene:
        return open_scene(self.catalogue, self.client, side, self.stage.camera.around(*AROUND))

    # --- what is shown --------------------------------------------------------------------------------------------

    @property
    def _active(self) -> int:
        return 1 if self.panel.active == 1 and len(self.scenes) > 1 else 0

    def _browse(self) -> None:
        self.collections = self.catalogue.collections()
        self.panel.themes = themes.shelves(self.collections)
        self.stage.outline(show.boxes(self.collections))

    def _open(self, query: str) -> None:
        """The view that an address describes."""
        view, sentences = read(query)
        for sentence in sentences:
            self._say(sentence)
        if view.camera:
            self.stage.look(view.camera)
        if view.left:
            with self._said("Opening the view"):
                scenes = [self._scene(side) for side in (view.left, view.right) if side]
                if not view.camera:
                    self.stage.fit(scenes[0].box)
                self._draw(scenes)
                self.panel.browsing = False
        if view.place and self.scenes:
            self.clicked(*view.place)
        self._share()

    def _draw(self, scenes: list[Scene]) -> None:
        """Both sides anew. What was shown stays if one of them cannot be drawn."""
        services = [scene.tiles(self.client) for scene in scenes]
        legends = [show.legend(self.client, service) for service in services]  # first: one taken away is made anew
        self.stage.show(*services)
        self.scenes = scenes
        for scene in scenes:
            if scene.problem:
                self._say(scene.problem)
        self.panel.active = self._active
        self.panel.sides = [show.side(scene, legend) for scene, legend in zip(scenes, legends, strict=True)]
        active = scenes[self._active]
        self._timeline(active.side.period)
        items = self.catalogue.items(active.side.collection, active.side.period, active.frame, MOST_FOOTPRINTS)
        self.stage.outline(item["geometry"] for item in items if item.get("geometry"))
        self._share()
        if self.place:
            self._ask_place(*self.place)

    def _timeline(self, chosen: Period) -> None:
        name = self.scenes[self._active].side.collection
        if name not in self._months:
            self._months[name] = self.catalogue.months(name)
        months = self._months[name]
        few, one = are_few(months), chosen.kind in ("month", "day")
        days = self.catalogue.items(name, ALL if few else chosen.month) if few or one else []
        line = timeline(months, [day_of(item) for item in days], chosen)
        self.panel.timeline = show.line(line)

    def _ask_place(self, lat: float, lon: float) -> None:
        rows = [(scene, scene.values(self.client, lat, lon)) for scene in self.scenes]
        self.panel.place = show.place(lat, lon, rows)
        active = self.scenes[self._active]
        if not active.holds(lat, lon):
            self.panel.place = show.place(lat, lon, rows, f"{active.title} does not lie there.")
            return
        found = self.catalogue.count(active.side.collection, ALL, compose.around((lat, lon)))
        only = ALL if found <= MOST_ITEMS else active.side.period.year
        told, series = active.history(self.client, lat, lon, only)
        drawn = show.draw_history(self.chart, told, series)
        self.panel.place = show.place(lat, lon, rows, show.history_words(told, series), drawn)

    def _forget_place(self) -> None:
        self.place, self.panel.place = None, {}
        self.stage.mark(None)

    def _share(self) -> None:
        sides = [scene.side for scene in self.scenes]
        view = View(*sides[:2], camera=self.stage.camera, place=self.place) if sides else View(camera=None)
        self.panel.share = show.share(
            write(view), [scene.recipe() for scene in self.scenes], self.stage.camera, self.hub
        )

    # --- words ----------------------------------------------------------------------------------------------------

    def _say(self, text: str, remedy: str = "") -> None:
        self.panel.messages = [*self.panel.messages, {"text": text, "remedy": remedy}]

    @contextmanager
    def _said(self, busy: str) -> Iterator[None]:
        """While it lasts the panel says what is done; what fails is said, and what was shown stays."""
        self.panel.busy = busy
        try:
            yield
        except NothingToShow as error:
            self._say(error.message + ".", error.remedy)
        except BdapError as error:
            self._say(error.message[:1].upper() + error.message[1:] + ".", error.remedy)
        finally:
            self.panel.busy = ""


def open_explorer(query: str | None = None, audience: str = "") -> Panel:
    """The dashboard for this process: visitors of a dashboard see what is public, a person in a notebook their own."""
    in_dashboard = bool(os.environ.get("BDAP_DASHBOARD"))
    audience = audience or ("public" if in_dashboard else "members")
    token = os.environ.get("BDAP_TOKEN") or os.environ.get("JUPYTERHUB_API_TOKEN", "")
    catalogue = Catalogue(os.environ.get("BDAP_CATALOGUE_URL", ""), token if audience == "members" else "")
    query = os.environ.get("QUERY_STRING", "") if query is None else query
    return Explorer(catalogue, Client(), query, in_dashboard, os.environ.get("BDAP_HUB_URL", "")).panel


def _text(data: dict[str, Any], key: str) -> str:
    """A text of a gesture; what is none, or too long, is empty."""
    value = data.get(key, "")
    return value if isinstance(value, str) and len(value) <= 200 else ""


def _is_stale(scene: Scene, camera: Camera) -> bool:
    """Whether it was drawn, or could not be, for another view than this."""
    if scene.frame is None:
        return False
    west, south, east, north = scene.frame
    return bool(scene.problem) or not (west <= camera.lon <= east and south <= camera.lat <= north)


def _turned(lon: float) -> float:
    """A longitude of a world copy as one from -180 to 180."""
    return (lon + 180) % 360 - 180
