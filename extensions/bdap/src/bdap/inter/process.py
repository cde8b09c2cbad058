"""A picture in the making, with interapro's methods: bands, maths, masks, colours, then a layer of the map.

As in interapro, methods change it and give it back. Below lies a lazy cube: nothing is read until it is drawn or asked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Self

from .. import ask
from ..cube import Cube
from ..errors import BadCube
from ..graph import Node
from ..maths import pixels
from .formula import FUNCTIONS, evaluate
from .layers import LayerId, remember

COMPARE = {"LT": "<", "LE": "<=", "GT": ">", "GE": ">=", "EQ": "=", "NE": "!="}
ARITHMETIC = ("+", "-", "*", "/", "**")


class ImageProcess:
    """One picture. `cube` is what this platform computes of it; it has no dates any more."""

    def __init__(self, cube: Cube) -> None:
        self.cube = cube
        self._style: dict[str, Any] = {}
        self.strength = 1.0

    # --- values -------------------------------------------------------------------------------------------------

    def band(self, name: str | int) -> Self:
        """Go on with one band."""
        return self._now(self.cube.band(self._band(name)))

    def bands(self, red: str | int, green: str | int, blue: str | int) -> Self:
        """Go on with three bands, drawn as red, green and blue."""
        return self._now(self.cube.bands(*(self._band(each) for each in (red, green, blue))))

    def index(self, name: str) -> Self:
        """Go on with a spectral index, such as NDVI."""
        return self._now(self.cube.index(name))

    def NDVI(self) -> Self:
        """The normalised difference vegetation index."""
        return self.index("NDVI")

    def NDWI(self) -> Self:
        """The normalised difference water index."""
        return self.index("NDWI")

    def math(self, formula: str, number: float | None = None) -> Self:
        """A formula of bands, "(B08 - B04) / (B08 + B04)"; a function's name, "sqrt"; or an operator and a number."""
        if number is not None:
            return self.arith(formula, number)
        if formula.strip().lower() in FUNCTIONS:
            return self._now(self.cube.apply(FUNCTIONS[formula.strip().lower()]))
        return self._now(evaluate(formula, lambda name: self.cube.band(self._band(name))))

    def arith(self, operator: str, other: ImageProcess | float) -> Self:
        """+ - * / with a number or another picture; ** with a number."""
        if operator not in ARITHMETIC:
            raise BadCube(f"arith() got the operator {operator!r}", f"use one of {' '.join(ARITHMETIC)}")
        with_ = other.cube if isinstance(other, ImageProcess) else other
        method = {"+": "__add__", "-": "__sub__", "*": "__mul__", "/": "__truediv__", "**": "__pow__"}[operator]
        return self._now(getattr(self.cube, method)(with_))

    def bitwise(self, operator: str, number: int) -> Self:
        """`and` with neighbouring bits (0b1100), or `>>` by a number of bits, of whole numbers."""
        first, count = _bits(operator, number)
        shifted = self.cube.apply("extract_bits", first=first, count=count)
        return self._now(shifted * 2**first if operator.lower() in ("and", "&") else shifted)

    def blend(self, other: ImageProcess, share: float = 0.5) -> Self:
        """This picture with `share` (0 to 1) of another over it."""
        if not 0 <= share <= 1:
            raise BadCube(f"blend() got the share {share:g}", "give a number from 0 to 1")
        return self._now(self.cube * (1 - share) + other.cube * share)

    # --- masks --------------------------------------------------------------------------------------------------

    def mask(self, other: ImageProcess) -> Self:
        """Keep the pixels where another picture is neither 0 nor without data."""
        return self._now(self.cube.keep(other.cube))

    def maskLT(self, value: float) -> Self:
        """Hide values below."""
        return self._now(self.cube.mask(self.cube < value))

    def maskLE(self, value: float) -> Self:
        """Hide values below and the value itself."""
        return self._now(self.cube.mask(self.cube <= value))

    def maskGT(self, value: float) -> Self:
        """Hide values above."""
        return self._now(self.cube.mask(self.cube > value))

    def maskGE(self, value: float) -> Self:
        """Hide values above and the value itself."""
        return self._now(self.cube.mask(self.cube >= value))

    def maskEQ(self, value: float) -> Self:
        """Hide one value."""
        return self._now(self.cube.mask(self.cube == value))

    # --- colours ------------------------------------------------------------------------------------------------

    def scale(self, low: float, high: float) -> Self:
        """The values of the first and of the last colour."""
        if not low < high:
            raise BadCube(f"scale({low:g}, {high:g}) is empty", "the first value must be below the second")
        self._style |= {"min": low, "max": high}
        return self

    def colorCustom(self, colours: Sequence[str]) -> Self:
        """A ramp of these colours between the values of scale()."""
        self._style["colormap"] = [str(each) for each in colours]
        return self

    def colorScheme(self, name: str) -> Self:
        """A ramp by name; `inv` before it turns it round."""
        turned = name.startswith("inv")
        self._style["colormap"] = name.removeprefix("inv").lower() + ("_r" if turned else "")
        return self

    def colorMap(self, colours: Mapping[float, str]) -> Self:
        """Classes: each value its colour; other values are not drawn."""
        self._style = {"classes": [{"value": value, "color": colour} for value, colour in colours.items()]}
        return self

    def classify(self, breaks: Sequence[float], colours: Sequence[str], labels: Sequence[str] = ()) -> Self:
        """Intervals between rising breaks, one colour (and label) more than breaks."""
        if len(colours) != len(breaks) + 1:
            raise BadCube(f"classify() got {len(breaks)} breaks and {len(colours)} colours", "give one colour more")
        if labels and len(labels) != len(colours):
            raise BadCube(f"classify() got {len(colours)} colours and {len(labels)} labels", "give as many labels")
        edges = [None, *breaks, None]
        made = []
        for i, colour in enumerate(colours):
            part = {"min": edges[i], "max": edges[i + 1], "color": colour, "label": labels[i] if labels else None}
            made.append({key: value for key, value in part.items() if value is not None})
        self._style = {"intervals": made}
        return self

    def opacity(self, value: float) -> Self:
        """0 (unseen) to 255."""
        self.strength = max(0.0, min(1.0, float(value) / 255))
        return self

    # --- layer --------------------------------------------------------------------------------------------------

    @property
    def styled(self) -> Cube:
        """The cube with its colours, as tiles are drawn."""
        node = Node("save_result", {"data": self.cube._node, "format": "PNG", "options": dict(self._style)})
        return Cube(pixels(node), None, self.cube.client)

    def toLayer(self) -> LayerId:
        """What Map.addLayer takes. Later changes of the picture do not change the layer."""
        made = ImageProcess(self.cube)
        made._style, made.strength = dict(self._style), self.strength
        return remember(made)

    def process(self) -> Self:
        """Itself."""
        return self

    def bounds(self) -> tuple[float, float, float, float] | None:
        """(west, south, east, north) of the data."""
        return ask.service(self.styled).bounds

    def at(self, lon: float, lat: float) -> str:
        """The values at a place as text; empty where there are none."""
        found = self.cube.value(lon, lat)
        values = found if isinstance(found, dict) else {"": found}
        return ", ".join(f"{band} {value:g}".strip() for band, value in values.items() if value is not None)

    def _band(self, name: str | int) -> str:
        """interapro's B4 is B04 here; a number counts Sentinel-2's way as well."""
        text = f"B{name}" if isinstance(name, int) else name.strip()
        return re.sub(r"^B(\d)$", r"B0\1", text)

    def _now(self, cube: Cube) -> Self:
        self.cube = cube
        return self


def _bits(operator: str, number: int) -> tuple[int, int]:
    """First bit and count of bits."""
    if operator == ">>" and 0 <= number < 31:
        return number, 32 - number
    if operator.lower() in ("and", "&") and number > 0:
        first = (number & -number).bit_length() - 1
        count = (number >> first).bit_length()
        if number >> first == 2**count - 1:
            return first, count
    raise BadCube(f"bitwise({operator!r}, {number}) is not known", "use and with neighbouring bits, or >> with 0 to 30")
