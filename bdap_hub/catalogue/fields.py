"""Which parts of an item a search wants: STAC's fields extension. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from ..errors import BadRequest

NEEDED = ("type", "id", "collection")


@dataclass(frozen=True)
class Fields:
    """Paths such as properties.eo:cloud_cover. Nothing included: the default."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


def read_fields(value: Any) -> Fields | None:
    """From the body of a search."""
    if value is None:
        return None
    parts = [value.get(key) or [] for key in ("include", "exclude")] if isinstance(value, Mapping) else [None]
    if not all(isinstance(part, list) and all(isinstance(name, str) for name in part) for part in parts):
        raise BadRequest("fields is no object of lists", 'send for example {"include": ["id"], "exclude": ["assets"]}')
    return Fields(tuple(parts[0]), tuple(parts[1]))


def pick(item: dict[str, Any], fields: Fields | None) -> dict[str, Any]:
    """The item with what is wanted of it: only what is included, if anything is, and nothing that is excluded."""
    if fields is None or not (fields.include or fields.exclude):
        return item
    wanted: dict[str, Any] = {} if fields.include else deepcopy(item)
    for name in (*NEEDED, *fields.include):
        _copy(item, wanted, name.split("."))
    for name in fields.exclude:
        if name not in NEEDED:
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
