"""Which data a cube reads: place, time, properties of items, order and number, bands."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any, Self

from . import filters, narrowing, places, shapes, walk
from .base import Base
from .conditions import VALUE, Condition
from .errors import BadCube
from .graph import Callback, Node
from .maths import Maths, element, pixels


class Choosing(Base):
    """The first steps of a question; each gives a cube of less data."""

    def on(self, place: str, country: str = "", around: float = 10) -> Self:
        """Only around a place: a town (`around` km to each side), or the box of a country. Works offline.

        A name that several places have is refused with the list of them: `country="IT"` or "Italy" chooses.
        """
        return self.inside(places.find(place, country).box(around))

    def inside(self, shape: Any) -> Self:
        """Only (west, south, east, north) in degrees; or only the pixels in polygons (GeoJSON, shapely, geopandas).

        A box whose west is greater than its east crosses the antimeridian. A second box narrows the first.
        """
        if (box := shapes.as_box(shape)) is not None:
            return self._within(filters.spatial_extent(box))
        area = shapes.polygons(shape, "inside()")
        extent = filters.spatial_extent(shapes.box_around(area))
        return self._within(extent)._then("filter_spatial", geometries=area)

    def during(self, first: str | date, last: str | date | None = None) -> Self:
        """Only the days `first` to `last`, both included; "2024-06" is all of June, "2024" the year.

        A second one narrows the first.
        """
        extent = filters.interval(first, first if last is None else last)
        if self._is_load:
            return self._load_with(temporal_extent=narrowing.days(self._load.get("temporal_extent"), extent))
        return self._then("filter_temporal", extent=extent)

    def between(self, first: str | date, last: str | date) -> Self:
        """The same as `during`."""
        return self.during(first, last)

    def where(self, *tests: Condition, **properties: Any) -> Self:
        """Only items with these properties: `bdap.prop.cloud_cover < 20`, or `cloud_cover=20` for below 20 %.

        Other ways to write it: `cloud_cover="<= 20"`, `platform="sentinel-2a"`. Several conditions, and several calls,
        have to be met all. Directly after the collection.
        """
        if not self._is_load:
            raise BadCube("where() comes after another operation", "call it directly after bdap.collection(...)")
        known = self._load.get("properties") or {}
        wanted = [(name, callback.result) for name, callback in known.items()]
        wanted += [(name, filters.as_callback(*test).result) for name, test in filters.conditions(properties).items()]
        for test in tests:
            if not isinstance(test, Condition):
                raise BadCube(f"where({test!r}) is no condition", "write where(bdap.prop.cloud_cover < 20)")
            wanted += test.parts
        return self._load_with(properties=Condition(tuple(wanted)).callbacks())

    def sorted(self, by: str, descending: bool = False) -> Self:
        """The order in which `limit` takes items, and `items()` lists them; a leading minus: from the largest."""
        if not self._is_load:
            raise BadCube("sorted() comes after another operation", "call it directly before limit(n)")
        name = by.removeprefix("-")
        return replace(self, order=(*self.order, (filters.SHORT.get(name, name), descending or by.startswith("-"))))

    def limit(self, count: int) -> Self:
        """Only the first `count` items, in the order of `sorted` (else the newest); asks the catalogue now."""
        if not self._is_load:
            raise BadCube("limit() comes after another operation", "call it before .band(), .index(), .median() …")
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise BadCube(f"limit({count!r}) leaves nothing", "give a number from 1 on")
        found = filters.identifiers(self._search(count))
        if not found:
            raise BadCube(
                f"no item of {self._load['id']} fits what you have chosen",
                "widen .during(), .on() or .where(); bdap.collections() shows when and where there is data",
            )
        known = self._load.get("properties") or {}
        chosen = Callback(Node("array_contains", {"data": found, "value": VALUE}))
        return replace(self._load_with(properties={**known, "id": chosen}), order=())

    def bands(self, *names: str) -> Self:
        """Only these bands, in this order; three of them make a colour picture."""
        if not names:
            raise BadCube("bands() needs at least one name", 'write bands("B04", "B03", "B02")')
        return self._load_with(bands=list(names)) if self._is_load else self._then("filter_bands", bands=list(names))

    def band(self, name: str) -> Self:
        """One band, to calculate with: `cube.band("B08") - cube.band("B04")`."""
        return self._as(element(self._node, name))

    def physical(self) -> Self:
        """Values in the unit that they measure (reflectance from 0 to 1, Kelvin), not as they are stored."""
        found = walk.physical(self._node)
        if found is None:
            raise BadCube("physical() comes after maths", "call it before .band(), .index() and the like")
        return self._as(pixels(found))

    def _within(self, extent: dict[str, Any]) -> Self:
        known = self._load.get("spatial_extent") if self._is_load else None
        if self._is_load and (not known or narrowing.is_box(known)):
            return self._load_with(spatial_extent=narrowing.extents(known, extent))
        if "type" in extent:
            return self._then("filter_spatial", geometries=extent)
        return self._then("filter_bbox", extent=extent)


def loaded(process: str, **arguments: Any) -> Maths:
    """The beginning of a cube."""
    return pixels(Node(process, arguments))
