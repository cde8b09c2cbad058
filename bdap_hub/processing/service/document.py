"""A web service as openEO describes it, and the signed addresses under which others find it. PURE."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .configuration import shown
from .tables import StoredService
from .views import View


@dataclass(frozen=True)
class Addresses:
    """Where a service is found: `base` is the processing service, `query` what each address carries."""

    base: str
    service: str
    query: str
    extension: str = "png"

    def _at(self, path: str) -> str:
        return f"{self.base}{path}?{self.query}" if self.query else f"{self.base}{path}"

    @property
    def tiles(self) -> str:
        """A template of tiles, with {z}, {x} and {y}."""
        return self._at(f"/tiles/{self.service}/{{z}}/{{x}}/{{y}}.{self.extension}")

    @property
    def tilejson(self) -> str:
        """The TileJSON document."""
        return self._at(f"/services/{self.service}/tilejson.json")

    @property
    def wmts(self) -> str:
        """The WMTS, for requests by key and value."""
        return self._at(f"/services/{self.service}/wmts")

    @property
    def capabilities(self) -> str:
        """The WMTS's capabilities, for RESTful clients."""
        return self._at(f"/services/{self.service}/WMTSCapabilities.xml")

    def legend(self, extension: str) -> str:
        """The legend as png, svg or json."""
        return self._at(f"/services/{self.service}/legend.{extension}")

    def of_kind(self, kind: str) -> str:
        """The address that a client of that type of service starts from."""
        return {"WMTS": self.wmts, "TileJSON": self.tilejson}.get(kind, self.tiles)


def addresses(base: str, view: View, query: str) -> Addresses:
    """The addresses of a service."""
    return Addresses(base, view.row.id, query, view.configuration.form.extensions[0])


def listed(row: StoredService, base: str) -> dict[str, Any]:
    """A service as a list shows it."""
    return {
        "id": row.id,
        "title": row.title,
        "description": row.description or None,
        "type": row.kind,
        "enabled": row.enabled,
        "url": f"{base}/services/{row.id}",
        "created": row.created.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def described(view: View, graph: Any, where: Addresses) -> dict[str, Any]:
    """A service with everything there is to know about it."""
    row, compiled = view.row, view.compiled
    return {
        **listed(row, where.base),
        "url": where.of_kind(row.kind),
        "process": {"process_graph": graph},
        "configuration": {**shown(view.configuration), "bounds": list(compiled.plan.bounds)},
        "attributes": {
            "dates": [[step.label for step in load.steps] for load in compiled.plan.loads],
            "times": list(compiled.dates),
            "undrawable": view.drawable.undrawable,
            "tiles": where.tiles,
            "tilejson": where.tilejson,
            "wmts": where.wmts,
            "legend": where.legend("png"),
            **({"style": json.loads(row.style)} if row.style else {}),
        },
    }
