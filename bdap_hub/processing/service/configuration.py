"""The configuration of a web service, as openEO's service types list it, checked when it is posted. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..drawing.formats import FORMATS, Format
from ..engine.grid import MAX_ZOOM
from ..graphs.graph import GraphError
from .style_parameters import STYLE

KINDS = {"XYZ": "XYZ", "WMTS": "WMTS", "TILEJSON": "TileJSON"}
SIZES = (256, 512)
_FORMATS = {form.name.lower(): form for form in FORMATS}
READ_ONLY = frozenset({"bounds"})
"""What a service says in its configuration without taking it."""


def _zoom(description: str, default: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "maximum": MAX_ZOOM, "default": default, "description": description}


PARAMETERS: dict[str, dict[str, Any]] = {
    "tile_size": {
        "type": "integer",
        "enum": list(SIZES),
        "default": 256,
        "description": "Pixels a side of a tile; twice as many where its address says @2x.",
    },
    "format": {
        "type": "string",
        "enum": sorted(_FORMATS),
        "default": "png",
        "description": "Format where the address names none: a picture (png, webp, jpeg) or values (npy, gtiff).",
    },
    "minzoom": _zoom("Coarsest zoom.", 0),
    "maxzoom": _zoom("Finest zoom.", MAX_ZOOM),
    "attribution": {"type": "string", "default": "", "description": "Who made the data, for the map's corner."},
    "style": {
        "type": "object",
        "properties": STYLE,
        "description": "How values become colours; it replaces the options of save_result.",
    },
}


@dataclass(frozen=True)
class Configuration:
    """How a web service draws. `style` None: as the options of the graph's save_result say."""

    tile_size: int = 256
    form: Format = field(default=_FORMATS["png"])
    minzoom: int = 0
    maxzoom: int = MAX_ZOOM
    attribution: str = ""
    style: Mapping[str, Any] | None = None


def read_kind(raw: Any) -> str:
    """A service's type as we write it; ServiceUnsupported for any other."""
    found = KINDS.get(raw.upper()) if isinstance(raw, str) else None
    if found is None:
        raise GraphError(
            "ServiceUnsupported", f"services of type {raw!r:.40} are not offered", f"use {', '.join(KINDS.values())}"
        )
    return found


def read_configuration(raw: Any) -> Configuration:
    """The configuration of a post; ServiceConfigUnsupported or ServiceConfigInvalid with a sentence."""
    if not isinstance(raw, Mapping):
        raise _invalid(f"configuration is an object, not {raw!r:.40}")
    if unknown := sorted(map(str, raw.keys() - PARAMETERS.keys() - READ_ONLY)):
        raise GraphError(
            "ServiceConfigUnsupported",
            f"a service has no parameter {unknown[0]!r:.40}",
            f"it has {', '.join(PARAMETERS)}",
        )
    values = {key: value for key, value in raw.items() if key in PARAMETERS and value is not None}
    style = values.pop("style", None)
    if style is not None and not isinstance(style, Mapping):
        raise _invalid(f"style is an object, not {style!r:.40}")
    form = _FORMATS[_one_of(values, "format", sorted(_FORMATS), "png")]
    zooms = [_integer(values, key, default) for key, default in (("minzoom", 0), ("maxzoom", MAX_ZOOM))]
    if zooms[0] > zooms[1]:
        raise _invalid(f"minzoom {zooms[0]} is above maxzoom {zooms[1]}")
    attribution = values.get("attribution", "")
    if not isinstance(attribution, str) or len(attribution) > 300:
        raise _invalid("attribution is a text of at most 300 characters")
    return Configuration(_one_of(values, "tile_size", SIZES, 256), form, zooms[0], zooms[1], attribution, style)


def shown(configuration: Configuration) -> dict[str, Any]:
    """The configuration as a service's description gives it, defaults filled in."""
    return {
        "tile_size": configuration.tile_size,
        "format": configuration.form.name.lower(),
        "minzoom": configuration.minzoom,
        "maxzoom": configuration.maxzoom,
        **({"attribution": configuration.attribution} if configuration.attribution else {}),
        **({"style": dict(configuration.style)} if configuration.style is not None else {}),
    }


def _one_of(values: Mapping[str, Any], key: str, allowed: Any, default: Any) -> Any:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, str)) or value not in allowed:
        raise _invalid(f"{key} is {' or '.join(map(str, allowed))}, not {value!r:.40}")
    return value


def _integer(values: Mapping[str, Any], key: str, default: int) -> int:
    value = values.get(key, default)
    if type(value) is not int or not 0 <= value <= MAX_ZOOM:
        raise _invalid(f"{key} is a whole number from 0 to {MAX_ZOOM}, not {value!r:.40}")
    return value


def _invalid(sentence: str) -> GraphError:
    return GraphError("ServiceConfigInvalid", sentence, "GET /service_types lists what may be said")
