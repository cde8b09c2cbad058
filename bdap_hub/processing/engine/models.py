"""The platform's folder of stored models: which file a name means, and one copy of each model in memory."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..graphs.graph import Graph, GraphError
from .cache import Cache

if TYPE_CHECKING:
    from .onnx_model import Model

NAME = re.compile(r"^\w[\w.-]{0,99}$")


class Models:
    """The platform's folder of models. Each file is `<name>.onnx`, of at most `limit` bytes."""

    def __init__(self, folder: Path | None, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self._loaded: Cache[Model] = Cache(8)

    def get(self, name: str) -> Model:
        """The model of that name; GraphError where there is none, or it is not evaluated here."""
        path = self._path(name)
        found = path.stat()
        if found.st_size > self.limit:
            raise unsupported(name, f"it has {found.st_size >> 20} MB", f"the limit is {self.limit >> 20} MB")
        from .onnx_model import Model  # the runtime takes time and memory, which who has no models need not pay

        return self._loaded.get((name, found.st_mtime_ns, found.st_size), lambda: Model(name, path.read_bytes()))

    def versions(self, graph: Graph) -> list[tuple[str, int, int]]:
        """Name, time and size of each model that a graph names: what its result depends on."""
        names = sorted(str(node.arguments["id"]) for node in graph.nodes if node.process == "load_ml_model")
        found = [(name, self._path(name).stat()) for name in names]
        return [(name, stat.st_mtime_ns, stat.st_size) for name, stat in found]

    def _path(self, name: str) -> Path:
        if self.folder is not None and NAME.match(name):
            path = self.folder / f"{name}.onnx"
            if path.is_file() and path.resolve().parent == self.folder.resolve():
                return path
        have = sorted(path.stem for path in self.folder.glob("*.onnx")) if self.folder else []
        there = f"there are {', '.join(have[:20])}" if have else "the platform has none"
        raise GraphError("ModelNotFound", f"there is no model {name!r:.100}", there)


def unsupported(name: str, why: str, cure: str) -> GraphError:
    """The refusal of a model."""
    return GraphError("ModelUnsupported", f"the model {name!r} is not evaluated here: {why}", cure)
