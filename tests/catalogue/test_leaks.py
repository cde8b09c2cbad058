"""A hidden collection leaves no trace: whatever one asks is answered as if it were not there, to the letter."""

from __future__ import annotations

import shutil
from typing import Any

import httpx
import pytest

from bdap_hub.catalogue.ingest import ingest
from bdap_hub.catalogue.store import open_catalogue
from bdap_hub.settings import Settings

NAME = "secret-plots"
ITEM = f"{NAME}_2025-04-18"
TOKEN = f"next:{NAME.encode().hex()}:{ITEM.encode().hex()}"
HTML = {"Accept": "text/html"}
GETS = [
    "/", "/collections", "/collections?q=secret", "/collections?bbox=8,45,9,46&sortby=-title", "/queryables",
    "/collections?limit=1", "/collections?filter=id = 'secret-plots'", f"/collections/{NAME}",
    f"/collections/{NAME}/queryables", f"/collections/{NAME}/items", f"/collections/{NAME}/items/{ITEM}",
    f"/collections/{NAME}/items/{ITEM}/thumbnail", f"/collections/{NAME}/items/{ITEM}/preview",
    f"/collections/{NAME}/thumbnail", f"/collections/{NAME}/aggregate", f"/collections/{NAME}/aggregations",
    "/search", "/search?sortby=eo:cloud_cover", "/search?sortby=-secret:word", "/search?limit=1", f"/search?ids={ITEM}",
    f"/search?collections={NAME}", f"/search?collections=sentinel-2-demo,{NAME}", "/search?bbox=8,45,9,46",
    f"/search?token={TOKEN}", "/search?token=1", "/search?filter=\"secret:word\" = 'found'",
    "/search?filter=\"secret:word\" IS NULL", "/search?filter=NOT (collection = 'sentinel-2-demo')",
    "/search?filter=\"secret:word\" > 5", "/search?filter=\"secret:word\" / 0 > 1", "/search?filter=1 = 1 OR 2 = 2",
    "/search?query={\"secret:word\": {\"gt\": 5}}", "/search?datetime=2031-01-01T00:00:00Z/..",
    "/aggregate", "/aggregate?aggregations=datetime_max,grid_code_frequency", f"/aggregate?collections={NAME}",
    "/aggregate?filter=\"secret:word\" = 'found'", "/aggregate?sortby=secret:word",
]  # fmt: skip
SENDS = [
    ("POST", "/search", {"collections": [NAME], "limit": 1}),
    ("POST", "/search", {"sortby": [{"field": "secret:word", "direction": "desc"}], "limit": 1000}),
    ("POST", "/aggregate", {"ids": [ITEM]}),
    ("POST", f"/collections/{NAME}/items", {"id": "x"}),
    ("PUT", f"/collections/{NAME}/items/{ITEM}", {"id": ITEM}),
    ("DELETE", f"/collections/{NAME}/items/{ITEM}", None),
    ("PATCH", f"/collections/{NAME}", {"description": "x"}),
    ("DELETE", f"/collections/{NAME}", None),
    ("POST", "/collections", {"id": NAME, "bdap:visibility": "public", "bdap:folder": "/eos/data/sentinel-2-demo"}),
]


@pytest.fixture
def hidden(service: httpx.Client, hub: Any, installed: Settings) -> Any:
    """The collection, with a property that no other has, in the future; a function takes it away."""
    folder = installed.store.projects / "forest" / "secret"
    shutil.copytree(installed.store.data / "forest-plots", folder)
    ingest(installed, folder, NAME, "Secret plots", "project", "forest")
    items = open_catalogue(installed).items
    item = items.get(NAME, ITEM)
    assert item is not None
    item["properties"] |= {"secret:word": "found", "datetime": "2031-05-05T00:00:00Z", "grid:code": "SECRET"}
    items.put({"id": NAME, "type": "Collection", "links": []}, [item])
    olga = hub.bearer("olga")

    def remove() -> None:
        assert service.delete(f"/collections/{NAME}", headers=olga).status_code == 204

    yield remove
    service.delete(f"/collections/{NAME}", headers=olga)
    shutil.rmtree(folder)


def answers(service: httpx.Client, headers: dict[str, str]) -> list[tuple[str, int, str]]:
    found = [(path, service.get(path, headers=headers)) for path in GETS]
    found += [(f"{path} page", service.get(path, headers=headers | HTML)) for path in GETS[:12]]
    found += [(f"{m} {path}", service.request(m, path, headers=headers, json=body)) for m, path, body in SENDS]
    return [(path, answer.status_code, answer.text) for path, answer in found]


@pytest.mark.parametrize("who", ["ana", None])
def test_with_it_and_without_it_everything_is_answered_alike(
    service: httpx.Client, hub: Any, hidden: Any, who: str | None
) -> None:
    ben = service.get(f"/search?ids={ITEM}", headers=hub.bearer("ben")).json()
    assert ben["numberMatched"] == 1  # the positive control
    headers = hub.bearer(who) if who else {}
    with_it = answers(service, headers)
    hidden()
    for before, after in zip(with_it, answers(service, headers), strict=True):
        assert before == after
    assert not [path for path, _, text in with_it if "2031-05" in text]
    assert not [path for path, status, _ in with_it if status >= 500]
