"""What a worker is asked to draw, and which part of which data that is. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

SIDE = 2
"""Tiles are neighbours in squares of 2^SIDE by 2^SIDE."""


@dataclass(frozen=True)
class Order:
    """A tile of a stored plan. `style` is the service's own as JSON ('': the graph's), `form` the format's name."""

    plan: str
    style: str
    z: int
    x: int
    y: int
    size: int
    form: str
    date: str

    def head(self) -> dict[str, Any]:
        """As it is sent."""
        return asdict(self)


def region(collections: tuple[str, ...], order: Order) -> str:
    """Where a tile lies: neighbours of one zoom level read the same blocks, whatever is computed from them."""
    return f"{'/'.join(collections)} {order.z}/{order.x >> SIDE}/{order.y >> SIDE}"


def read(head: Mapping[str, Any]) -> Order:
    """An order as it was sent."""
    return Order(**{name: head[name] for name in Order.__dataclass_fields__})
