"""What looks at more than one pixel: other grids, neighbourhoods, terrain, zones, code of one's own."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from . import shapes
from .base import Base, given, reducer
from .errors import BadCube
from .graph import Callback, Node, Parameter

METHODS = (
    "near", "bilinear", "cubic", "cubicspline", "lanczos", "average", "mode", "max", "min", "med", "q1", "q3", "sum",
    "rms",
)  # fmt: skip
STATISTICS = (
    "mean", "median", "min", "max", "range", "sum", "count", "sd", "variance", "percentile", "majority", "minority",
    "variety",
)  # fmt: skip
MORPHOLOGY = ("erode", "dilate", "open", "close", "gradient", "tophat", "blackhat")
EDGES = ("sobel", "scharr", "prewitt", "laplacian")


class Around(Base):
    """Sizes are in pixels of the view: zoomed out on a map, a neighbourhood is wider on the ground."""

    # --- other pixels -------------------------------------------------------------------------------------------

    def resample(self, resolution: float = 0, crs: int | str | None = None, method: str = "bilinear") -> Self:
        """On pixels of another size (0: as it is) or reference system (32632 or "EPSG:32632"), in files and arrays."""
        _one_of(method, METHODS, "method of resampling")
        return self._then("resample_spatial", **given(resolution=resolution, projection=epsg(crs), method=method))

    def like(self, other: Base, method: str = "bilinear") -> Self:
        """On the pixels of another cube."""
        _one_of(method, METHODS, "method of resampling")
        return self._then("resample_cube_spatial", target=other._node, method=method)

    # --- neighbourhoods -----------------------------------------------------------------------------------------

    def focal(self, statistic: str, size: int = 3, shape: str = "square", percentile: float | None = None) -> Self:
        """A statistic of the pixels around each one, in a "square" or "circle" of `size` pixels a side."""
        _one_of(statistic, STATISTICS, "focal statistic")
        _odd(size)
        return self._then(
            "focal_statistics", **given(statistic=statistic, size=size, shape=shape, percentile=percentile)
        )

    def smooth(self, sigma: float = 1) -> Self:
        """The mean around each pixel, weighed by a Gaussian of so many pixels."""
        return self._then("gaussian_filter", sigma=sigma)

    def edges(self, operator: str = "sobel") -> Self:
        """How much values change from pixel to pixel."""
        return self._then("edge_detection", operator=_one_of(operator, EDGES, "operator for edges"))

    def morphology(self, operation: str, size: int = 3, shape: str = "square") -> Self:
        """ "open" removes specks, "close" fills gaps; also erode, dilate, gradient, tophat, blackhat."""
        _one_of(operation, MORPHOLOGY, "morphological operation")
        _odd(size)
        return self._then("morphology", operation=operation, size=size, shape=shape)

    def kernel(self, weights: Sequence[Sequence[float]], factor: float = 1) -> Self:
        """The sum of the pixels around each one, multiplied by a matrix of weights and a factor."""
        rows = [[float(each) for each in row] for row in weights]
        if not rows or len({len(row) for row in rows}) != 1 or len(rows) % 2 == 0 or len(rows[0]) % 2 == 0:
            raise BadCube("the weights are no matrix with odd sides", "write [[1, 2, 1], [2, 4, 2], [1, 2, 1]]")
        return self._then("apply_kernel", kernel=rows, factor=factor)

    # --- terrain ------------------------------------------------------------------------------------------------

    def slope(self, unit: str = "degree") -> Self:
        """The steepest slope of heights, in "degree", "radian" or "percent"."""
        return self._then("slope", unit=_one_of(unit, ("degree", "radian", "percent"), "unit of slopes"))

    def aspect(self) -> Self:
        """The direction down the slope, in degrees clockwise from north."""
        return self._then("aspect")

    def hillshade(self, azimuth: float = 315, altitude: float = 45, z_factor: float = 1) -> Self:
        """Light and shadow on heights, 0 to 255."""
        return self._then("hillshade", azimuth=azimuth, altitude=altitude, z_factor=z_factor)

    def terrain_index(self, index: str = "tpi", size: int = 3) -> Self:
        """Position (tpi), ruggedness (tri), roughness or curvature of heights."""
        _odd(size)
        _one_of(index, ("tpi", "tri", "roughness", "curvature"), "index of terrain")
        return self._then("terrain_index", index=index, size=size)

    # --- zones and code -----------------------------------------------------------------------------------------

    def zonal(self, zones: Any, statistic: str = "mean") -> Self:
        """One value for each zone, as a part of the graph: download it as .geojson, .parquet, .csv or .json.

        `.statistics(zones)` gives the numbers at once.
        """
        found = {"type": "FeatureCollection", "features": shapes.features(zones)}
        return self._then("aggregate_spatial", geometries=found, reducer=reducer(statistic))

    def apply_udf(
        self, code: str | Callable[..., Any], context: Mapping[str, Any] | None = None, window: int | None = None
    ) -> Self:
        """Python of your own: a function `f(cube: xarray.DataArray, context: dict)` that gives an array, or its text.

        It gets a tile's pixels at a time and must treat each by itself, unless `window` says in which squares of
        pixels it is to be called. It runs where the platform allows it, without network and files.
        """
        arguments = {"udf": source_of(code), "runtime": "Python", "context": dict(context or {})}
        if window is None:
            return self._then("run_udf", **arguments)
        inner = Callback(Node("run_udf", {"data": Parameter("data"), **arguments}))
        sides = [{"dimension": name, "value": window, "unit": "px"} for name in ("x", "y")]
        return self._then("apply_neighborhood", process=inner, size=sides)


def source_of(code: str | Callable[..., Any]) -> str:
    """The text of a function as a module with `apply_datacube`; text stays as it is."""
    if isinstance(code, str):
        if "\n" not in code.strip():
            raise BadCube(f"{code!r:.60} is no Python code of several lines", "give a function, or its whole text")
        return code
    name = getattr(code, "__name__", "")
    if not inspect.isfunction(code) or not name.isidentifier():
        raise BadCube(f"{code!r:.60} is no function", "write def f(cube, context): … and hand in f")
    if code.__code__.co_freevars:
        used = ", ".join(code.__code__.co_freevars)
        raise BadCube(f"the function uses {used} from around it", "hand such values in by context={...}")
    try:
        text = textwrap.dedent(inspect.getsource(code))
    except OSError:
        raise BadCube(f"the text of {name} is not known", "hand in its code as text") from None
    tail = "" if name == "apply_datacube" else f"\n\napply_datacube = {name}\n"
    return f"from __future__ import annotations\n\nimport numpy as np\nimport xarray\n\n\n{text}{tail}"


def epsg(crs: int | str | None) -> int | None:
    """The EPSG code of what people write; BadCube for anything else."""
    if crs is None:
        return None
    code = str(crs).upper().removeprefix("EPSG:")
    if not code.isdigit():
        raise BadCube(f"{crs!r} is no reference system with an EPSG code", 'write 32632 or "EPSG:32632"')
    return int(code)


def _one_of(value: str, known: Sequence[str], what: str) -> str:
    if value not in known:
        raise BadCube(f"there is no {what} {value!r}", f"use one of {', '.join(known)}")
    return value


def _odd(size: int) -> None:
    if isinstance(size, bool) or not isinstance(size, int) or size < 3 or size % 2 == 0:
        raise BadCube(f"a neighbourhood of {size!r} pixels has no middle", "use an odd number from 3 on")
