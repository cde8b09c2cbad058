"""The recipes of docs/how-to/analyse.md, as the unmodified openEO client writes them, are graphs that we know."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import openeo
import openeo.processes
import pytest
from openeo.rest.datacube import DataCube
from openeo.rest.vectorcube import VectorCube

from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY

PAGE = Path(__file__).parents[2] / "docs/how-to/analyse.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


class Connection:
    """What the client does without a server: describe."""

    def load_collection(self, name: str, bands: Any = None) -> DataCube:
        return DataCube.load_collection(name, connection=None, bands=bands, fetch_metadata=False)

    def load_geojson(self, data: Any) -> VectorCube:
        return VectorCube.load_geojson(connection=None, data=data)


def described() -> dict[str, Any]:
    """All cubes that the recipes make."""
    names: dict[str, Any] = {"connection": Connection(), "openeo": openeo}
    for block in BLOCKS:
        exec(block, names)  # our own page
    return {name: cube for name, cube in names.items() if isinstance(cube, (DataCube, VectorCube))}


CUBES = described()


@pytest.mark.parametrize("name", sorted(CUBES))
def test_a_recipe_is_a_graph_that_we_know(name: str) -> None:
    graph = parse(CUBES[name].flat_graph(), REGISTRY)
    assert graph.nodes and graph.result


def test_all_kinds_of_recipes_are_there() -> None:
    assert {"clear_landsat", "indices", "cleaned", "ridges", "means", "sureness"} <= set(CUBES)
