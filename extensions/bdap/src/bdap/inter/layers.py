"""What toLayer() gives: an id as text, as interapro's was, that maps on this platform know the layer of."""

from __future__ import annotations

import itertools
import re
from collections import deque
from typing import Any
from weakref import WeakValueDictionary

_numbers = itertools.count(1)
_known: WeakValueDictionary[str, Any] = WeakValueDictionary()
_latest: deque[Any] = deque(maxlen=100)
"""Layers whose id may live on in an address alone; older ones live as long as somebody holds them."""
_PROCID = re.compile(r"[?&]procid=([\w-]+)")


class LayerId(str):
    """The id of a layer of this process; `layer` is what it stands for."""

    layer: Any


def remember(layer: Any) -> LayerId:
    """An id for the layer as it is now."""
    made = LayerId(f"bdap-{next(_numbers)}")
    made.layer = layer
    _known[str(made)] = layer
    _latest.append(layer)
    return made


def of_address(url: str) -> Any:
    """The layer whose id stands in an address of interapro's tile server; None where there is none."""
    match = _PROCID.search(url)
    return _known.get(match[1]) if match else None
