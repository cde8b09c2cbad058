"""`bdap.Map`: what all its parts make together, and the histogram of what is in view."""

from __future__ import annotations

from typing import Any, Self

import ipywidgets as widgets

from .. import ask
from ..charts import histogram_figure
from ..cube import Cube
from ..errors import BdapError
from . import view
from .closing import shut
from .printing import Printing


class Map(Printing):
    """A Leaflet map that takes cubes and features.

    `center` is (lat, lon) as in Leaflet; without it the first layer is shown.
    """

    def show_histogram(self, cube: Cube, bins: int = 32, name: str = "values in view") -> Self:
        """A histogram of the cube within the present view, on the map."""
        try:
            figure = self.histogram_figure(cube, bins, name)
        except BdapError as error:
            self._say("histogram", error)
            return self
        self._hush("histogram")
        shut(figure.layout)
        figure.layout = widgets.Layout(width="330px", height="230px")
        self._note("chart", figure, "bottomright")
        return self

    def histogram_figure(self, cube: Cube, bins: int = 32, title: str = "") -> Any:
        """The same histogram as a bqplot figure, to be placed elsewhere."""
        edges, counts = ask.histogram(cube, self.view(cube), bins)
        return histogram_figure(edges, counts, title)

    def view(self, cube: Cube) -> view.Box | None:
        """(west, south, east, north) of what is seen of the cube; before the map is shown, all of the cube."""
        seen, inside = view.seen(self.bounds), ask.service(cube).bounds
        return view.overlap(seen, inside) if seen else inside
