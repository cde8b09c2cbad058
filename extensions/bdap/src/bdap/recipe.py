"""A cube as a list of named steps: built, written as Python, sent in an address and read back. PURE but for `build`.

What comes in an address is checked against a short list of steps and plain values, so no code of others gets in.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .client import Client
from .cube import Cube, collection
from .errors import BadCube

STEPS = frozenset(
    (
        *("during", "between", "inside", "bands", "band", "index", "mask_clouds", "normalized_difference"),
        *("first", "last", "mean", "median", "min", "max", "stretch", "colormap"),
    )
)
MOST_STEPS = 20
LONGEST = 4000
_TEXT = re.compile(r"[\w .:+-]{0,100}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
Step = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True)
class Recipe:
    """Steps that follow `bdap.collection(name)`, each a method with its arguments; `title` names the layer."""

    collection: str
    steps: tuple[Step, ...] = ()
    title: str = ""

    def build(self, client: Client | None = None) -> Cube:
        """The cube; nothing is read yet."""
        cube = collection(self.collection, client)
        for name, arguments in self.steps:
            cube = getattr(cube, name)(*arguments)
        return cube

    def code(self) -> str:
        """The cube as a Python expression in parentheses, a step a line."""
        lines = [f"bdap.collection({_quoted(self.collection)})"]
        lines += [f".{name}({', '.join(map(_quoted, arguments))})" for name, arguments in self.steps]
        return "(\n" + "".join(f"    {line}\n" for line in lines) + ")"


@dataclass(frozen=True)
class Sheet:
    """One or two recipes on a map that looks at (latitude, longitude, zoom)."""

    recipes: tuple[Recipe, ...]
    camera: tuple[float, float, float] | None = None

    def code(self) -> str:
        """A cell that makes the map."""
        names = ("picture",) if len(self.recipes) == 1 else ("left", "right")
        made = [f"{name} = {recipe.code()}" for name, recipe in zip(names, self.recipes, strict=True)]
        camera = "center=({:.4f}, {:.4f}), zoom={:g}".format(*self.camera) if self.camera else ""
        added = f".add(picture, {_quoted(self.recipes[0].title)})" if len(made) == 1 else ".swipe(left, right)"
        return "\n\n".join(["import bdap", *made, f"bdap.Map({camera}){added}"]) + "\n"

    def text(self) -> str:
        """As JSON, for an address."""
        recipes = [
            [one.collection, one.title, [[name, *arguments] for name, arguments in one.steps]] for one in self.recipes
        ]
        return json.dumps([recipes, self.camera], separators=(",", ":"))


def read_sheet(text: str) -> Sheet:
    """What `Sheet.text` wrote; BadCube where it holds anything else."""
    if len(text) > LONGEST:
        raise _bad(f"it has {len(text)} signs")
    try:
        recipes, camera = json.loads(text)
        found = tuple(_recipe(*one) for one in recipes)
        where = None if camera is None else _camera(camera)
    except (ValueError, TypeError, OverflowError, RecursionError):  # such as a number of 400 digits
        raise _bad("it is no list of steps") from None
    if not 1 <= len(found) <= 2:
        raise _bad(f"it holds {len(found)} pictures")
    return Sheet(found, where)


def _recipe(name: str, title: str, steps: Sequence[Sequence[Any]]) -> Recipe:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _bad(f"{name!r:.60} is no name of a collection")
    if not isinstance(title, str) or len(steps) > MOST_STEPS:
        raise _bad("it has too many steps")
    return Recipe(name, tuple(_step(*one) for one in steps), "".join(filter(_is_plain, title))[:100])


def _step(name: str, *arguments: Any) -> Step:
    if name not in STEPS:
        raise _bad(f"{name!r:.60} is no step that an address may name")
    return name, tuple(_value(argument) for argument in arguments)


def _value(value: Any) -> Any:
    if isinstance(value, list) and len(value) <= 4:
        return tuple(_number(each) for each in value)
    if isinstance(value, str) and _TEXT.fullmatch(value):
        return value
    return _number(value)


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _bad(f"{value!r:.60} is no plain value")
    return value


def _camera(value: Any) -> tuple[float, float, float]:
    lat, lon, zoom = (_number(each) for each in value)
    return lat, lon, zoom


def _is_plain(sign: str) -> bool:
    return sign.isprintable()


def _quoted(value: Any) -> str:
    """As Python writes it, texts in double quotes."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _bad(reason: str) -> BadCube:
    return BadCube(f"this address does not describe a picture: {reason}", "open it again from the explorer")
