"""Who sees what, on every route: hidden collections are absent from lists, searches and counts."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from bdap_hub.catalogue.disk import read_json, write_json

ALL = {"sentinel-2-demo": 3, "for-people": 1, "forest-plots": 2}
SEES = {
    None: {"sentinel-2-demo"},
    "pia": {"sentinel-2-demo", "for-people"},
    "ana": {"sentinel-2-demo", "for-people"},
    "ben": {"sentinel-2-demo", "for-people", "forest-plots"},
    "olga": {"sentinel-2-demo", "for-people", "forest-plots"},
}
FOREST_ITEM = "forest-plots_2025-04-18"


@pytest.fixture(scope="module")
def headers(hub: Any) -> dict[str | None, dict[str, str]]:
    return {None: {}, **{name: hub.bearer(name) for name in ("pia", "ana", "ben", "olga")}}


@pytest.mark.parametrize("who", list(SEES))
def test_lists_and_counts_hold_only_what_one_may_read(service: httpx.Client, headers: Any, who: str | None) -> None:
    mine, total = SEES[who], sum(ALL[name] for name in SEES[who])
    listed = service.get("/collections", headers=headers[who]).json()
    assert {c["id"] for c in listed["collections"]} == mine
    assert listed["numberMatched"] == len(mine)
    landing = service.get("/", headers=headers[who]).json()
    assert {link["href"].rpartition("/")[2] for link in landing["links"] if link["rel"] == "child"} == mine
    for answer in (
        service.get("/search", headers=headers[who], params={"limit": 100}),
        service.post("/search", headers=headers[who], json={"limit": 100}),
        service.post("/search", headers=headers[who], json={"bbox": [-180, -90, 180, 90], "limit": 100}),
    ):
        found = answer.json()
        assert {f["collection"] for f in found["features"]} == mine
        assert found["numberMatched"] == found["numberReturned"] == total


@pytest.mark.parametrize("who", list(SEES))
def test_counts_and_filters_hold_only_what_one_may_read(service: httpx.Client, headers: Any, who: str | None) -> None:
    mine, total = SEES[who], sum(ALL[name] for name in SEES[who])

    def counted(path: str = "/aggregate", **more: Any) -> dict[str, Any]:
        answer = service.get(path, headers=headers[who], params=more).json()
        return {each["name"]: each.get("value", each.get("buckets")) for each in answer["aggregations"]}

    found = counted()
    assert found["total_count"] == sum(each["frequency"] for each in found["datetime_frequency"]) == total
    assert {each["key"]: each["frequency"] for each in found["collection_frequency"]} == {n: ALL[n] for n in mine}
    forest = counted(filter="collection = 'forest-plots' OR 1 = 1", aggregations="collection_frequency")
    assert {each["key"] for each in forest["collection_frequency"]} == mine
    hidden = service.get("/search", headers=headers[who], params={"filter": "collection = 'forest-plots'"}).json()
    assert hidden["numberMatched"] == (2 if "forest-plots" in mine else 0)
    words = service.get("/collections", headers=headers[who], params={"q": "plots"}).json()
    assert words["numberMatched"] == int("forest-plots" in mine)


@pytest.mark.parametrize("who", list(SEES))
def test_search_by_id_does_not_reach_around(service: httpx.Client, headers: Any, who: str | None) -> None:
    expected = int("forest-plots" in SEES[who])
    for answer in (
        service.post("/search", headers=headers[who], json={"ids": [FOREST_ITEM]}),
        service.get("/search", headers=headers[who], params={"ids": FOREST_ITEM}),
    ):
        assert (answer.json()["numberMatched"], len(answer.json()["features"])) == (expected, expected)


@pytest.mark.parametrize("who", list(SEES))
@pytest.mark.parametrize(
    "path",
    [
        "/collections/{c}",
        "/collections/{c}/items",
        "/collections/{c}/items/{i}",
        "/collections/{c}/queryables",
        "/collections/{c}/aggregations",
        "/collections/{c}/aggregate",
        "/aggregate?collections={c}",
        "/collections/{c}/thumbnail",
        "/search?collections={c}",
        "/search?collections=sentinel-2-demo,{c}",
        "POST",
    ],
)
def test_asking_by_name(service: httpx.Client, headers: Any, who: str | None, path: str) -> None:
    def ask(collection: str, item: str) -> httpx.Response:
        if path == "POST":
            return service.post("/search", headers=headers[who], json={"collections": [collection]})
        return service.get(path.format(c=collection, i=item), headers=headers[who])

    allowed = "forest-plots" in SEES[who]
    answer = ask("forest-plots", FOREST_ITEM)
    assert answer.status_code == (200 if allowed else 401 if who is None else 404)
    if not allowed:
        missing = ask("no-such-plots", FOREST_ITEM)
        assert missing.status_code == answer.status_code
        assert missing.text.replace("no-such-plots", "forest-plots") == answer.text
        assert FOREST_ITEM not in answer.text and (who is None or "lead of its project" in answer.json()["remedy"])
    # The positive control: the same question about the public collection is answered.
    assert ask("sentinel-2-demo", "sentinel-2-demo_2025-04-18").status_code == 200


def test_nobody_logged_in_cannot_tell_hidden_from_missing(service: httpx.Client) -> None:
    hidden, missing = service.get("/collections/forest-plots"), service.get("/collections/nothing")
    assert hidden.status_code == missing.status_code == 401
    assert hidden.text.replace("forest-plots", "nothing") == missing.text


def test_a_missing_collection_is_404_for_people(service: httpx.Client, headers: Any) -> None:
    assert service.get("/collections/nothing", headers=headers["ana"]).status_code == 404
    assert service.get("/collections/..%2Fsecrets", headers=headers["ana"]).status_code == 404


@pytest.mark.parametrize("path", ["/", "/collections", "/search", "/collections/sentinel-2-demo"])
def test_a_bad_token_is_refused_and_not_taken_for_nobody(service: httpx.Client, path: str) -> None:
    assert service.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert service.get(path).status_code == 200


def test_properties_of_hidden_collections_are_no_queryables(service: httpx.Client, headers: Any, hub: Any) -> None:
    path = hub.settings.var / "catalogue" / "forest-plots" / "collection.json"
    stac = read_json(path)
    write_json(path, stac | {"bdap:properties": {"plots:secret": "string"}})
    try:
        asked = {who: service.get("/queryables", headers=headers[who]) for who in (None, "ana", "ben")}
    finally:
        write_json(path, stac)
    seen = {who: answer.json()["properties"] for who, answer in asked.items()}
    assert all("eo:cloud_cover" in found for found in seen.values())
    assert [who for who, found in seen.items() if "plots:secret" in found] == ["ben"]


def test_a_browser_sees_a_readable_refusal(service: httpx.Client, headers: Any) -> None:
    html = {"Accept": "text/html"}
    refused = service.get("/collections/forest-plots", headers=headers["ana"] | html)
    assert refused.status_code == 404
    assert "forest-plots" in refused.text and "that you may read" in refused.text
    allowed = service.get("/collections/forest-plots", headers=headers["ben"] | html)
    assert allowed.status_code == 200
    assert (
        "bdap.collection(&#34;forest-plots&#34;)" in allowed.text or 'bdap.collection("forest-plots")' in allowed.text
    )
    sent_to_login = service.get("/collections/forest-plots", headers=html)
    assert sent_to_login.status_code == 302
    assert "/hub/api/oauth2/authorize" in sent_to_login.headers["location"]


def test_the_list_page_shows_only_what_one_may_read(service: httpx.Client, headers: Any) -> None:
    html = {"Accept": "text/html"}
    assert "Forest plots" not in service.get("/", headers=html).text
    assert "Demo scenes" in service.get("/", headers=html).text
    assert "Forest plots" not in service.get("/", headers=headers["ana"] | html).text
    assert "Forest plots" in service.get("/", headers=headers["ben"] | html).text


def test_the_header_shows_requests_to_those_who_decide_them(service: httpx.Client, hub: Any) -> None:
    def header(name: str) -> list[bool]:
        page = service.get("/", headers=hub.bearer(name) | {"Accept": "text/html"}).text
        assert "Log out" in page
        return [f"{hub.url}{path}" in page for path in ("/hub/requests", "/services/admin/")]

    assert header("ana") == header("ben") == [False, False]
    assert header("olga") == [True, True]
    hub.api("POST", "/groups/project-forest-leads")
    hub.set_group("project-forest-leads", "ben", True)
    try:
        assert header("ben") == [True, False]
    finally:
        hub.set_group("project-forest-leads", "ben", False)


def test_a_dashboards_release_reads_as_a_member_would(service: httpx.Client, hub: Any) -> None:
    from bdap_hub.web import HubLogin

    login = HubLogin(hub.settings, "catalogue")
    forest, other = (login.release_token("x/y", group, 60) for group in ("project-forest", "project-agriculture"))
    assert service.get("/collections/forest-plots", headers={"Authorization": f"Bearer {forest}"}).status_code == 200
    assert service.get("/collections/forest-plots", headers={"Authorization": f"Bearer {other}"}).status_code == 404


def test_leaving_the_project_closes_the_collection(service: httpx.Client, hub: Any, headers: Any) -> None:
    """A fresh token, so that the short cache of who somebody is does not answer."""
    hub.set_group("project-forest", "pia", True)
    try:
        assert service.get("/collections/forest-plots", headers=hub.bearer("pia")).status_code == 200
    finally:
        hub.set_group("project-forest", "pia", False)
    assert service.get("/collections/forest-plots", headers=hub.bearer("pia")).status_code == 404
