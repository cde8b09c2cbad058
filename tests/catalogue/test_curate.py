"""Transactions: who may change what, that items lead to nobody else's files, and that it is all audited."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bdap_hub import audit
from bdap_hub.catalogue import curate, ingest
from bdap_hub.catalogue.disk import read_json, write_json
from bdap_hub.catalogue.store import open_catalogue
from bdap_hub.database import shared
from bdap_hub.settings import Settings
from tests.catalogue.meanwhile import then, together

ITEMS = "/collections/forest-plots/items"


@pytest.fixture(scope="module")
def headers(hub: Any) -> Iterator[dict[str | None, dict[str, str]]]:
    """ben leads the forest."""
    hub.api("POST", "/groups/project-forest-leads")
    hub.set_group("project-forest-leads", "ben", True)
    yield {None: {}, **{name: hub.bearer(name) for name in ("pia", "ana", "ben", "olga")}}
    hub.set_group("project-forest-leads", "ben", False)


@pytest.fixture
def item(service: httpx.Client, headers: Any) -> Iterator[dict[str, Any]]:
    """A new item over the files of another; taken away after the test."""
    known = service.get(f"{ITEMS}/forest-plots_2025-04-18", headers=headers["ben"]).json()
    yield {**known, "id": "made-by-hand", "properties": {"datetime": "2025-08-01T00:00:00Z", "eo:cloud_cover": 3}}
    service.delete(f"{ITEMS}/made-by-hand", headers=headers["olga"])


def test_a_lead_adds_changes_and_drops_items(
    service: httpx.Client, headers: Any, item: dict[str, Any], hub: Any
) -> None:
    ben = headers["ben"]
    made = service.post(ITEMS, headers=ben, json=item)
    assert made.status_code == 201, made.text
    at = f"{ITEMS}/made-by-hand"
    assert made.headers["location"].endswith(at)
    assert service.post(ITEMS, headers=ben, json=item).status_code == 409
    assert service.get("/search?ids=made-by-hand", headers=ben).json()["numberMatched"] == 1
    end = service.get("/collections/forest-plots", headers=ben).json()["extent"]["temporal"]["interval"][0][1]
    assert end == "2025-08-01T00:00:00Z"
    changed = service.patch(at, headers=ben, json={"properties": {"eo:cloud_cover": 77, "note": "hazy"}})
    assert changed.status_code == 204
    kept = service.get(at, headers=ben).json()["properties"]
    assert kept == {"datetime": "2025-08-01T00:00:00Z", "eo:cloud_cover": 77, "note": "hazy"}
    assert service.put(at, headers=ben, json=item).status_code == 204
    assert service.get(at, headers=ben).json()["properties"]["eo:cloud_cover"] == 3
    assert service.put(at, headers=ben, json=item | {"id": "other"}).status_code == 400
    assert service.delete(at, headers=ben).status_code == 204
    assert service.get(at, headers=ben).status_code == service.patch(at, headers=ben, json={}).status_code == 404
    assert service.delete(at, headers=ben).status_code == 204
    many = {"type": "FeatureCollection", "features": [item | {"id": f"made-{n}"} for n in range(3)]}
    assert service.post(ITEMS, headers=ben, json=many).json() == {"added": 3}
    for number in range(3):
        service.delete(f"{ITEMS}/made-{number}", headers=ben)
    found = audit.query(shared(hub.settings.database), audit.Filter(person="ben", action="catalogue.items"))
    assert found and "forest-plots made-by-hand" in {event.subject for event in found}


WHO = [(None, 401), ("pia", 404), ("ana", 404), ("ben", 201), ("olga", 201)]


@pytest.mark.parametrize(("who", "status"), WHO)
def test_who_may_write(service: httpx.Client, headers: Any, item: dict[str, Any], who: str | None, status: int) -> None:
    answer = service.post(ITEMS, headers=headers[who], json=item)
    assert answer.status_code == status, answer.text
    after = service.get("/search?ids=made-by-hand", headers=headers["olga"]).json()["numberMatched"]
    assert after == (status == 201)


def test_members_and_leads_of_others_write_nothing(service: httpx.Client, headers: Any, item: dict[str, Any]) -> None:
    for path in ("sentinel-2-demo", "for-people"):
        wrong = service.post(f"/collections/{path}/items", headers=headers["ben"], json=item | {"collection": path})
        assert wrong.status_code == 403 and "bdap-admins" in wrong.json()["message"]
    for change in ({"bdap:visibility": "public"}, {"bdap:project": "agriculture"}, {"bdap:folder": "/eos/data"}):
        answer = service.patch("/collections/forest-plots", headers=headers["ben"], json=change)
        assert answer.status_code == 403
    assert service.delete("/collections/forest-plots", headers=headers["ben"]).status_code == 403
    wrong = service.patch("/collections/forest-plots", headers=headers["ben"], json={"providers": ["we"]})
    assert wrong.status_code == 400 and "no list of objects" in wrong.json()["message"]
    said = service.patch("/collections/forest-plots", headers=headers["ben"], json={"description": "Plots of ours"})
    assert said.status_code == 200, said.text
    assert service.get("/collections/forest-plots", headers=headers["ben"]).json()["description"] == "Plots of ours"


def test_many_items_are_taken_and_no_more_than_that(service: httpx.Client, headers: Any, item: dict[str, Any]) -> None:
    long = item["properties"] | {"description": "d" * 400_000}
    many = {"type": "FeatureCollection", "features": [item | {"id": f"n-{n}", "properties": long} for n in range(4)]}
    try:
        assert service.post(ITEMS, headers=headers["ben"], json=many).json() == {"added": 4}
    finally:
        for number in range(4):
            service.delete(f"{ITEMS}/n-{number}", headers=headers["ben"])
    answer = service.post(ITEMS, headers=headers["ben"], content=b" " * (33 << 20))
    assert (answer.status_code, answer.json()["code"]) == (413, "TooLarge")


def test_a_dashboards_release_writes_nothing(service: httpx.Client, hub: Any, item: dict[str, Any]) -> None:
    from bdap_hub.web import HubLogin

    release = HubLogin(hub.settings, "catalogue").release_token("x/y", "project-forest-leads", 60)
    answer = service.post(ITEMS, headers={"Authorization": f"Bearer {release}"}, json=item)
    assert answer.status_code == 403


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"properties": {"datetime": "2025-08-01T00:00:00Z", "eo:cloud_cover": "low"}}, "is no number"),
    ({"id": "../up"}, "cannot be an item's id"),
    ({"type": "Collection"}, "is no STAC item"),
    ({"geometry": {"type": "Circle"}}, "not GeoJSON"),
    ({"properties": {"datetime": "soon"}}, "is no date"),
    ({"collection": "sentinel-2-demo"}, "belongs to"),
    ({"assets": {"x": {"href": "/eos/projects/agriculture/secret.tif"}}}, "names the file"),
    ({"assets": {"x": {"href": "/eos/data/forest-plots/../for-people/x.tif"}}}, "names the file"),
    ({"assets": {"x": {"href": "file:///etc/passwd"}}}, "names the file"),
    ({"assets": {"x": {"href": "/vsicurl/https://example.org/x.tif"}}}, "names the file"),
    ({"assets": {"x": {"href": "/etc/passwd"}}}, "names the file"),
    ({"assets": {"x": {"href": "/eos/data/forest-plots/link/B02.tif"}}}, "leads out of"),
    ({"assets": {"x": {}}}, "names the file"),
    ({"assets": {"x": {"href": "https://example.org/x", "raster:bands": ["B"]}}}, "no list of objects"),
    ({"assets": {"x": {"href": "https://example.org/x", "raster:bands": [{"scale": "1"}]}}}, "no numbers"),
    ({"assets": {"x": {"href": "https://example.org/x", "raster:bands": [{"data_type": []}]}}}, "no text"),
    ({"assets": {"x": {"href": "https://example.org/x", "gsd": "ten"}}}, "no numbers"),
]


@pytest.mark.parametrize(("change", "sentence"), WRONG)
def test_wrong_items_are_refused(
    service: httpx.Client, headers: Any, item: dict[str, Any], hub: Any, change: dict[str, Any], sentence: str
) -> None:
    data = hub.settings.store.data
    link = data / "forest-plots" / "link"
    link.symlink_to(data / "for-people" / "2025-03-14")
    try:
        answer = service.post(ITEMS, headers=headers["ben"], json=item | change)
    finally:
        link.unlink()
    assert answer.status_code == 400 and sentence in answer.json()["message"], answer.text
    assert str(data) not in answer.text
    assert (
        service.get("/search", headers=headers["olga"], params={"collections": "forest-plots"}).json()["numberMatched"]
        == 2
    )


def test_collections_come_and_go_by_administrators(service: httpx.Client, headers: Any, item: dict[str, Any]) -> None:
    body = {"id": "new-plots", "title": "New plots", "description": "Made over the API", "bdap:visibility": "project",
            "bdap:project": "forest", "bdap:folder": "/eos/data/forest-plots"}  # fmt: skip
    assert service.post("/collections", headers=headers["ben"], json=body).status_code == 403
    elsewhere = service.post("/collections", headers=headers["olga"], json=body)
    assert elsewhere.status_code == 400 and "other projects" in elsewhere.json()["message"]
    body["bdap:visibility"] = "people"
    assert service.post("/collections", headers=headers["olga"], json=body | {"bdap:folder": "/"}).status_code == 400
    made = service.post("/collections", headers=headers["olga"], json=body)
    assert made.status_code == 201, made.text
    try:
        assert service.post("/collections", headers=headers["olga"], json=body).status_code == 409
        mine = item | {"collection": "new-plots"}
        assert service.post("/collections/new-plots/items", headers=headers["ben"], json=mine).status_code == 201
        assert service.get("/collections/new-plots/items", headers=headers["ana"]).json()["numberMatched"] == 1
        assert service.get("/collections/new-plots").status_code == 401
        opened = service.patch("/collections/new-plots", headers=headers["olga"], json={"bdap:visibility": "public"})
        assert opened.status_code == 200
        assert service.get("/collections/new-plots").json()["description"] == "Made over the API"
    finally:
        assert service.delete("/collections/new-plots", headers=headers["olga"]).status_code == 204
    assert service.get("/collections/new-plots", headers=headers["olga"]).status_code == 404
    assert service.get("/search", params={"ids": "made-by-hand"}, headers=headers["olga"]).json()["numberMatched"] == 0


PLOTS = {"id": "plots"}
AT = "/collections/plots"


@pytest.fixture
def record(service: httpx.Client, headers: Any, installed: Settings, item: dict[str, Any]) -> Iterator[Path]:
    """The record of `plots`: of the forest, seen by everybody, with one item `plot`."""
    about = {"bdap:visibility": "public", "bdap:project": "forest", "bdap:folder": "/eos/data/forest-plots"}
    assert service.post("/collections", headers=headers["olga"], json=PLOTS | about).status_code == 201
    assert service.post(f"{AT}/items", headers=headers["ben"], json=plot(item)).status_code == 201
    yield installed.var.resolve() / "catalogue/plots/collection.json"
    service.delete(AT, headers=headers["olga"])


def plot(item: dict[str, Any], name: str = "plot", **properties: Any) -> dict[str, Any]:
    """An item of `plots`."""
    return item | {"id": name, "collection": "plots", "properties": item["properties"] | properties}


def narrowed(record: Path, **more: str) -> None:
    """What an administrator's PATCH, and another ingest, leave behind."""
    write_json(record, read_json(record) | {"bdap:visibility": "people", "title": "Renamed", **more})


def gone(record: Path, installed: Settings) -> None:
    """What a DELETE leaves behind."""
    shutil.rmtree(record.parent)
    open_catalogue(installed).items.forget("plots")


def ask(service: httpx.Client, headers: Any, item: dict[str, Any], change: str) -> httpx.Response:
    """What a lead sends who changes items of `plots`, or what is said of it."""
    method, _, path = change.partition(" ")
    body = {
        "POST /items": plot(item, "second"),
        "PUT /items/plot": plot(item, note="anew"),
        "PATCH /items/plot": {"properties": {"note": "hazy"}},
        "PATCH ": {"description": "Ours"},
    }
    return service.request(method, f"{AT}{path}", headers=headers["ben"], json=body.get(change))


ITEMWISE = {"POST /items": 201, "PUT /items/plot": 204, "PATCH /items/plot": 204, "DELETE /items/plot": 204}


@pytest.mark.parametrize(("change", "status"), ITEMWISE.items())
def test_who_writes_items_leaves_what_is_said_of_the_collection_meanwhile(
    service: httpx.Client,
    headers: Any,
    item: Any,
    record: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
    status: int,
) -> None:
    then(monkeypatch, curate, "decide", lambda: narrowed(record))
    assert ask(service, headers, item, change).status_code == status
    now = read_json(record)
    assert (now["bdap:visibility"], now["bdap:project"], now["title"]) == ("people", "forest", "Renamed")
    assert now["bdap:items"] == {"POST /items": 2, "DELETE /items/plot": 0}.get(change, 1)


@pytest.mark.parametrize("change", [*ITEMWISE, "PATCH "])
def test_a_collection_that_is_taken_away_meanwhile_stays_away(
    service: httpx.Client,
    headers: Any,
    item: Any,
    record: Path,
    installed: Settings,
    monkeypatch: pytest.MonkeyPatch,
    change: str,
) -> None:
    then(monkeypatch, curate, "decide", lambda: gone(record, installed))
    answer = ask(service, headers, item, change)
    assert answer.status_code == 404 and "no collection 'plots' any more" in answer.json()["message"]
    assert not record.parent.exists() and "plots" not in open_catalogue(installed).items.counts()


def test_what_another_project_owns_by_now_is_not_written_to(
    service: httpx.Client, headers: Any, item: Any, record: Path, installed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    then(monkeypatch, curate, "decide", lambda: narrowed(record, **{"bdap:project": "agriculture"}))
    assert ask(service, headers, item, "POST /items").status_code == 409
    assert open_catalogue(installed).items.counts()["plots"] == 1
    assert read_json(record)["bdap:project"] == "agriculture"


def test_who_describes_decides_on_what_is_recorded(
    service: httpx.Client, headers: Any, item: Any, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    then(monkeypatch, curate, "decide", lambda: narrowed(record))
    answer = ask(service, headers, item, "PATCH ")
    assert answer.status_code == 409 and "has changed meanwhile" in answer.json()["message"]
    now = read_json(record)
    assert (now["bdap:visibility"], now["title"], now["description"]) == ("people", "Renamed", "plots")
    then(monkeypatch, curate, "decide", lambda: narrowed(record, title="Ours"))
    assert ask(service, headers, item, "PATCH ").status_code == 200
    now = read_json(record)
    assert (now["bdap:visibility"], now["title"], now["description"]) == ("people", "Ours", "Ours")


def test_of_two_who_make_a_collection_one_does(
    service: httpx.Client, headers: Any, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = read_json(record)
    assert service.delete(AT, headers=headers["olga"]).status_code == 204 and not record.parent.exists()
    then(monkeypatch, ingest, "checked", lambda: (record.parent.mkdir(), write_json(record, said)))
    body = PLOTS | {"bdap:visibility": "people", "bdap:folder": "/eos/data/forest-plots"}
    answer = service.post("/collections", headers=headers["olga"], json=body)
    assert answer.status_code == 409 and read_json(record)["bdap:visibility"] == "public"


def test_who_sees_a_collection_changes_while_its_items_are_put(
    service: httpx.Client, headers: Any, item: Any, record: Path, installed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = together(
        monkeypatch,
        type(open_catalogue(installed).items),
        "put",
        lambda: ask(service, headers, item, "POST /items"),
        lambda: service.patch(AT, headers=headers["olga"], json={"bdap:visibility": "people"}),
    )
    assert [answer.status_code for answer in found] == [201, 200]
    now = read_json(record)
    assert (now["bdap:visibility"], now["bdap:items"]) == ("people", 2)


def test_two_who_change_an_item_at_once_both_do(
    service: httpx.Client, headers: Any, record: Path, installed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def change(name: str) -> httpx.Response:
        return service.patch(f"{AT}/items/plot", headers=headers["ben"], json={"properties": {name: 1}})

    kind = type(open_catalogue(installed).items)
    found = together(monkeypatch, kind, "get", lambda: change("first"), lambda: change("second"))
    assert [answer.status_code for answer in found] == [204, 204]
    kept = service.get(f"{AT}/items/plot").json()["properties"]
    assert kept["first"] == kept["second"] == 1


def test_of_two_who_add_an_item_of_one_id_one_does(
    service: httpx.Client, headers: Any, item: Any, record: Path, installed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def add(note: str) -> httpx.Response:
        return service.post(f"{AT}/items", headers=headers["ben"], json=plot(item, "twice", note=note))

    kind = type(open_catalogue(installed).items)
    found = together(monkeypatch, kind, "get", lambda: add("first"), lambda: add("second"))
    assert [answer.status_code for answer in found] == [201, 409]
    assert service.get(f"{AT}/items/twice").json()["properties"]["note"] == "first"


def test_a_collection_that_is_made_while_its_namesake_goes_stays(
    service: httpx.Client, headers: Any, record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = PLOTS | {"bdap:visibility": "people", "bdap:folder": "/eos/data/forest-plots"}
    found = together(
        monkeypatch,
        shutil,
        "rmtree",
        lambda: service.delete(AT, headers=headers["olga"]),
        lambda: service.post("/collections", headers=headers["olga"], json=body),
        before=True,
    )
    assert [answer.status_code for answer in found] == [204, 201]
    assert service.get(AT, headers=headers["ana"]).json()["bdap:items"] == 0


def test_who_waits_in_vain_has_written_nothing(
    service: httpx.Client, headers: Any, item: Any, record: Path, installed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curate, "PATIENCE", 0)
    with ingest.locked(record.parent):
        answer = ask(service, headers, item, "POST /items")
    assert answer.status_code == 429 and "another ingest of plots" in answer.json()["message"]
    assert open_catalogue(installed).items.counts()["plots"] == 1
    assert ask(service, headers, item, "POST /items").status_code == 201
