"""Python operators as openEO processes, gathered into one callback as long as they work on the same cube.

PURE. `(b8 - b4) / (b8 + b4)` becomes one reducer over the bands instead of three merged cubes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .errors import BadCube
from .graph import Callback, Node, Parameter, canonical, flatten

BANDS = "bands"
TIME = "t"
Number = int | float | bool


@dataclass(frozen=True, eq=False)
class Maths:
    """An unfinished callback over `base`: a reducer of its bands, or a function of each pixel."""

    kind: Literal["bands", "pixels"]
    base: Node
    expression: Node | Parameter

    def node(self) -> Node:
        """The finished process."""
        if isinstance(self.expression, Parameter):
            return self.base
        callback = Callback(self.expression)
        if self.kind == "bands":
            return Node("reduce_dimension", {"data": self.base, "dimension": BANDS, "reducer": callback})
        return Node("apply", {"data": self.base, "process": callback})


def element(base: Node, band: str) -> Maths:
    """One band of a cube."""
    return Maths("bands", base, Node("array_element", {"data": Parameter("data"), "label": band}))


def pixels(base: Node) -> Maths:
    """Each pixel of a cube as it is."""
    return Maths("pixels", base, Parameter("x"))


def function(operand: Maths, process: str, subject: str = "x", **arguments: Number) -> Maths:
    """A process of each pixel, handed in as `subject`, with its other arguments constant."""
    return Maths(operand.kind, operand.base, Node(process, {subject: operand.expression, **arguments}))


def operation(process: str, left: Maths | Number, right: Maths | Number) -> Maths:
    """A process of `x` and `y`; cubes that do not stem from the same one are merged."""
    if isinstance(left, Maths) and isinstance(right, Maths):
        return _of_two(process, left, right)
    cube = left if isinstance(left, Maths) else right
    if not isinstance(cube, Maths):
        raise BadCube(f"{process} of two numbers is no cube", "use plain Python for numbers")
    x = left.expression if isinstance(left, Maths) else left
    y = right.expression if isinstance(right, Maths) else right
    return Maths(cube.kind, cube.base, Node(process, {"x": x, "y": y}))


def _of_two(process: str, left: Maths, right: Maths) -> Maths:
    for one, two in ((left, right), (pixels(left.node()), right), (left, pixels(right.node()))):
        if one.kind == two.kind and _same(one.base, two.base):
            return Maths(one.kind, one.base, Node(process, {"x": one.expression, "y": two.expression}))
    resolver = Callback(Node(process, {"x": Parameter("x"), "y": Parameter("y")}))
    merged = Node("merge_cubes", {"cube1": left.node(), "cube2": right.node(), "overlap_resolver": resolver})
    return pixels(merged)


def _same(one: Node, two: Node) -> bool:
    return one is two or canonical(flatten(one)) == canonical(flatten(two))
