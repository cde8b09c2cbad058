"""What is made of the pixels: indices, masks, reducers, composites, classes. Each adds to the graph alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, Self

from . import classes, shapes, spectral
from .base import Base, given, reducer
from .choosing import Choosing
from .errors import BadCube
from .graph import Callback, Node, Parameter
from .maths import BANDS, TIME, element, function, operation, pixels
from .operators import Operators
from .walk import composed, physical, sole_load, without_time

CLOUD_CLASSES = (3, 8, 9, 10)
"""Sentinel-2 scene classes: cloud shadow, cloud of medium and high probability, cirrus."""
CLOUD_BITS = (1, 2, 3, 4)
"""Bits of Landsat's QA_PIXEL: dilated cloud, cirrus, cloud, cloud shadow."""
REDUCERS = ("mean", "median", "min", "max", "first", "last", "sum", "product", "count", "sd", "variance", "any", "all")
PERIODS = ("hour", "day", "week", "dekad", "month", "season", "tropical-season", "year", "decade")


class Calculating(Choosing):
    """Bands, time and values."""

    # --- spectral indices ---------------------------------------------------------------------------------------

    def index(
        self,
        *names: str,
        platform: str | None = None,
        bands: Mapping[str, str] | None = None,
        physical_values: bool = True,
        **constants: float,
    ) -> Self:
        """Spectral indices by name, such as index("NDVI") or index("SAVI", L=0.3); `bdap.indices` lists the 280.

        Bands are found by their common names, by those of a `platform` ("sentinel-2"), or as `bands` says:
        {"N": "B08"}. They are taken as reflectance, which formulas with constants need, unless `physical_values`
        is False.
        """
        if not names:
            raise BadCube("index() needs a name", 'write index("NDVI"); bdap.indices lists them')
        wanted = [spectral.known(name) for name in names]
        data = (physical(self._node) if physical_values else None) or self._node
        more = given(platform=platform, variable_map=dict(bands) if bands else None, constants=constants or None)
        made = Node("compute_indices", {"data": data, "indices": wanted, **more})
        return self._as(element(made, wanted[0]) if len(wanted) == 1 else pixels(made))

    def normalized_difference(self, one: str, two: str) -> Self:
        """(one - two) / (one + two) of two bands."""
        x, y = element(self._node, one), element(self._node, two)
        return self._as(operation("divide", operation("subtract", x, y), operation("add", x, y)))

    def ndvi(self, nir: str = "B08", red: str = "B04") -> Self:
        """The normalised difference vegetation index, -1 to 1, of two bands as they are stored."""
        return self.normalized_difference(nir, red)

    def apply(self, process: str, **arguments: float) -> Self:
        """Any openEO process of a number `x`, such as apply("sqrt")."""
        return self._as(function(self._maths, process, "x", **arguments))

    # --- masks --------------------------------------------------------------------------------------------------

    def mask(self, condition: Any) -> Self:
        """Hide the pixels where `condition` is true."""
        if not isinstance(condition, Base):
            raise BadCube(f"mask() got {condition!r}", 'give it a comparison such as cube.band("SCL") == 3')
        return self._then("mask", mask=condition._node)

    def keep(self, condition: Any) -> Self:
        """Hide all pixels but those where `condition` is true; where it is no data, they are hidden, too."""
        if not isinstance(condition, Operators):
            raise BadCube(f"keep() got {condition!r}", 'give it a comparison such as cube.band("SCL") == 4')
        unknown = function(function(condition._maths, "is_valid"), "not")
        return self._then("mask", mask=operation("or", function(condition._maths, "not"), unknown).node())

    def mask_clouds(
        self, band: str = "SCL", classes: Sequence[int] = (), bits: Sequence[int] = (), wide: bool = False
    ) -> Self:
        """Hide clouds and their shadows. Call it before reducing over time.

        By scene classes (SCL), or by the bits of a quality band (`band="QA_PIXEL"`); `wide` hides what lies near
        them, too, as the openEO platform does.
        """
        if without_time(self._node):
            raise BadCube("mask_clouds() comes after a reduction over time", "call it before .median() and the like")
        if wide:
            return self._then("mask_scl_dilation", scl_band_name=band)
        if bits or (not classes and band.upper().startswith("QA")):
            return self.mask_bits(band, bits or CLOUD_BITS)
        scene = self._quality(band)
        first, *others = classes or CLOUD_CLASSES
        condition = operation("eq", scene, first)
        for number in others:
            condition = operation("or", condition, operation("eq", scene, number))
        return self._then("mask", mask=condition.node())

    def mask_scl(self, *classes: int) -> Self:
        """Hide these classes of Sentinel-2's scene classification."""
        if not classes:
            raise BadCube("mask_scl() needs classes", "write mask_scl(3, 8, 9, 10)")
        return self.mask_clouds("SCL", classes)

    def mask_bits(self, band: str, bits: Sequence[int], every: bool = False) -> Self:
        """Hide pixels of whose quality band any of the bits (with `every`: all of them) is set; bit 0 is the lowest."""
        if not bits:
            raise BadCube("mask_bits() needs bits", f'write mask_bits("{band}", [1, 3, 4])')
        quality = self._quality(band)
        found = Node("has_bits", {"x": quality.expression, "bits": list(bits), **({"all": True} if every else {})})
        return self._then("mask", mask=type(quality)(quality.kind, quality.base, found).node())

    def mask_values(self, low: float | None = None, high: float | None = None) -> Self:
        """Hide values below `low` or above `high`."""
        tests = [operation(name, self._maths, edge) for name, edge in (("lt", low), ("gt", high)) if edge is not None]
        if not tests:
            raise BadCube("mask_values() needs a limit", "write mask_values(low=0) or mask_values(0, 1)")
        return self._then("mask", mask=(tests[0] if len(tests) == 1 else operation("or", *tests)).node())

    def mask_outside(self, shape: Any) -> Self:
        """Hide what lies outside of polygons (a box, GeoJSON, shapely, geopandas)."""
        return self._then("mask_polygon", mask=shapes.polygons(shape, "mask_outside()"), inside=False)

    def mask_inside(self, shape: Any) -> Self:
        """Hide what lies in polygons."""
        return self._then("mask_polygon", mask=shapes.polygons(shape, "mask_inside()"), inside=True)

    # --- over time and bands ------------------------------------------------------------------------------------

    def reduce(self, name: str, over: str = TIME) -> Self:
        """One value out of all dates, or of all bands with over="bands": mean, median, min, max, first, last, …"""
        if name not in REDUCERS:
            raise BadCube(f"there is no reducer {name!r}", f"use one of {', '.join(REDUCERS)}")
        return self._reduced(name, over, reducer(name))

    def percentile(self, percent: float, over: str = TIME) -> Self:
        """The value below which so many percent of the values lie."""
        if not 0 <= percent <= 100:
            raise BadCube(f"percentile({percent:g}) is no percentage", "give a number from 0 to 100")
        found = reducer("quantiles", probabilities=[percent / 100]).result
        return self._reduced("percentile", over, Callback(Node("array_element", {"data": found, "index": 0})))

    def composite(self, period: str, name: str = "median") -> Self:
        """One picture for each "month" (or week, dekad, season, year, …) out of its dates."""
        if period not in PERIODS:
            raise BadCube(f"there is no period {period!r}", f"use one of {', '.join(PERIODS)}")
        if name not in REDUCERS:
            raise BadCube(f"there is no reducer {name!r}", f"use one of {', '.join(REDUCERS)}")
        if without_time(self._node):
            raise BadCube("composite(): this cube has no dates any more", "call it instead of .median() and the like")
        return self._then("aggregate_temporal_period", period=period, reducer=reducer(name))

    def at(self, day: str | date) -> Self:
        """One picture: that of a day, or of a period that `composite` made ("2024-06")."""
        if without_time(self._node):
            raise BadCube(
                f"at({str(day)!r}): this cube has no dates any more", "ask for a day before .median() and the like"
            )
        if composed(self._node):
            label = Callback(Node("eq", {"x": Parameter("value"), "y": str(day)}))
            return self._then("filter_labels", condition=label, dimension=TIME).reduce("first")
        return self.during(day).reduce("first")

    def mean(self, over: str = TIME) -> Self:
        """The mean over time (or bands)."""
        return self.reduce("mean", over)

    def median(self, over: str = TIME) -> Self:
        """The median over time (or bands)."""
        return self.reduce("median", over)

    def max(self, over: str = TIME) -> Self:
        """The maximum over time (or bands)."""
        return self.reduce("max", over)

    def min(self, over: str = TIME) -> Self:
        """The minimum over time (or bands)."""
        return self.reduce("min", over)

    def sum(self, over: str = TIME) -> Self:
        """The sum over time (or bands)."""
        return self.reduce("sum", over)

    def count(self, over: str = TIME) -> Self:
        """How many valid values there are over time (or bands)."""
        return self.reduce("count", over)

    def sd(self, over: str = TIME) -> Self:
        """The standard deviation over time (or bands)."""
        return self.reduce("sd", over)

    def first(self) -> Self:
        """The first valid value in time."""
        return self.reduce("first")

    def last(self) -> Self:
        """The last valid value in time."""
        return self.reduce("last")

    def classify(
        self, rules: Mapping[Any, Any] | Sequence[float] = (), other: float | None = None, *, model: str = ""
    ) -> Self:
        """Values become classes.

        classify([0.2, 0.5]) gives 1 below 0.2, 2 from there to 0.5, 3 above. classify({1: (0, 0.2), 2: (0.2, None)})
        names classes by intervals (the first bound belongs to it). classify({10: 1, 20: 1, 30: 2}) gives other
        numbers to numbers. What fits no rule becomes `other` (None: no data). classify(model="crops") asks a stored
        model, whose features are the bands.
        """
        if model:
            found = Node("load_ml_model", {"id": model})
            return self._then("ml_predict", model=found)
        expression = classes.expression(self._maths.expression, rules, other)
        return self._as(type(self._maths)(self._maths.kind, self._maths.base, expression))

    # --- inside -------------------------------------------------------------------------------------------------

    def _reduced(self, name: str, over: str, callback: Callback) -> Self:
        if over not in (TIME, BANDS):
            raise BadCube(f"there is no dimension {over!r} to reduce", f'use over="{TIME}" or over="{BANDS}"')
        if over == TIME and without_time(self._node):
            raise BadCube(f"{name}() over time: this cube has no dates any more", "reduce over time only once")
        return self._then("reduce_dimension", dimension=over, reducer=callback)

    def _quality(self, band: str) -> Any:
        """A quality band of the collection that the pixels come from, as the start of a condition."""
        load = sole_load(self._node)
        bands = load.arguments.get("bands")
        if bands and band not in bands:
            load = Node(load.process, {**load.arguments, "bands": [band]})
        return element(load, band)
