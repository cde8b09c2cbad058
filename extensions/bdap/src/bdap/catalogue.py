"""The collections of the platform as a list that reads well in a notebook."""

from __future__ import annotations

from html import escape
from typing import Any

from . import client as clients
from .client import Client


class Collections(list[dict[str, Any]]):
    """STAC collections; in a notebook a table of id, title and time."""

    def __repr__(self) -> str:
        return "\n".join(f"{each['id']}: {each.get('title', '')}" for each in self) or "no collection"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td><code>{escape(each['id'])}</code></td><td>{escape(str(each.get('title', '')))}</td>"
            f"<td>{escape(_time(each))}</td></tr>"
            for each in self
        )
        return f"<table><tr><th>collection</th><th>title</th><th>time</th></tr>{rows}</table>"


def collections(client: Client | None = None) -> Collections:
    """The collections you may see."""
    return Collections((client or clients.default()).collections())


def _time(collection: dict[str, Any]) -> str:
    intervals = collection.get("extent", {}).get("temporal", {}).get("interval") or [[None, None]]
    first, last = intervals[0]
    return f"{(first or 'always')[:10]} – {(last or 'now')[:10]}"
