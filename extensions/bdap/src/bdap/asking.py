"""Numbers out of a cube: values at places, series, histograms, statistics of areas, its items and dates."""

from __future__ import annotations

from typing import Any

from . import ask, filters, labels, narrowing, shapes, walk
from .base import Base
from .errors import BadCube
from .table import Table, Zones

Box = tuple[float, float, float, float]


class Asking(Base):
    """Each of these asks the platform and waits for the answer."""

    @property
    def graph(self) -> dict[str, Any]:
        """The openEO process graph, flat, as the API takes it."""
        raise NotImplementedError

    @property
    def key(self) -> str:
        """Text equal for cubes that mean the same."""
        raise NotImplementedError

    def tiles_url(self) -> str:
        """The XYZ template of this cube's map tiles; asks the platform once for equal cubes."""
        return ask.service(self).url

    @property
    def bounds(self) -> Box | None:
        """West, south, east, north in degrees of what the cube reads."""
        return ask.service(self).bounds

    def value(self, lon: float, lat: float) -> float | dict[str, float | None] | None:
        """The value at a place: a number (None: no data there), or one for each band."""
        return ask.value(self, lon, lat)

    def values(self, points: Any) -> Table:
        """The values at many places: a row for each (and for each date), as `lon`, `lat`, `date` and the bands.

        Points are pairs (longitude, latitude), GeoJSON, shapely or geopandas; `.pandas()` makes a DataFrame.
        """
        return ask.values(self, shapes.places(points))

    def histogram(self, shape: Any = None, bins: int = 32) -> tuple[list[float], list[int]]:
        """Edges of the bins (one more) and counts, within a box or polygons in degrees (None: all of it)."""
        if shape is None or (box := shapes.as_box(shape)) is not None:
            return ask.histogram(self, None if shape is None else box, bins)
        area = shapes.polygons(shape, "histogram()")
        inside = self._then("mask_polygon", mask=area, inside=False)
        return ask.histogram(inside, shapes.box_around(area), bins)

    def timeseries(self, *place: Any, statistic: str = "mean") -> list[tuple[str, float | None]]:
        """(day, value) for every day of the cube: at `lon, lat`, or a statistic of a geometry; of one band."""
        return ask.timeseries(self, _place(place), statistic)

    def statistics(self, zones: Any) -> Zones:
        """Statistics (mean, sd, min, max, median, sum, …) of each zone, date and band, of the pixels in it.

        Zones are a box, GeoJSON, shapely or geopandas. The answer is GeoJSON with the numbers as properties;
        `.pandas()` and `.geopandas()` make tables.
        """
        return ask.statistics(self, shapes.features(zones))

    def items(self) -> list[dict[str, Any]]:
        """The STAC items this cube reads."""
        found = [item for load in narrowing.loads(self._node) for item in ask.items(self, load)]
        return filters.in_order(found, self.order) if self.order else found

    def dates(self) -> list[str]:
        """The days there is data of, in order; of composites, the periods."""
        if walk.composed(self._node):
            return [labels.day(label) for label in ask.service(self).times]
        return sorted({filters.day_of(item) for item in self.items()})

    def _search(self, count: int) -> list[dict[str, Any]]:
        search = filters.search_of(self._load)
        sortby = [{"field": name, "direction": "desc" if down else "asc"} for name, down in self.order]
        fields = {"include": ["id", "collection", *filters.DATES], "exclude": ["assets", "links", "geometry"]}
        search |= {"fields": fields, **({"sortby": sortby} if sortby else {})}
        return ask.client_of(self).search(search, count)


def _place(place: tuple[Any, ...]) -> dict[str, Any]:
    if len(place) == 2:
        ((lon, lat),) = shapes.places(place)
        return {"type": "Point", "coordinates": [lon, lat]}
    if len(place) != 1:
        raise BadCube(f"timeseries() got {len(place)} arguments", "write timeseries(lon, lat) or timeseries(geometry)")
    return shapes.geometry(place[0])
