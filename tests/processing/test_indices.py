"""Spectral indices by name, against Python's own arithmetic on the published formulas, and from files."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from typing import Any

import numpy as np
import pytest

from bdap_hub.processing import processes
from bdap_hub.processing.cubes.cube import Cube
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.graphs.needs import queries
from bdap_hub.processing.graphs.parse import parse
from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.processes.formulas import formula

from .conftest import X, Y, Z, truth
from .engines import compiled, engine_on
from .graphs import call, load, node, of
from .test_cubes import evaluate

FOLDER = files(processes) / "awesome_spectral_indices"
INDICES, BANDS, CONSTANTS = (json.loads((FOLDER / f"{n}.json").read_text()) for n in ("indices", "bands", "constants"))
RADAR = ("HH", "HV", "VH", "VV")
GIVEN = {f"lambda{name}": 500.0 + 90 * place for place, name in enumerate(BANDS)} | {"PAR": 1.5}


def of_bands(names: Any) -> Cube:
    """Reflectances that tell each band and pixel apart, with one pixel that is no data."""
    data = np.random.default_rng(3).uniform(0.05, 0.6, (len(names), 4, 5))
    data[0, 0, 0] = np.nan
    return Cube(data, ("bands", "y", "x"), {"bands": tuple(names)})


ALL = of_bands([*(band["common_name"] for band in BANDS.values()), *RADAR])


def by_hand(index: str, cube: Cube) -> Any:
    """The index by Python's own evaluation of the published formula."""
    values: dict[str, Any] = {name: constant["default"] for name, constant in CONSTANTS.items()} | GIVEN
    named = {name: band["common_name"] for name, band in BANDS.items()} | {name: name for name in RADAR}
    values |= {name: cube.data[cube.labels["bands"].index(common)] for name, common in named.items()}
    for one in "NGRBL":
        for two in "NGRBL":
            values[f"k{one}{two}"] = np.exp(-((values[one] - values[two]) ** 2) / (2 * 0.5**2))
    with np.errstate(all="ignore"):
        return eval(INDICES[index]["formula"], {}, values)  # the reference: published formulas, in a test


def test_each_index_of_the_list_equals_its_formula() -> None:
    names = sorted(INDICES)
    got = evaluate("compute_indices", a=ALL, indices=names, constants=dict(GIVEN))
    assert len(names) == 280 and got.labels["bands"] == tuple(names) and got.dims == ("bands", "y", "x")
    for layer, name in zip(got.data, names, strict=True):
        np.testing.assert_allclose(layer, np.broadcast_to(by_hand(name, ALL), (4, 5)), rtol=1e-9, err_msg=name)


SENTINEL = of_bands(["B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12"])


@pytest.mark.parametrize(
    ("index", "more", "bands"),
    [
        ("NDVI", {"platform": "sentinel-2"}, ("B08", "B04")),
        ("NDVI", {"variable_map": {"N": "B8A", "R": "B04"}}, ("B8A", "B04")),
        ("NDVI", {"platform": "Sentinel-2B", "variable_map": {"N": "B8A"}}, ("B8A", "B04")),
        ("NDREI", {"platform": "sentinel-2"}, ("B08", "B05")),
        ("NDMI", {"platform": "sentinel-2"}, ("B08", "B11")),
        ("NDVI", {"platform": "landsat-8"}, ("B05", "B04")),
    ],
)
def test_bands_are_found_by_platform_or_by_map(index: str, more: dict[str, Any], bands: tuple[str, str]) -> None:
    one, two = (SENTINEL.data[SENTINEL.labels["bands"].index(name)] for name in bands)
    got = evaluate("compute_indices", a=SENTINEL, indices=[index], **more)
    np.testing.assert_allclose(got.data[0], (one - two) / (one + two))


def test_constants_have_defaults_and_can_be_given() -> None:
    nir, red = ALL.data[ALL.labels["bands"].index("nir")], ALL.data[ALL.labels["bands"].index("red")]
    for constants, soil in ((None, 1.0), ({"L": 0.5}, 0.5)):
        got = evaluate("compute_indices", a=ALL, indices=["SAVI"], constants=constants)
        np.testing.assert_allclose(got.data[0], (1 + soil) * (nir - red) / (nir + red + soil))


def test_indices_can_stand_behind_the_bands() -> None:
    got = evaluate("compute_indices", a=ALL, indices=["NDVI", "EVI"], append=True)
    assert got.labels["bands"] == (*ALL.labels["bands"], "NDVI", "EVI")
    np.testing.assert_array_equal(got.data[: len(ALL.data)], ALL.data)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ({"indices": ["NDVY"]}, "IndexUnknown", "'NDVY'"),
        ({"indices": ["ndvi"]}, "IndexUnknown", "'ndvi'"),
        ({"indices": ["NDVI"], "platform": "spot"}, "ProcessArgumentInvalid", "'spot'"),
        ({"indices": ["NDREI"], "platform": "landsat-8"}, "BandNotAvailable", "RE1"),
        ({"indices": ["NDVI"], "variable_map": {"S1": "B11"}}, "ProcessArgumentInvalid", "'S1'"),
        ({"indices": ["NDVI", "NDVI"]}, "BandExists", "'NDVI'"),
        ({"indices": ["NIRvP"]}, "ConstantMissing", "PAR"),
        ({"indices": ["MNDVI"], "variable_map": {"N": "nothing"}}, "BandNotAvailable", "nothing"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(arguments: Any, code: str, said: str) -> None:
    with pytest.raises(GraphError, match=said) as error:
        evaluate("compute_indices", a=ALL, **arguments)
    assert error.value.code == code


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')", "N.__class__", "N[0]", "(lambda: 1)()", "[N for N in (1,)]",
        "N if R else 1",
        "N and R", "N < R", "not N", "~N", "N // R", "N % R", "N @ R", "N << 2", "'a' * 9", "b'a'", "True", "None",
        "1j", "f'{N}'", "(N := 1)", "*N", "N; R", "N = R", "", "N +", "print(N)", "...",
        "N" + "+N" * 200, "-" * 1500 + "N",
    ],
)  # fmt: skip
def test_a_formula_is_arithmetic_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="formula"):
        formula(text)


def test_arithmetic_is_a_formula() -> None:
    found = formula("-(N - 2*R) ** 2 / (N + 1e-3)")
    assert found.names == {"N", "R"}
    assert math.isclose(found.function({"N": 0.4, "R": 0.1}), -((0.4 - 0.2) ** 2) / 0.401)


def test_only_the_bands_of_the_indices_are_read(fields: Any) -> None:
    raw = {
        "a": load(),
        "i": node("compute_indices", data=of("a"), indices=["NDVI"]),
        "m": node("reduce_dimension", True, data=of("i"), reducer=call("max", data={"from_parameter": "data"}),
                  dimension="t"),
    }  # fmt: skip
    made = compiled(raw, [fields[1]], fields[2])
    assert set(made.plan.loads[0].bands) == {"B04", "B08"}
    got = engine_on(fields[0]).cube(made, Grid.tile(Z, X, Y))
    pixels = [
        {name: np.where(band == 0, np.nan, band.astype(float)) for name, band in truth(d).items()} for d in range(3)
    ]
    want = np.fmax.reduce([(p["B08"] - p["B04"]) / (p["B08"] + p["B04"]) for p in pixels])[:256, :256]
    assert got.labels["bands"] == ("NDVI",)
    np.testing.assert_allclose(got.data[0], want, atol=1e-6)
    raw["a"] = load(bands=["B02", "nir", "B03", "B04"])
    assert compiled(raw, [fields[1]], fields[2]).plan.loads[0].bands == ("B08", "B04")


@pytest.mark.parametrize(
    ("more", "used"),
    [
        ({}, (("nir", "nir08"), ("red",))),
        ({"platform": "sentinel-2"}, (("B4", "B04"), ("B8", "B08"))),
        ({"append": True}, None),
    ],
)
def test_what_is_used_is_asked_for_under_all_its_names(more: Any, used: Any) -> None:
    raw = {"a": load(), "i": node("compute_indices", True, data=of("a"), indices=["NDVI"], **more)}
    assert queries(parse(raw, REGISTRY))[0].used == used
