"""The STAC API as clients use it: documents, links that can be followed, pages for browsers."""

from __future__ import annotations

from typing import Any

import httpx
import pystac


def links(document: dict[str, Any], rel: str) -> list[dict[str, Any]]:
    return [link for link in document["links"] if link["rel"] == rel]


def test_the_landing_page_names_what_the_api_keeps(service: httpx.Client) -> None:
    landing = service.get("/").json()
    assert "https://api.stacspec.org/v1.0.0/item-search" in landing["conformsTo"]
    assert landing["conformsTo"] == service.get("/conformance").json()["conformsTo"]
    assert {link["method"] for link in links(landing, "search")} == {"GET", "POST"}


def test_links_on_the_services_own_port_can_be_followed(service: httpx.Client) -> None:
    """As a notebook server in a container does, which cannot reach the public address."""
    landing = service.get("/").json()
    for link in landing["links"]:
        if link["rel"] in ("self", "data", "conformance", "child"):
            assert link["href"].startswith(str(service.base_url))
            assert httpx.get(link["href"], timeout=20).status_code == 200


def test_links_through_the_proxy_are_public_ones(service: httpx.Client, hub: Any) -> None:
    public = f"{hub.url}/services/catalogue"
    landing = httpx.get(f"{public}/", timeout=20).json()
    assert links(landing, "self")[0]["href"] == f"{public}/"


def test_a_host_of_somebody_elses_choice_is_not_linked_to(service: httpx.Client, hub: Any) -> None:
    landing = service.get("/", headers={"Host": "evil.example"}).json()
    assert links(landing, "self")[0]["href"] == f"{hub.url}/services/catalogue/"


def test_next_links_lead_through_all_items(service: httpx.Client) -> None:
    seen: list[str] = []
    answer = service.get("/collections/sentinel-2-demo/items", params={"limit": 2}).json()
    while True:
        seen += [f["id"] for f in answer["features"]]
        following = links(answer, "next")
        if not following:
            break
        answer = httpx.get(following[0]["href"], timeout=20).json()
    assert len(seen) == len(set(seen)) == 3
    page = service.post("/search", json={"collections": ["sentinel-2-demo"], "limit": 2}).json()
    step = links(page, "next")[0]
    assert step["body"]["collections"] == ["sentinel-2-demo"]
    last = httpx.request(step["method"], step["href"], json=step["body"], timeout=20).json()
    assert {f["id"] for f in page["features"] + last["features"]} == set(seen)


def test_items_and_collections_read_as_stac(service: httpx.Client) -> None:
    collection = pystac.Collection.from_dict(service.get("/collections/sentinel-2-demo").json())
    assert collection.extra_fields["bdap:visibility"] == "public"
    for feature in service.get("/collections/sentinel-2-demo/items").json()["features"]:
        item = pystac.Item.from_dict(feature)
        assert item.assets["B04"].href.startswith("/eos/data/sentinel-2-demo/")
        assert service.get(f"/collections/sentinel-2-demo/items/{item.id}").json() == feature


def test_hrefs_lead_to_files_of_the_store(service: httpx.Client, hub: Any) -> None:
    for feature in service.post("/search", json={}).json()["features"]:
        for asset in feature["assets"].values():
            assert hub.settings.store.path_of(asset["href"]).is_file()


def test_a_search_by_cloud_cover(service: httpx.Client) -> None:
    found = service.post("/search", json={"query": {"eo:cloud_cover": {"lt": 15}}}).json()
    assert found["numberMatched"] == sum(f["properties"]["eo:cloud_cover"] < 15 for f in found["features"]) > 0


def test_queryables_are_a_schema(service: httpx.Client) -> None:
    answer = service.get("/collections/sentinel-2-demo/queryables")
    assert answer.headers["content-type"] == "application/schema+json"
    assert answer.json()["properties"]["eo:cloud_cover"] == {"type": "number"}


def test_wrong_parameters_are_told(service: httpx.Client) -> None:
    for answer in (
        service.get("/search", params={"bbox": "1,2"}),
        service.post("/search", json={"bbox": [1, 2]}),
        service.post("/search", content=b"{", headers={"Content-Type": "application/json"}),
        service.get("/search", params={"colections": "x"}),
    ):
        assert answer.status_code == 400
        assert answer.json()["message"]


def test_a_missing_item_is_404(service: httpx.Client) -> None:
    assert service.get("/collections/sentinel-2-demo/items/nothing").status_code == 404


def test_pages_for_browsers(service: httpx.Client) -> None:
    html = {"Accept": "text/html"}
    listing = service.get("/", headers=html)
    assert listing.headers["content-type"].startswith("text/html")
    assert "script-src 'self'" in listing.headers["content-security-policy"]
    assert "<script" not in listing.text and "style=" not in listing.text
    picture = service.get("/collections/sentinel-2-demo/thumbnail")
    assert picture.headers["content-type"] == "image/png" and picture.content.startswith(b"\x89PNG")
    page = service.get("/collections/sentinel-2-demo", headers=html).text
    assert "3 items, 2025-03-14 to 2025-05-16" in page and "3 items, 2025-03-14 to 2025-05-16" in listing.text
    assert "import bdap" in page and "2025-04-18" in page and "uint16" in page


def test_names_are_escaped_on_pages(service: httpx.Client, hub: Any) -> None:
    from bdap_hub.catalogue.ingest import ingest

    folder = hub.settings.store.data / "for-people"
    ingest(hub.settings, folder, "odd-title", "<img src=x onerror=alert(1)>", "public")
    try:
        listing = service.get("/", headers={"Accept": "text/html"}).text
        assert "<img src=x" not in listing and "&lt;img src=x" in listing
    finally:
        import shutil

        shutil.rmtree(hub.settings.var / "catalogue" / "odd-title")
