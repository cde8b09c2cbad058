"""The collections of the platform: a list that reads well, a search by words, and a tree by theme to press TAB in."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from . import client as clients
from . import finding
from .client import Client
from .cube import Cube, collection
from .errors import BdapError
from .table import grid

FRESH = 60
"""Seconds for which the tree trusts what the catalogue has said."""


class Collections(list[dict[str, Any]]):
    """STAC collections; in a notebook a table of id, title, pixels, bands and time."""

    def __repr__(self) -> str:
        return "\n".join(f"{each['id']}: {each.get('title', '')}" for each in self) or "no collection"

    def _repr_html_(self) -> str:
        if not self:
            return "<p>no collection</p>"
        heads = ("collection", "title", "pixels", "bands", "time")
        return grid(heads, (_row(each) for each in self), code=True)


class Theme:
    """The collections of one theme as attributes, each a cube: TAB lists them."""

    def __init__(self, name: str, found: Iterable[Mapping[str, Any]], client: Client | None) -> None:
        self._name = name
        self._found = Collections(dict(each) for each in found)
        for each in self._found:
            setattr(self, finding.identifier(each["id"]), collection(each["id"], client))

    def __call__(self) -> Collections:
        """The collections of this theme as a list."""
        return self._found

    def __repr__(self) -> str:
        lines = [f"  .{finding.identifier(each['id'])}: {each.get('title', '')}" for each in self._found]
        return "\n".join([f"{self._name} ({len(self._found)})", *lines])

    def _repr_html_(self) -> str:
        return self._found._repr_html_()


class Tree:
    """`bdap.collections`: themes as attributes (TAB), their collections below them; called, the list of all."""

    def __init__(self) -> None:
        self._asked, self._lock = float("-inf"), threading.Lock()
        self._of: Client | None = None

    def __call__(self, client: Client | None = None) -> Collections:
        """The collections you may see."""
        return Collections((client or clients.default()).collections())

    def __getitem__(self, name: str) -> Cube:
        """A collection by its id."""
        return collection(name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        self._refresh(patient=True)
        found = self.__dict__.get(name)
        if found is None:
            have = ", ".join(self._names()) or "none"
            raise AttributeError(f"there is no theme {name!r} of collections; there are: {have}")
        return found

    def __dir__(self) -> list[str]:
        self._refresh(patient=False)
        return self._names()

    def _ipython_key_completions_(self) -> list[str]:
        self._refresh(patient=False)
        return [each["id"] for name in self._names() for each in self.__dict__[name]()]

    def _names(self) -> list[str]:
        return [name for name, value in self.__dict__.items() if isinstance(value, Theme)]

    def _refresh(self, patient: bool) -> None:
        """Ask the catalogue anew after a while; where it does not answer, pressing TAB is no place to say so."""
        with self._lock:
            client = clients.default()
            if self._of is client and time.monotonic() - self._asked < FRESH:
                return
            try:
                found = finding.by_theme(client.collections())
            except BdapError:
                if patient:
                    raise
                return
            for name in self._names():
                del self.__dict__[name]
            self.__dict__ |= {name: Theme(name, each, None) for name, each in found.items()}
            self._asked, self._of = time.monotonic(), client

    def __repr__(self) -> str:
        try:
            self._refresh(patient=True)
        except BdapError as error:
            return f"<collections: {error.message}>"
        return "\n".join(repr(self.__dict__[name]) for name in self._names()) or "no collection"

    def _repr_html_(self) -> str | None:
        try:
            self._refresh(patient=True)
        except BdapError:
            return None
        parts = (f"<h4>{escape(name)}</h4>{self.__dict__[name]._repr_html_()}" for name in self._names())
        return "".join(parts) or "<p>no collection</p>"


def search(text: str, client: Client | None = None) -> Collections:
    """The collections that fit all words, the best first: search("ndvi 10 m"), search("radar"), search("forest").

    A length means pixels of that size or smaller, the name of a spectral index the bands that it needs.
    """
    return Collections(dict(each) for each in finding.ranked((client or clients.default()).collections(), text))


collections = Tree()


def _row(described: Mapping[str, Any]) -> tuple[str, ...]:
    bands = ", ".join(finding.bands_of(described)[:16])
    return str(described["id"]), str(described.get("title", "")), _pixels(described), bands, _time(described)


def _pixels(described: Mapping[str, Any]) -> str:
    size = finding.pixel_size(described)
    return "" if size is None else f"{size:g} m"


def _time(described: Mapping[str, Any]) -> str:
    intervals = described.get("extent", {}).get("temporal", {}).get("interval") or [[None, None]]
    first, last = intervals[0]
    return f"{(first or 'always')[:10]} – {(last or 'now')[:10]}"
