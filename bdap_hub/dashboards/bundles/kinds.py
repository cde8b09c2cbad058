"""What a bundle may be, by its manifest's `kind`: which file it begins with, and what it may ask for. PURE."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from ...errors import BadRequest
from .manifest import Manifest

NOTEBOOK, STATIC = "voila", "static"
APPS = {"panel": ("panel",), "solara": ("solara", "solara-assets")}
"""Kinds that are a web application of their own, and the packages that run it."""


@dataclass(frozen=True)
class Kind:
    """`what` its entry is in a word, the endings that it may have, and the names by which it is found."""

    what: str
    endings: tuple[str, ...]
    usual: tuple[str, ...]


KINDS = {
    NOTEBOOK: Kind("notebook", (".ipynb",), ("index.ipynb",)),
    STATIC: Kind("page", (".html", ".htm"), ("index.html", "index.htm")),
    **{app: Kind("app", (".py", ".ipynb"), ("index.py", "app.py", "index.ipynb", "app.ipynb")) for app in APPS},
}
ALONE = frozenset(ending for kind in KINDS.values() for ending in kind.endings)
"""Endings of files that may come without a folder."""
_NOTHING_RUNS = ("image", "requirements", "data", "resources", "keep_warm", "secrets")


def kind_of(name: str, said: str | None) -> str:
    """The kind that is asked for; where nobody says one, a single HTML file is a static page."""
    return said or (STATIC if name.lower().endswith(KINDS[STATIC].endings) else NOTEBOOK)


def find_entry(files: Collection[str], wanted: str, kind: str) -> str:
    """The file that a bundle of that kind begins with; BadRequest where there is none, or nobody can say which."""
    known = KINDS[kind]
    what, found = known.what, sorted(path for path in files if path.lower().endswith(known.endings))
    if wanted:
        if wanted not in found:
            raise BadRequest(f"the bundle has no {what} {wanted!r}; it has {found}", "name one of them as entry")
        return wanted
    if usual := next((name for name in known.usual if name in found), ""):
        return usual
    top = [path for path in found if "/" not in path] or found
    if len(top) == 1:
        return top[0]
    if not top:
        raise BadRequest(f"the bundle has no {what}", _remedy(files, kind))
    raise BadRequest(
        f"the bundle has several {what}s: {top}", f"call one of them {known.usual[0]}, or name it as entry"
    )


def check_needs(manifest: Manifest) -> None:
    """BadRequest where it asks for what its kind has no use for."""
    if manifest.kind != STATIC:
        return
    if asked := [name for name in _NOTHING_RUNS if name in manifest.said()]:
        raise BadRequest(f"kind static: nothing runs for it, and it says {asked[0]}", f"leave {asked[0]} out")


def _remedy(files: Collection[str], kind: str) -> str:
    if kind == NOTEBOOK and any(path.lower().endswith(KINDS[STATIC].endings) for path in files):
        return "put one .ipynb file into it, or say `kind: static` in bdap-dashboard.yaml"
    return f"put one {' or '.join(KINDS[kind].endings)} file into it"
