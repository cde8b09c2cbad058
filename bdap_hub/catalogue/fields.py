"""Which parts of an item a search wants: STAC's fields extension. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ..errors import BadRequest

NEEDED = ("type", "stac_version", "id", "collection")
MOST = 100
DEFAULT = (*NEEDED, "geometry", "bbox", "links", "assets", "properties.datetime")


@dataclass(frozen=True)
class Fields:
    """Paths such as properties.eo:cloud_cover. `include` None: everything; empty: the default set."""

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()


def read_fields(body: Mapping[str, Any]) -> Fields | None:
    """From the body of a search."""
    if "fields" not in body:
        return None
    value = body["fields"]
    parts = [value.get(key) or [] for key in ("include", "exclude")] if isinstance(value, Mapping) else [None]
    if not all(isinstance(part, list) and all(isinstance(name, str) for name in part) for part in parts):
        raise BadRequest("fields is no object of lists", 'send for example {"include": ["id"], "exclude": ["assets"]}')
    if (most := max(map(len, parts))) > MOST:
        raise BadRequest(f"fields names {most} fields", f"name at most {MOST}; an object includes all that is in it")
    include, exclude = (dict.fromkeys(part) for part in parts)
    return Fields(None if exclude and "include" not in value else tuple(include), tuple(exclude))


def pick(item: dict[str, Any], fields: Fields | None) -> dict[str, Any]:
    """The item with what is wanted of it. What is included by its own name stays, whatever is excluded."""
    if fields is None:
        return item
    include = fields.include or ()
    wanted: dict[str, Any] = deepcopy(item) if fields.include is None else {}
    for name in (*NEEDED, *include) if include else DEFAULT:
        _copy(item, wanted, name.split("."))
    for name in fields.exclude:
        if not any(kept == name or kept.startswith(f"{name}.") for kept in (*NEEDED, *include)):
            _drop(wanted, name.split("."))
    return wanted


def _copy(source: dict[str, Any], target: dict[str, Any], path: list[str]) -> None:
    name, rest = path[0], path[1:]
    if name not in source:
        return
    if not rest or not isinstance(source[name], dict):
        target[name] = deepcopy(source[name])
        return
    _copy(source[name], target.setdefault(name, {}), rest)


def _drop(target: dict[str, Any], path: list[str]) -> None:
    name, rest = path[0], path[1:]
    if not rest:
        target.pop(name, None)
    elif isinstance(target.get(name), dict):
        _drop(target[name], rest)
