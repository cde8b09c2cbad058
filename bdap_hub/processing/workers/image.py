"""Draws one tile of a compiled graph, in a worker or in the service itself."""

from __future__ import annotations

from affine import Affine

from ..cubes.cube import Cube
from ..drawing.drawable import Drawable, picture
from ..drawing.formats import Format, geotiff, npy, picture_as
from ..drawing.layers import at_date, layer_names, layers
from ..engine.evaluate import Compiled, Engine
from ..engine.grid import Grid


def image(engine: Engine, compiled: Compiled, drawable: Drawable, grid: Grid, form: Format, date: str) -> bytes:
    """The image of a tile at a date, or its values."""
    if form.values:
        one = at_date(engine.cube(compiled, grid), date)
        return npy(layers(one)) if form.name == "NPY" else _geotiff(one, grid)
    style = drawable.wanted()
    cube = engine.cube(compiled, grid.grown(style.margin))
    return picture_as(picture(cube, date, style, grid.metres), form, style.background)


def _geotiff(one: Cube, grid: Grid) -> bytes:
    transform = Affine(grid.xres, 0, grid.left, 0, -grid.yres, grid.top)
    return geotiff(layers(one), layer_names(one), grid.crs, transform)
