"""Chains of cubes: our service accepts each, and its pixels are what numpy, and the standard openEO client, say."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import bdap
import httpx
import numpy as np
import openeo
import pytest
from bdap import inter
from scipy import ndimage

from tests.extensions.season import DATES, SIZE, Season, box, pixels, season
from tests.processing.conftest import X, Y, Z

B2, B4, B8, SCL = (pixels(name) for name in ("B02", "B04", "B08", "SCL"))
NDVI = (B8 - B4) / (B8 + B4)
CLOUDY = np.isin(SCL, (3, 8, 9, 10))
CLEAR = np.where(CLOUDY, np.nan, NDVI)
DOUBLE = "def apply_datacube(cube, context):\n    return cube * context['times']\n"


@pytest.fixture(scope="module")
def running(hub: Any) -> Iterator[Season]:
    with season(hub) as made:
        yield made


def shifted(values: Any) -> Any:
    """The reflectance of stored numbers."""
    return values * np.float32(0.0001)


def evi() -> Any:
    n, r, b = shifted(B8), shifted(B4), shifted(B2)
    return (2.5 * (n - r) / (n + 6 * r - 7.5 * b + 1))[-1]


CHAINS: dict[str, tuple[Callable[[bdap.Cube], bdap.Cube], Callable[[], Any]]] = {
    "index": (lambda c: c.index("NDVI").median(), lambda: np.nanmedian(NDVI, axis=0)),
    "index of reflectance": (lambda c: c.index("EVI").last(), evi),
    "two indices": (lambda c: c.index("NDVI", "SAVI").max().band("NDVI"), lambda: np.nanmax(NDVI, axis=0)),
    "index by bands": (
        lambda c: c.index("NDVI", bands={"N": "B08", "R": "B04"}).min(),
        lambda: np.nanmin(NDVI, axis=0),
    ),
    "clouds": (lambda c: c.mask_clouds().index("NDVI").mean(), lambda: np.nanmean(CLEAR, axis=0)),
    "clouds afterwards": (lambda c: c.index("NDVI").mask_scl(3, 8, 9, 10).mean(), lambda: np.nanmean(CLEAR, axis=0)),
    "keep": (lambda c: c.band("B04").keep(c.band("SCL") == 4).count(), lambda: (SCL == 4).sum(0)),
    "keep where it is known": (
        lambda c: c.band("B04").last().keep(c.band("B08").last().mask_values(high=3500) > 0),
        lambda: np.where(B8[-1] <= 3500, B4[-1], np.nan),
    ),
    "mask of another picture": (
        lambda c: (
            inter.ImageProcess(c.band("B04").last())
            .mask(inter.ImageProcess(c.band("B08").last().mask_values(high=3500) > 2500))
            .cube
        ),
        lambda: np.where((B8[-1] <= 3500) & (B8[-1] > 2500), B4[-1], np.nan),
    ),
    "values": (
        lambda c: c.band("B04").mask_values(100, 9000).max(),
        lambda: np.nanmax(np.where((B4 < 100) | (B4 > 9000), np.nan, B4), axis=0),
    ),
    "bits": (
        lambda c: c.band("B04").mask_bits("SCL", [3]).first(),
        lambda: first(np.where(np.nan_to_num(SCL).astype(int) & 8, np.nan, B4)),
    ),
    "geometry": (lambda c: c.band("B04").max().mask_outside(box(100, 120, 200, 300)), lambda: within(np.nanmax(B4, 0))),
    "inside a geometry": (
        lambda c: c.inside({"type": "Feature", "properties": {}, "geometry": area()}).band("B04").max(),
        lambda: within(np.nanmax(B4, 0)),
    ),
    "where in a geometry": (
        lambda c: (
            c.inside({"type": "Feature", "properties": {}, "geometry": area()})
            .where(bdap.prop.cloud_cover < 20)
            .during("2024")
            .bands("B04")
            .limit(1)
            .first()
            .band("B04")
        ),
        lambda: within(B4[1]),
    ),
    "percentile": (lambda c: c.band("B04").percentile(25), lambda: np.nanquantile(B4[:, :256, :256], 0.25, axis=0)),
    "over bands": (
        lambda c: c.bands("B04", "B08").last().mean(over="bands"),
        lambda: np.nanmean([B4[-1], B8[-1]], axis=0),
    ),
    "composite": (lambda c: c.band("B04").composite("month", "median").at("2024-06"), lambda: B4[1]),
    "of one day": (lambda c: c.band("B04").at(DATES[1]), lambda: B4[1]),
    "month": (lambda c: c.during("2024-06").band("B04").first(), lambda: B4[1]),
    "where": (lambda c: c.where(bdap.prop.cloud_cover < 20).band("B04").first(), lambda: B4[1]),
    "where between": (lambda c: c.where(bdap.prop.cloud_cover.between(30, 40)).band("B04").first(), lambda: B4[0]),
    "where twice": (
        lambda c: c.where(bdap.prop.cloud_cover > 30).where(bdap.prop.cloud_cover < 50).band("B04").first(),
        lambda: B4[0],
    ),
    "the clearest two": (
        lambda c: c.sorted("cloud_cover").limit(2).band("B04").sum(),
        lambda: np.nansum(B4[:2], axis=0),
    ),
    "breaks": (lambda c: c.band("B04").last().classify([3000, 6000]), lambda: classes()),
    "intervals": (
        lambda c: c.band("B04").last().classify({1: (None, 3000), 2: (3000, 6000), 3: (6000, None)}),
        lambda: classes(),
    ),
    "recode": (lambda c: c.band("SCL").last().classify({4: 1, 5: 1}, other=0), lambda: recoded()),
    "smooth": (lambda c: c.band("B04").last().focal("mean", 3), lambda: smoothed()),
    "kernel": (
        lambda c: c.band("B04").last().kernel([[0, 0, 0], [0, 2, 0], [0, 0, 0]], 0.5),
        lambda: np.nan_to_num(B4[-1]),
    ),
    "physical": (lambda c: c.physical().band("B04").last(), lambda: shifted(B4[-1])),
    "json": (
        lambda c: bdap.from_json(c.index("NDVI").median().to_json(), c.client),
        lambda: np.nanmedian(NDVI, axis=0),
    ),
    "difference": (lambda c: c.at(DATES[2]).band("B04") - c.at(DATES[1]).band("B04"), lambda: B4[2] - B4[1]),
}
ACCEPTED: dict[str, Callable[[bdap.Cube], bdap.Cube]] = {
    "resample": lambda c: c.band("B04").last().resample(20, 32633, "average"),
    "like": lambda c: c.band("B04").last().like(c.band("B08").last()),
    "circle": lambda c: c.band("B04").last().focal("percentile", 5, "circle", 90),
    "gaussian": lambda c: c.band("B04").last().smooth(2),
    "edges": lambda c: c.band("B04").last().edges("scharr"),
    "morphology": lambda c: (c.band("B04").last() > 5000).morphology("open", 3),
    "slope": lambda c: c.band("B04").last().slope("percent"),
    "aspect": lambda c: c.band("B04").last().aspect(),
    "hillshade": lambda c: c.band("B04").last().hillshade(),
    "terrain": lambda c: c.band("B04").last().terrain_index("tri", 5),
    "wide clouds": lambda c: c.mask_clouds(wide=True).index("NDVI").median(),
    "quality bits": lambda c: c.band("B04").mask_clouds("QA_PIXEL").last(),
    "not in a box": lambda c: c.band("B04").last().mask_inside(box(0, 0, 9, 9)),
    "zones": lambda c: c.band("B04").last().zonal(box(0, 0, 90, 90), "median"),
    "code": lambda c: c.band("B04").last().apply_udf(DOUBLE, {"times": 2}),
    "code in windows": lambda c: c.band("B04").last().apply_udf(DOUBLE, {"times": 2}, window=64),
    "either": lambda c: c.where((bdap.prop.cloud_cover < 9) | (bdap.prop.cloud_cover > 70)).band("B04").last(),
    "one of": lambda c: c.where(bdap.prop.platform.isin(["a", "b"]), ~(bdap.prop.gsd == 3)).band("B04").last(),
    "a model": lambda c: c.bands("B04", "B08").last().classify(model="crops"),
    "every index": lambda c: c.index("NDVI", "EVI", "NDWI", "BAI", "kNDVI").median(),
    **{f"{name} over time": (lambda c, name=name: c.band("B04").reduce(name)) for name in bdap.cube.REDUCERS},  # type: ignore[misc]
}


def first(stack: Any) -> Any:
    out = np.full(stack.shape[1:], np.nan, np.float32)
    for layer in stack[::-1]:
        out = np.where(np.isnan(layer), out, layer)
    return out


def area() -> dict[str, Any]:
    return bdap.shapes.box_polygon(*box(100, 120, 200, 300))


def within(values: Any) -> Any:
    out = np.full_like(values, np.nan)
    out[100:200, 120:300] = values[100:200, 120:300]
    return out


def smoothed() -> Any:
    last = B4[-1].astype(np.float64)
    around = ndimage.generic_filter(last[:260, :260], np.nanmean, 3, mode="constant", cval=np.nan)
    return np.where(np.isnan(last[:260, :260]), np.nan, around)


def classes() -> Any:
    last = B4[-1]
    return np.where(np.isnan(last), np.nan, np.digitize(last, [3000, 6000]) + 1)


def recoded() -> Any:
    last = SCL[-1]
    return np.where(np.isnan(last), np.nan, np.isin(last, (4, 5)))


def tile(url: str) -> Any:
    answer = httpx.get(url.format(z=Z, x=X, y=Y).replace(".png", ".npy"), timeout=120, trust_env=False)
    assert answer.status_code == 200, answer.text
    return np.load(io.BytesIO(answer.content)).squeeze()


@pytest.mark.parametrize("name", CHAINS)
def test_pixels_are_what_numpy_says(running: Season, name: str) -> None:
    chain, want = CHAINS[name]
    with warnings.catch_warnings(action="ignore"):  # pixels without any value
        expected = np.asarray(want(), np.float64)[:256, :256]
    got = tile(chain(running.cube()).tiles_url())
    assert np.isfinite(expected).any()
    if name in ("keep", "the clearest two"):  # a count or sum of nothing
        got, expected = np.nan_to_num(got), np.nan_to_num(expected)
    np.testing.assert_allclose(got, expected, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("name", ACCEPTED)
def test_the_service_accepts_the_graph(running: Season, name: str) -> None:
    cube = ACCEPTED[name](running.cube())
    answer = running.client.call("processing", "POST", "/validation", json={"process_graph": cube.graph})
    assert answer["errors"] == []


STYLES: dict[str, Callable[[bdap.Cube], bdap.Cube]] = {
    "a name": lambda c: c.colormap("RdYlGn_r", 0, 10_000),
    "a list": lambda c: c.colormap(["#ffffff", "#006633"], 0, 10_000),
    "stops": lambda c: c.colormap([(0, "#ffffff"), (10_000, "#006633")]),
    "percentiles": lambda c: c.colormap("viridis", 0, 1).stretch(percentiles=(2, 98)),
    "classes": lambda c: c.classify([3000, 6000]).colormap(
        {1: "#ffffff", 2: ("#ffcc00", "some"), 3: ("#006633", "much")}
    ),
    "breaks": lambda c: c.styled(breaks=[0, 3000, 6000, 10_000], colormap="viridis", title="red", unit="DN"),
}


@pytest.mark.parametrize("name", STYLES)
def test_a_style_draws_and_leaves_values_alone(running: Season, name: str) -> None:
    plain = running.cube().band("B04").last()
    styled = STYLES[name](plain)
    picture = httpx.get(styled.tiles_url().format(z=Z, x=X, y=Y), timeout=60, trust_env=False)
    assert picture.status_code == 200 and picture.content.startswith(b"\x89PNG") and len(picture.content) > 5000
    want = plain.classify([3000, 6000]) if name == "classes" else plain
    np.testing.assert_array_equal(tile(styled.tiles_url()), tile(want.tiles_url()))
    again = bdap.from_json(styled.to_json(), running.client)
    assert again.key == styled.key


@pytest.fixture(scope="module")
def standard(running: Season) -> Iterator[openeo.Connection]:
    """The standard client, as ana."""
    connection = openeo.connect(f"{running.hub.settings.hub.public_url}/services/processing")
    yield connection.authenticate_basic("ana", running.hub.token("ana"))
    connection.session.close()


def theirs(cube: Any) -> Any:
    service = cube.tiled_viewing_service("XYZ", title="theirs")
    try:
        return tile(service.describe_service()["url"])
    finally:
        service.delete_service()


def test_the_standard_client_reads_our_graph(running: Season, standard: openeo.Connection) -> None:
    ours = running.cube().mask_clouds().index("NDVI").composite("month", "max").at("2024-07")
    np.testing.assert_array_equal(theirs(standard.datacube_from_json(ours.to_json())), tile(ours.tiles_url()))


def test_the_same_chain_written_in_the_standard_client_gives_the_same_pixels(
    running: Season, standard: openeo.Connection
) -> None:
    ours = running.cube().during(DATES[0], DATES[1]).mask_clouds()
    ours = (ours.ndvi().median() * 100).focal("mean", 3)
    cube = standard.load_collection("season", temporal_extent=[DATES[0], "2024-06-02"])
    scene = cube.band("SCL")
    cube = cube.mask((scene == 3) | (scene == 8) | (scene == 9) | (scene == 10))
    ndvi = (cube.band("B08") - cube.band("B04")) / (cube.band("B08") + cube.band("B04"))
    cube = ndvi.reduce_dimension("t", "median") * 100
    cube = cube.process("focal_statistics", data=cube, statistic="mean", size=3)
    np.testing.assert_array_equal(theirs(cube), tile(ours.tiles_url()))


def test_the_list_of_indices_is_the_services() -> None:
    from importlib.resources import files

    theirs = files("bdap_hub.processing.processes") / "awesome_spectral_indices" / "indices.json"
    assert theirs.read_bytes() == (files("bdap") / "data" / "spectral_indices.json").read_bytes()
    assert len(bdap.indices) == 280 and "NDVI" in dir(bdap.indices) and SIZE
