"""The Collections Explorer: a dashboard to browse, look at and compare the collections of the platform.

Importing it loads no widget; `explore()` does.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["explore"]


def explore(query: str | None = None, audience: str = "") -> Any:
    """The dashboard as a widget, at the view that `query` (of the page's address, unless given) describes.

    `audience` is "public" (the default in a dashboard: what everybody may see, whoever published it) or "members"
    (the default elsewhere: what the token may see). In a dashboard, "members" shows visitors what its project may see.
    """
    from .explorer import open_explorer

    return open_explorer(query, audience)
