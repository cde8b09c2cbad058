"""How values become colours: one frozen class for each kind of style. PURE: only data; options.py makes them.

`bands` are the expressions that are drawn; none: the layers of the result as they are.
"""

from __future__ import annotations

from dataclasses import dataclass

from .colours import Colour, named, sampled
from .expression import Expression


@dataclass(frozen=True)
class Shade:
    """Light from a side on the surface of `elevation` (None: the drawn band); `strength` 0 is none, 1 all of it."""

    elevation: Expression | None = None
    azimuth: float = 315.0
    altitude: float = 45.0
    exaggeration: float = 1.0
    strength: float = 0.7


@dataclass(frozen=True)
class Ramp:
    """`low` … `high` are stretched over the 255 colours of `table`, bent by `gamma`."""

    table: tuple[Colour, ...]
    low: float
    high: float
    gamma: float = 1.0
    bands: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A class: what has this value gets this colour."""

    value: float
    colour: Colour
    label: str


@dataclass(frozen=True)
class Classes:
    """Values that are one of the entries', sorted by value; any other value is transparent."""

    entries: tuple[Entry, ...]
    bands: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Interval:
    """Values from `low` to less than `high`; infinite where it is open."""

    low: float
    high: float
    colour: Colour
    label: str


@dataclass(frozen=True)
class Intervals:
    """Intervals that rise and do not overlap; the last one holds its upper end too. Between them: transparent."""

    entries: tuple[Interval, ...]
    bands: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Composite:
    """Three bands as red, green and blue, each stretched from its `low` to its `high`."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    gamma: tuple[float, ...] = (1.0, 1.0, 1.0)
    bands: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Bivariate:
    """Two bands, each cut into `steps`: `table` has a colour for each pair, the first band's steps along a row."""

    table: tuple[Colour, ...]
    steps: int
    low: tuple[float, ...]
    high: tuple[float, ...]
    bands: tuple[Expression, ...] = ()


@dataclass(frozen=True)
class Trivariate:
    """Three bands, stretched, as shares of their sum: the colour is the mean of the corners' by these shares."""

    corners: tuple[Colour, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    bands: tuple[Expression, ...] = ()


Kind = Ramp | Classes | Intervals | Composite | Bivariate | Trivariate


@dataclass(frozen=True)
class Style:
    """A kind with what goes around it: hillshade, and for legends its title, unit, labels and own ticks."""

    kind: Kind
    shade: Shade | None = None
    title: str = ""
    unit: str = ""
    labels: tuple[str, ...] = ()
    ticks: tuple[float, ...] = ()
    background: Colour = (255, 255, 255, 255)

    @property
    def margin(self) -> int:
        """How many pixels around a picture it depends on."""
        return 1 if self.shade else 0


GRAY = Style(Ramp(sampled(named("gray")), 0.0, 255.0))
