"""What goes to a sandbox and comes back: a length, a JSON header, the numbers of an array. Never a pickle. PURE.

Whatever comes back was written by an opponent: it is read within bounds, and each claim that it makes is checked.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

HEAD = struct.Struct("<II")
MOST_HEADER = 2**20
MOST_DIMS = 8
KINDS = ("<f4", "<f8")
MOST_TEXT = 2000


class Broken(Exception):
    """An answer that is none: the sandbox is not to be talked to any longer."""


@dataclass(frozen=True)
class Arrays:
    """Labelled numbers, as code gets and gives them. Of an answer `dims` is None where it has no names for its axes."""

    values: Any
    dims: Sequence[str] | None
    labels: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    time: str = ""


def code_message(key: str, code: str) -> bytes:
    """The code under a key by which it is called."""
    return _packed({"key": key, "code": code})


def call_message(key: str, given: Arrays, context: Any) -> bytes:
    """A call of some code."""
    values = np.ascontiguousarray(given.values)
    kind = values.dtype.newbyteorder("<")
    header = {
        "key": key,
        "dims": given.dims,
        "labels": given.labels,
        "time": given.time,
        "shape": values.shape,
        "dtype": kind.str,
        "context": context,
    }
    return _packed(header, values.astype(kind, copy=False).tobytes())


def sizes(head: bytes, most: int) -> tuple[int, int]:
    """The lengths of header and numbers; Broken beyond the limits."""
    text, content = HEAD.unpack(head)
    if text > MOST_HEADER or content > most:
        raise Broken(f"its result is larger than {most >> 20} MB")
    return text, content


def header_of(text: bytes) -> dict[str, Any]:
    """The header of an answer."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise Broken("its answer is no message") from None
    if not isinstance(found, dict):
        raise Broken("its answer is no message")
    return found


def arrays_of(header: Mapping[str, Any], content: bytes) -> Arrays:
    """The array of an answer; Broken where header and numbers do not fit."""
    shape, kind, dims, labels = (header.get(name) for name in ("shape", "dtype", "dims", "labels"))
    if kind not in KINDS or not isinstance(shape, list) or len(shape) > MOST_DIMS:
        raise Broken("its result is no array of numbers")
    if not all(type(side) is int and 0 <= side <= 2**31 for side in shape):
        raise Broken("its result is no array of numbers")
    if math.prod(shape) * np.dtype(kind).itemsize != len(content):
        raise Broken("its result has other numbers than it says")
    named = isinstance(dims, list) and all(isinstance(d, str) for d in dims)
    if dims is not None and (not named or len(dims) != len(shape) or len(set(dims)) != len(dims)):
        raise Broken("its result has no names for its dimensions")
    sized = dict(zip(dims or (), shape, strict=bool(dims)))
    return Arrays(np.frombuffer(content, kind).reshape(shape), dims, _labels(labels, sized))


def text_of(found: Any) -> str:
    """What people's code says of its error, harmless to show."""
    said = found if isinstance(found, str) else "it failed"
    return "".join(c for c in said[-MOST_TEXT:] if c.isprintable() or c == "\n").strip()


def _labels(found: Any, sized: Mapping[str, int]) -> dict[str, tuple[Any, ...]]:
    if not isinstance(found, dict):
        return {}
    good = {}
    for dimension, labels in found.items():
        if isinstance(labels, list) and len(labels) == sized.get(dimension) and all(map(_label, labels)):
            good[dimension] = tuple(labels)
    return good


def _label(value: Any) -> bool:
    if isinstance(value, str):
        return len(value) <= 200
    return type(value) is int or (type(value) is float and math.isfinite(value))


def _packed(header: Mapping[str, Any], content: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return HEAD.pack(len(text), len(content)) + text + content
