"""What `load_stac` and `load_result` may name: the catalogue here, a job's results, a path of the store. PURE.

Nothing else is ever asked: an address of the internet or of the inner network only where the operator's settings list
it. What is asked in the end is built from the parts found here, not from the text that was sent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from ..graphs.graph import GraphError

NAME = r"[A-Za-z0-9][A-Za-z0-9._:~-]{0,199}"
ROUTES = (
    ("collection", re.compile(rf"/services/(?:catalogue|processing)/collections/({NAME})/?")),
    ("item", re.compile(rf"/services/catalogue/collections/({NAME})/items/({NAME})/?")),
    ("job", re.compile(rf"/services/processing/jobs/({NAME})/results/?")),
)
LONGEST = 2000


@dataclass(frozen=True)
class Address:
    """A collection, an item of one, the results of a job, a path of the store, or a STAC of another server."""

    kind: Literal["collection", "item", "job", "path", "elsewhere"]
    name: str
    item: str = ""


def address_of(text: str, public_url: str, mount: str, origins: Sequence[str], jobs: bool = False) -> Address:
    """What a text names (`jobs`: also a job, by its id); GraphError for anything that is not to be asked."""
    root = f"{mount.rstrip('/')}/"
    if jobs and re.fullmatch(NAME, text):
        return Address("job", text)
    if len(text) <= LONGEST and not any(ord(c) <= 32 or c in "\\" or ord(c) > 126 for c in text):
        if text.startswith((root, f"file://{root}")):
            return Address("path", text.removeprefix("file://"))
        parts = _split(text)
        if parts is not None and (found := _here(parts, _split(public_url)) or _listed(parts, origins)):
            return found
    raise GraphError(
        "ProcessArgumentInvalid",
        f"{text!r:.80} is no address that is read here",
        f"give a collection or an item of {public_url}/services/catalogue, or a path below {root}",
    )


def allowed(url: str, origins: Sequence[str]) -> bool:
    """Whether an address lies below one that the operator lists."""
    parts = _split(url)
    return parts is not None and _listed(parts, origins) is not None


def _split(url: str) -> SplitResult | None:
    """The parts of an address without a user, a password or a fragment; None for anything odd."""
    try:
        parts = urlsplit(url)
        odd = parts.port == 0 or parts.username is not None or parts.password is not None or bool(parts.fragment)
    except ValueError:
        return None
    return None if odd or parts.scheme not in ("http", "https") or not parts.hostname else parts


def _here(parts: SplitResult, public: SplitResult | None) -> Address | None:
    if public is None or _origin(parts) != _origin(public) or parts.query:
        return None
    path = unquote(parts.path).removeprefix(public.path.rstrip("/"))
    for kind, route in ROUTES:
        if match := route.fullmatch(path):
            return Address(kind, *match.groups())  # type: ignore[arg-type]
    return None


def _listed(parts: SplitResult, origins: Sequence[str]) -> Address | None:
    steps = unquote(parts.path).split("/")
    if ".." in steps or "." in steps:
        return None
    for origin in filter(None, map(_split, origins)):
        root = origin.path.rstrip("/")
        if _origin(parts) == _origin(origin) and (parts.path == root or parts.path.startswith(f"{root}/")):
            return Address("elsewhere", parts.geturl())
    return None


def _origin(parts: SplitResult) -> tuple[str, str, int]:
    return parts.scheme, str(parts.hostname), parts.port or {"http": 80, "https": 443}[parts.scheme]
