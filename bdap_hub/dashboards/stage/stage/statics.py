"""Scripts and styles of the page: html-manager, the image's widget packages and ours, at lasting addresses."""

from __future__ import annotations

import hashlib
import os
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from jupyter_core.paths import jupyter_path

from . import slim
from .surroundings import NPM

OURS = Path(__file__).parent / "static"
_LEFT_OUT = (".map", ".ts", ".d.ts", ".md", ".py")
_HTML_MANAGER = "@jupyter-widgets/html-manager/dist"
_MATHJAX = "mathjax/es5"
_BUNDLE, MANAGER = (f"npm/{_HTML_MANAGER}/{name}.js" for name in ("libembed-amd", "manager"))
_PARTS = frozenset(f"@jupyter-widgets/{name}" for name in ("base", "controls", "html-manager"))
"""The bundle's modules that anybody asks for: those of ipywidgets 7 are in `html-manager` once more."""


class Statics:
    """Which files there are; `hash` is of all their contents."""

    def __init__(self) -> None:
        npm = Path(os.environ.get(NPM, "/opt/bdap-widgets"))
        self._folders = {
            "stage": OURS,
            f"npm/{_HTML_MANAGER}": npm / _HTML_MANAGER,
            "npm/requirejs": npm / "requirejs",
            f"npm/{_MATHJAX}": npm / _MATHJAX,
            "lab": _first("nbconvert/templates/lab/static"),
            "voila": _first("voila/templates/bdap/static"),
        }
        for root in reversed([Path(path) for path in jupyter_path("nbextensions")]):
            for folder in sorted(root.glob("*")) if root.is_dir() else ():
                if (folder / "index.js").is_file():
                    self._folders[f"nbextensions/{folder.name}"] = folder
        for name, folder in _left_inside():
            self._folders.setdefault(f"nbextensions/{name}", folder)
        self.hash = self._hash()

    @property
    def modules(self) -> dict[str, str]:
        """AMD modules of the widget packages: name -> path below the static address."""
        names = (key.partition("/")[2] for key in self._folders if key.startswith("nbextensions/"))
        return {name: f"nbextensions/{name}/index" for name in names}

    def missing(self) -> str:
        """The first thing that every page needs and that is not there; '' when all is."""
        needed = (f"npm/{_HTML_MANAGER}", "npm/requirejs", "lab")
        return next((name for name in needed if not self._folders[name].is_dir()), "")

    def read(self, path: str) -> bytes | None:
        """What is at an address below `/_stage/static/<hash>/`."""
        if path == MANAGER:
            bundle = self.read(_BUNDLE)
            return bundle and slim.only(bundle, _PARTS)
        found = self._find(path)
        content = found and found.read_bytes()
        return slim.without_style_maps(content) if content and path.endswith(".js") else content

    def _find(self, path: str) -> Path | None:
        for prefix, folder in self._folders.items():
            if path.startswith(f"{prefix}/"):
                found = (folder / path[len(prefix) + 1 :]).resolve()
                return found if found.is_relative_to(folder.resolve()) and found.is_file() else None
        return None

    def _hash(self) -> str:
        found = hashlib.sha256(Path(slim.__file__).read_bytes())
        for prefix, folder in sorted(self._folders.items()):
            if prefix.endswith(_MATHJAX):  # 24 MB that the version of the package tells
                package = folder.parent / "package.json"
                found.update(package.read_bytes() if package.is_file() else b"")
                continue
            for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
                if path.is_file() and not path.name.endswith(_LEFT_OUT):
                    found.update(f"{prefix}/{path.relative_to(folder)}\0".encode())
                    found.update(hashlib.sha256(path.read_bytes()).digest())
        return found.hexdigest()[:16]


def _left_inside() -> Iterator[tuple[str, Path]]:
    """Widget packages that install their build for JupyterLab alone: the other one is left in the Python package."""
    for inside in ("nbextension/static", "nbextension", "static"):
        for place in dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib")):
            for script in sorted(Path(place).glob(f"*/{inside}/index.js")):
                if "@jupyter-widgets/base" in script.read_text(errors="replace")[:2000]:
                    yield script.relative_to(place).parts[0], script.parent


def _first(name: str) -> Path:
    """The first of Jupyter's folders that has it."""
    places = [Path(path) / name for path in jupyter_path()]
    return next((place for place in places if place.is_dir()), places[-1])
