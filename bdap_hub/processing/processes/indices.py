"""Spectral indices by name, from the list Awesome Spectral Indices: which bands they need, and their values."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import numpy as np

from ..cubes.cube import Cube
from ..cubes.values import fits
from ..graphs.graph import GraphError
from ..graphs.spec import process
from .formulas import Formula, formula

RADAR = frozenset({"HH", "HV", "VH", "VV"})
KERNEL = re.compile(r"^k([A-Z])([A-Z])$")
MORE_NAMES: Mapping[str, tuple[str, ...]] = {
    "N": ("nir08",),  # the only near infrared of Landsat 8 and 9
    "RE1": ("rededge1",),
    "RE2": ("rededge2",),
    "RE3": ("rededge3",),
    "T": ("lwir11",),
}
"""Other common names of variables, which count where theirs is not there."""


@process(
    limits="A variable's band is found by common name, or with `platform` or `variable_map`. Kernel indices (kNDVI) "
    "use the RBF kernel with the constant `sigma`."
)
def compute_indices(
    data: Any,
    indices: Any,
    append: Any = False,
    variable_map: Any = None,
    platform: Any = None,
    constants: Any = None,
) -> Any:
    """The indices as bands, after those of the cube if they are appended."""
    dimension = data.only("bands", "DimensionAmbiguous")
    along = data.series(dimension)
    names = tuple(along.labels) if append else ()
    if twice := [name for name, times in Counter((*names, *indices)).items() if times > 1]:
        raise GraphError("BandExists", f"there would be two bands {twice[0]!r}", "name each index once")
    fits((len(names) + len(indices)) * (data.data.size // max(1, len(along.labels))), len(names) + len(indices))
    given = {**_defaults(), **_wavelengths(platform), **(constants or {})}
    bands = candidates(indices, variable_map, platform)
    known = {variable: along.values[_place(data, dimension, variable, bands[variable])] for variable in bands}
    layers = [_value(name, {**given, **known}) for name in indices]
    stacked = np.stack([*along.values, *layers] if append else layers)
    return data.along(dimension, np.moveaxis(stacked, 0, data.axis(dimension)), (*names, *indices))


def candidates(
    indices: Sequence[str], variable_map: Mapping[str, str] | None = None, platform: str | None = None
) -> dict[str, tuple[str, ...]]:
    """The variables that stand for bands in some indices, each with the names under which its band may be found."""
    needed = {name for index in indices for name in _needs(index)}
    named = variable_map or {}
    if unknown := [name for name in named if name not in needed]:
        raise GraphError(
            "ProcessArgumentInvalid",
            f"{unknown[0]!r} is no variable of {', '.join(indices)}",
            f"they need {', '.join(sorted(needed))}",
        )
    return {name: (named[name],) if name in named else _names(name, platform) for name in sorted(needed)}


def _place(data: Cube, dimension: str, variable: str, names: Sequence[str]) -> int:
    for name in names:
        for candidate in (name, data.aliases.get(name)):
            if candidate is not None and candidate in data.labels[dimension]:
                return data.labels[dimension].index(candidate)
    have = ", ".join(map(str, data.labels[dimension]))
    raise GraphError(
        "BandNotAvailable",
        f"there is no band for {variable} (looked for {', '.join(names)})",
        f"give `platform`, or name it in `variable_map`; the cube has {have}",
    )


def _value(index: str, values: Mapping[str, Any]) -> Any:
    needed = _formula(index)
    kernels = {name: _kernel(name, values) for name in needed.names if KERNEL.match(name)}
    if missing := [name for name in sorted(needed.names - kernels.keys()) if values.get(name) is None]:
        raise GraphError(
            "ConstantMissing",
            f"{index} needs the constant {missing[0]}, which has no default",
            "give it in `constants`",
        )
    return needed.function({**values, **kernels})


def _kernel(name: str, values: Mapping[str, Any]) -> Any:
    """The RBF kernel of two variables: kNR is that of N and R."""
    one, other = (values[part] for part in (name[1], name[2]))
    return np.exp(-((one - other) ** 2) / (2 * values["sigma"] ** 2))


def _needs(index: str) -> frozenset[str]:
    """The variables of an index that are bands, also those inside kernels."""
    names = _formula(index).names
    inner = {part for name in names if (found := KERNEL.match(name)) for part in found.groups()}
    return frozenset(name for name in names | inner if name in _bands() or name in RADAR)


def _formula(index: str) -> Formula:
    listed = _indices().get(index)
    if listed is None:
        alike = [name for name in _indices() if name.lower() == index.lower()]
        cure = f"did you mean {alike[0]}?" if alike else "the list Awesome Spectral Indices names them"
        raise GraphError("IndexUnknown", f"there is no spectral index {index!r:.40}", cure)
    return formula(listed["formula"])


def _names(variable: str, platform: str | None) -> tuple[str, ...]:
    """Under which names a variable's band may be found; a platform's bands are written B8 or B08."""
    if variable in RADAR:
        return variable, variable.lower()
    if platform is None:
        return _bands()[variable]["common_name"], *MORE_NAMES.get(variable, ())
    there = _platform(platform)
    band = there.get(variable) or (there.get("N2") if variable == "N" else None)
    if band is None:
        raise GraphError("BandNotAvailable", f"{platform} has no band for {variable}", "name it in `variable_map`")
    name = str(band[0])
    return name, re.sub(r"^B(\d)(A?)$", r"B0\1\2", name)


def _platform(platform: str) -> dict[str, Any]:
    """The bands (name, wavelength) of a platform by variable."""
    wanted = re.sub("[^a-z0-9]", "", platform.lower())
    wanted = {"sentinel2": "sentinel2a", "sentinel2c": "sentinel2a"}.get(wanted, wanted)
    found = {name: band["platforms"][wanted] for name, band in _bands().items() if wanted in band["platforms"]}
    if not found:
        have = sorted({name for band in _bands().values() for name in band["platforms"]})
        raise GraphError(
            "ProcessArgumentInvalid", f"{platform!r:.40} is no platform", f"it is one of {', '.join(have)}"
        )
    return found


def _wavelengths(platform: str | None) -> dict[str, float]:
    bands = _platform(platform) if platform else {}
    return {f"lambda{name}": float(band[1]) for name, band in bands.items()}


@functools.cache
def _defaults() -> dict[str, float | None]:
    return {name: constant["default"] for name, constant in _table("constants").items()}


def _indices() -> Mapping[str, Any]:
    return _table("indices")


def _bands() -> Mapping[str, Any]:
    return _table("bands")


@functools.cache
def _table(name: str) -> Mapping[str, Any]:
    text = (files(__package__) / "awesome_spectral_indices" / f"{name}.json").read_text("utf-8")
    table: Mapping[str, Any] = json.loads(text)
    return table
