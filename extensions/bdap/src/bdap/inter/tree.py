"""`inter.collections`, the tree that interapro names data by, and what of it there is here.

Any path can be written; Collection(path) says which of them this platform knows.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .. import client as clients
from ..errors import BadCube, BdapError
from .images import ImageCollection
from .vectors import VectorLayer

COUNTRIES = Path(__file__).parent / "countries.geojson"
"""Natural Earth, 1:110 million, public domain: attributes iso_a2, iso_a3, admin."""


class Place:
    """A place in the tree; its parts are attributes."""

    def __init__(self, path: tuple[str, ...] = ()) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Place:
        if name.startswith("_"):
            raise AttributeError(name)
        return Place((*self._path, name))

    def __dir__(self) -> list[str]:
        return [] if self._path else ["Vector", "BaseData", *(each.replace("-", "_") for each in _ids())]

    def __repr__(self) -> str:
        return ".".join(("inter.collections", *self._path))


collections = Place()


def Collection(place: Place | str) -> ImageCollection | VectorLayer:
    """The images or the vectors at a place of the tree; an id of this platform's is taken as well."""
    path = place._path if isinstance(place, Place) else tuple(place.split("."))
    if path and path[-1] == "Vector":
        return VectorLayer()
    if path and path[-1] == "Countries":
        return VectorLayer(str(COUNTRIES))
    known = {each.replace("-", "_"): each for each in _ids()}
    found = known.get(path[-1].replace("-", "_")) if path else None
    if found is None:
        raise BadCube(
            f"there is no collection {'.'.join(path)!r} here",
            "bdap.collections() lists those that there are; ask the platform's operators to add one",
        )
    return ImageCollection(found)


def _ids() -> list[Any]:
    try:
        return [each["id"] for each in clients.default().collections()]
    except BdapError:
        return []
