"""Code in whole graphs, through real sandboxes: tiles, results and the standard client give what numpy gives."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import openeo
import pytest
import rasterio

from bdap_hub.processing.engine.evaluate import Compiled, Engine
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.graphs.plan import build
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.udf.pool import Udfs

from .client import PREFIX, Client, tile
from .conftest import X, Y, Z, truth
from .graphs import arg, load, node, of
from .idioms import B04, B08
from .idioms import fields as collection
from .test_client_graphs import values
from .test_udf_sandbox import udf_settings  # noqa: F401  fixture
from .udf_codes import DOUBLE, MEDIAN, code

pytestmark = pytest.mark.docker
TILE = Grid.tile(Z, X, Y)
MEAN3 = code("import scipy.ndimage\nreturn cube.copy(data=scipy.ndimage.uniform_filter(cube.values, (1, 1, 3, 3)))")
RATIO = code("nir, red = cube.sel(bands='B08'), cube.sel(bands='B04')\nreturn (nir - red) / (nir + red)")
SORTED = code("return cube.sortby('t', ascending=False).isel(t=slice(0, 2))")


@pytest.fixture(scope="module")
def engine(fields: Any, udf_settings: Any) -> Iterator[Engine]:  # noqa: F811
    made = Engine(udf_settings.model_copy(update={"store": replace_root(udf_settings, fields[0])}))
    made.udfs = Udfs(udf_settings, made.watch.spare)
    yield made
    made.close()


def replace_root(settings: Any, root: Path) -> Any:
    return settings.store.model_copy(update={"root": root})


def made_of(engine: Engine, fields: Any, raw: Any, person: str = "ana") -> Compiled:
    graph = parse(raw, REGISTRY)
    plan = build(
        graph, queries(graph), {"fields": fields[1]}, {q.node: fields[2] for q in queries(graph)}, 99, person=person
    )
    return Compiled.of(graph, plan, udfs=engine.udfs)


def graph(process: str, text: str, callback: str = "process", data: str = "data", **more: Any) -> dict[str, Any]:
    run = node("run_udf", True, data=arg(data), udf=text, runtime="Python", context={"add": 1})
    made = node(process, True, data=of("a"), **{callback: {"process_graph": {"c": run}}}, **more)
    return {"a": load(bands=["B04", "B08"]), "u": made}


BOTH = np.stack([B04, B08], axis=1)
NEAR = (
    [{"dimension": d, "value": 16, "unit": "px"} for d in "xy"],
    [{"dimension": d, "value": 2, "unit": "px"} for d in "xy"],
)


def median() -> Any:
    with warnings.catch_warnings(action="ignore"):  # pixels without any value
        return np.nanmedian(BOTH, axis=0)


@pytest.mark.parametrize(
    ("raw", "want"),
    [
        (graph("reduce_dimension", MEDIAN, "reducer", dimension="t"), median),
        (graph("reduce_dimension", RATIO, "reducer", dimension="bands"), lambda: (B08 - B04) / (B08 + B04)),
        (graph("apply", DOUBLE, data="x"), lambda: BOTH * 2 + 1),
        (graph("apply_dimension", SORTED, dimension="t"), lambda: BOTH[:0:-1]),
    ],
    ids=["over time", "over bands", "each value", "along time"],
)
def test_a_tile_is_what_numpy_gives(engine: Engine, fields: Any, raw: Any, want: Any) -> None:
    found = engine.cube(made_of(engine, fields, raw), TILE)
    np.testing.assert_allclose(found.data, want(), rtol=1e-5)
    assert np.isnan(found.data).any() and np.isfinite(found.data).any()


def test_code_that_looks_around_shows_no_seams_in_neighbourhoods(engine: Engine, fields: Any) -> None:
    made = made_of(engine, fields, graph("apply_neighborhood", MEAN3, size=NEAR[0], overlap=NEAR[1]))
    small = replace(TILE, left=TILE.left + 120 * TILE.xres, top=TILE.top - 120 * TILE.yres, width=40, height=40)
    padded = BOTH[..., 118:162, 118:162]
    want = sum(padded[..., r : r + 40, c : c + 40] for r in (1, 2, 3) for c in (1, 2, 3)) / 9
    np.testing.assert_allclose(engine.cube(made, small).data, want, rtol=1e-4)


def test_a_graph_with_code_is_its_owners(engine: Engine, fields: Any) -> None:
    raw = graph("apply", DOUBLE, data="x")
    ana, ben = (made_of(engine, fields, raw, person).plan for person in ("ana", "ben"))
    assert (ana.person, ben.person) == ("ana", "ben") and ana.id != ben.id
    assert ana.id == made_of(engine, fields, raw, "ana").plan.id


def test_what_fails_is_told_when_the_graph_is_posted(engine: Engine, fields: Any) -> None:
    with pytest.raises(GraphError, match="no_such") as caught:
        made_of(engine, fields, graph("apply", code("return cube.no_such"), data="x"))
    assert caught.value.code == "UdfFailed" and caught.value.message.startswith("node 'c' (run_udf): ")
    with pytest.raises(GraphError, match="it gives bands, y, x") as caught:
        made_of(engine, fields, graph("apply", MEDIAN, data="x"))
    assert caught.value.code == "UdfResultInvalid"


@pytest.fixture(scope="module")
def coded(hub: Any, request: pytest.FixtureRequest, udf_settings: Any) -> Iterator[Any]:  # noqa: F811
    """The whole service, where people's code may run."""
    hub.settings.processing.udf = udf_settings.processing.udf
    platform = request.getfixturevalue("platform")
    yield platform
    platform.processing.state.room.engine.udfs.close()


@pytest.fixture(scope="module")
def con(coded: Any) -> Iterator[openeo.Connection]:
    connection = openeo.connect(f"{coded.settings.hub.public_url}{PREFIX}")
    yield connection.authenticate_basic("ana", coded.token("ana"))
    connection.session.close()


def test_the_clients_udf_draws_a_map_and_gives_a_result(con: openeo.Connection, tmp_path: Path) -> None:
    runtime = con.list_udf_runtimes()["Python"]
    assert {"numpy", "pandas", "scipy", "xarray"} == set(runtime["versions"]["3"]["libraries"])
    assert all(library["version"][0].isdigit() for library in runtime["versions"]["3"]["libraries"].values())
    cube = collection(con, "B04", "B08").reduce_dimension("t", openeo.UDF(textwrap.dedent(MEDIAN)))
    assert cube.validate() == []
    np.testing.assert_allclose(values(cube, "code"), median(), rtol=1e-5)
    cube.filter_bands(["B04"]).download(tmp_path / "median.tif", format="GTiff")
    with rasterio.open(tmp_path / "median.tif") as file, warnings.catch_warnings(action="ignore"):
        stack = np.stack([np.where(truth(n)["B04"] == 0, np.nan, truth(n)["B04"].astype(float)) for n in range(3)])
        np.testing.assert_allclose(file.read(1, masked=True).filled(np.nan), np.nanmedian(stack, axis=0), rtol=1e-5)


def test_a_maps_code_is_refused_in_a_sentence(coded: Any) -> None:
    ana = Client(coded, "ana")
    bad = ana.post(graph("apply", code("return cube / undefined"), data="x"))
    assert (bad.status_code, bad.json()["code"]) == (400, "UdfFailed") and "undefined" in bad.json()["message"]
    good = ana.service(graph("reduce_dimension", RATIO, "reducer", dimension="bands"))
    assert tile(good).status_code == 200
    job = ana.http.post("/jobs", json={"process": {"process_graph": graph("apply", DOUBLE, data="x")}})
    started = ana.http.post(f"/jobs/{job.headers['OpenEO-Identifier']}/results")
    assert (started.status_code, started.json()["code"]) == (400, "UdfNotAvailable")
