"""What the address of a tile asks for: place, size, format. PURE."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ...errors import BadRequest, NotFound
from ..drawing.formats import FORMATS, Format
from ..engine.grid import MAX_ZOOM, Grid

LAST = re.compile(r"(-?\d{1,9})(?:@([12])x)?(?:\.([a-z]{2,5}))?\Z")
_BY_EXTENSION = {extension: form for form in FORMATS for extension in form.extensions}
_BY_NAME = {form.name: form for form in FORMATS}


@dataclass(frozen=True)
class Address:
    """A tile: where, how many pixels wide and high, and in which format."""

    z: int
    x: int
    y: int
    size: int
    form: Format

    @property
    def grid(self) -> Grid:
        """Its pixels."""
        return Grid.tile(self.z, self.x, self.y, self.size)


def read_address(z: int, x: int, last: str, size: int, form: Format, wanted: str = "", accept: str = "") -> Address:
    """The tile of an address that ends in `last`, such as 2890@2x.webp; `size` and `form` are its service's.

    The format is the extension's, else `wanted` (?format=), else the first that `accept` names, else the service's.
    """
    found = LAST.match(last)
    if not found:
        raise NotFound(f"there is no tile {last!r:.40}", "write z/x/y, for example 10/540/360.png or 360@2x.webp")
    y, twice, extension = int(found[1]), int(found[2] or 1), found[3]
    if not (0 <= z <= MAX_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
        raise NotFound(f"there is no tile {z}/{x}/{y}", f"z is 0 to {MAX_ZOOM}, x and y are below 2^z")
    shown = read_format(extension or wanted) if extension or wanted else _accepted(accept) or form
    return Address(z, x, y, size * twice, shown)


def read_format(text: str) -> Format:
    """A format by its name or extension."""
    found = _BY_EXTENSION.get(text.lower()) or _BY_NAME.get(text.upper())
    if found is None:
        raise BadRequest(f"there are no tiles of format {text!r:.20}", f"take one of {', '.join(_BY_EXTENSION)}")
    return found


def _accepted(header: str) -> Format | None:
    """The first format that an Accept header names outright; browsers' lists of everything decide nothing."""
    kinds = [part.partition(";")[0].strip().lower() for part in header.split(",")]
    known = {form.media.partition(";")[0]: form for form in FORMATS}
    return next((known[kind] for kind in kinds if kind in known), None) if "*/*" not in kinds else None
