"""load_stac and load_result over HTTP: what one gets equals the files, and nobody gets at what they may not read."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from bdap_hub.catalogue.app import create_app as create_catalogue
from bdap_hub.processing.app import create_app
from bdap_hub.processing.cubes.extent import lonlat
from bdap_hub.processing.engine.grid import Grid
from bdap_hub.web import HubLogin

from .conftest import DATES, SIZE, X, Y, Z, asset, item, make_collection, truth, write_catalogue
from .graphs import arg, call, node, of
from .test_service import Client, tile

BANDS = ("B02", "B03", "B04", "B08", "SCL")


class Elsewhere:
    """A web server that counts who asks; `pages` are its documents, `redirects` lead away."""

    def __init__(self) -> None:
        self.pages: dict[str, Any] = {}
        self.redirects: dict[str, str] = {}
        self.asked: list[str] = []
        self.headers: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.headers.append(str(self.headers).lower())
                path = self.path.partition("?")[0]
                found = path in outer.pages
                self.send_response(200 if found else 302 if path in outer.redirects else 404)
                if path in outer.redirects:
                    self.send_header("Location", outer.redirects[path])
                self.end_headers()
                self.wfile.write(json.dumps(outer.pages.get(path, {})).encode())

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    made = Elsewhere()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def platform(hub: Any, elsewhere: Elsewhere) -> Any:
    """The hub with catalogue and processing, a public collection and one of forest; `/stac` elsewhere is listed."""
    settings = hub.settings
    for name, visibility, project in (("fields", "public", ""), ("plots", "project", "forest")):
        write_catalogue(settings.var, *make_collection(settings.store.root, name, visibility, project))
    hub.serve(create_catalogue(settings), settings.catalogue.port)
    processing = settings.processing.model_copy(update={"stac_origins": (f"{elsewhere.url}/stac",)})
    hub.serve(create_app(settings.model_copy(update={"processing": processing})), processing.port)
    return hub


@pytest.fixture(scope="module")
def ana(platform: Any) -> Client:
    return Client(platform, "ana")


@pytest.fixture(scope="module")
def ben(platform: Any) -> Client:
    return Client(platform, "ben")


def first_of(process: str, name: str = "B04", **arguments: Any) -> dict[str, Any]:
    """One band of what is loaded, the first date."""
    return {
        "data": node(process, **arguments, **({"bands": [name]} if name else {})),
        "flat": node("reduce_dimension", True, data=of("data"), reducer=call("first", data=arg("data")), dimension="t"),
    }


def stac(url: str, name: str = "B04", **more: Any) -> dict[str, Any]:
    return first_of("load_stac", name, url=url, **more)


def value(client: Client, graph: Any, row: int = 123, column: int = 45) -> Any:
    """The value at a pixel of the files' grid."""
    answer = client.post(graph)
    assert answer.status_code == 201, answer.text
    lon, lat = _place(row, column)
    found = client.http.get(f"/services/{answer.json()['id']}/point", params={"lon": lon, "lat": lat})
    assert found.status_code == 200, found.text
    return found.json()["values"]


def _place(row: int, column: int) -> tuple[float, float]:
    grid = Grid.tile(Z, X, Y)
    return lonlat(grid.left + (column + 0.5) * grid.xres, grid.top - (row + 0.5) * grid.yres)


ITEM_BOX = (*_place(SIZE, 0), *_place(0, SIZE))


def own_item(settings: Any, folder: str, collection: str = "fields", date: int = 0, **more: Any) -> dict[str, Any]:
    """A STAC item on the files of a collection, written to a folder of the store as item.json; returned, too."""
    assets = {band: asset(f"/eos/data/{collection}/{DATES[date]}/{band}.tif", band) for band in BANDS}
    made = item("own", f"own-{date}", DATES[date], ITEM_BOX, 0, assets) | more
    path = settings.store.root / folder / "item.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(made))
    return made


def test_a_collection_and_an_item_of_our_catalogue(ana: Client, platform: Any) -> None:
    catalogue = f"{platform.settings.hub.public_url}/services/catalogue/collections/fields"
    assert value(ana, stac(catalogue)) == {"B04": truth(0)["B04"][123, 45]}
    second = f"{catalogue}/items/fields-{DATES[1]}"
    assert value(ana, stac(second)) == {"B04": truth(1)["B04"][123, 45]}
    later = stac(catalogue, temporal_extent=[DATES[2], None])
    assert value(ana, later) == {"B04": truth(2)["B04"][123, 45]}
    missing = ana.post(stac(f"{catalogue}/items/nothing"))
    assert (missing.status_code, missing.json()["code"]) == (404, "CollectionNotFound")


def test_our_catalogue_is_read_by_the_callers_rights(ana: Client, ben: Client, platform: Any) -> None:
    plots = stac(f"{platform.settings.hub.public_url}/services/catalogue/collections/plots")
    assert value(ben, plots) == {"B04": truth(0)["B04"][123, 45]}
    refused = ana.post(plots)
    assert refused.status_code == 404 and "that you may read" in refused.json()["message"]


def test_static_documents_on_the_store(ana: Client, platform: Any) -> None:
    root = platform.settings.store.root
    for date in range(3):
        own_item(platform.settings, f"projects/agriculture/stac/{date}", date=date)
    links = [{"rel": "item", "href": f"./{date}/item.json"} for date in range(3)]
    below = {"type": "Collection", "id": "below", "links": links}
    (root / "projects/agriculture/stac/collection.json").write_text(json.dumps(below))
    above = {"type": "Catalog", "id": "above", "links": [{"rel": "child", "href": "stac/collection.json"}]}
    (root / "projects/agriculture/catalog.json").write_text(json.dumps(above))
    for path in ("stac/2/item.json", "stac/collection.json", "catalog.json", "stac"):
        graph = stac(f"/eos/projects/agriculture/{path}", temporal_extent=[DATES[2], None])
        assert value(ana, graph) == {"B04": truth(2)["B04"][123, 45]}


def test_rights_to_files_are_asked_for_each_tile(platform: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HubLogin, "cache_seconds", 0)
    own_item(platform.settings, "projects/forest/stac", "plots")
    graph = stac("/eos/projects/forest/stac/item.json")
    platform.set_group("project-forest", "pia", True)
    try:
        pia = Client(platform, "pia")
        service = pia.service(graph)
        assert tile(service).status_code == 200
    finally:
        platform.set_group("project-forest", "pia", False)
    time.sleep(0.1)
    assert tile(service).status_code == 403
    refused = pia.post(graph)
    assert refused.status_code == 403 and "pia is in no project" in refused.json()["message"]


def test_nobody_reads_by_a_document_what_they_may_not_read(ana: Client, ben: Client, platform: Any) -> None:
    """Neither another project's document, nor in one's own another project's files, nor over a link."""
    own_item(platform.settings, "projects/forest/stac", "plots")
    refused = ana.post(stac("/eos/projects/forest/stac/item.json"))
    assert refused.status_code == 403 and "not a member of project forest" in refused.json()["message"]
    own_item(platform.settings, "projects/agriculture/theft", "plots")
    graph = stac("/eos/projects/agriculture/theft/item.json")
    assert ana.post(graph).status_code == 403
    own_item(platform.settings, "projects/agriculture/theft", "fields")
    assert ana.post(graph).status_code == 201
    link = platform.settings.store.root / "projects/agriculture/theft/link.json"
    link.symlink_to("../../forest/stac/item.json")
    assert ana.post(stac("/eos/projects/agriculture/theft/link.json")).json()["code"] == "FileUnavailable"
    assert ben.post(stac("/eos/projects/forest/stac/item.json")).status_code == 201


@pytest.mark.parametrize("where", ["/eos/data/fields/../plots", "/eos/data/fields/%2e%2e/plots", "/eos//data/plots"])
def test_a_path_has_one_spelling(ana: Client, where: str) -> None:
    refused = ana.post(first_of("load_result", "", id=f"{where}/{DATES[0]}/B04.tif"))
    assert refused.status_code in (400, 403) and "/store/" not in refused.text


def test_validation_says_what_may_not_be_read(ana: Client, ben: Client, elsewhere: Elsewhere) -> None:
    graph = first_of("load_result", "", id=f"/eos/data/plots/{DATES[0]}/B04.tif")
    bodies = [
        {"process": {"process_graph": graph}},
        {"process": {"process_graph": stac(f"{elsewhere.url}/secret.json")}},
    ]
    found = [ana.http.post("/validation", json=body).json()["errors"] for body in bodies]
    assert [[error["code"] for error in one] for one in found] == [
        ["PermissionsInsufficient"],
        ["ProcessArgumentInvalid"],
    ]
    assert ben.http.post("/validation", json=bodies[0]).json()["errors"] == []


def test_a_raster_of_ones_own_by_its_path(ana: Client, ben: Client, platform: Any) -> None:
    path = f"/eos/data/plots/{DATES[0]}/B04.tif"
    assert value(ben, first_of("load_result", "", id=path)) == {"B04": truth(0)["B04"][123, 45]}
    refused = ana.post(first_of("load_result", "", id=path))
    assert refused.status_code == 403
    gone = ben.post(first_of("load_result", "", id="/eos/data/plots/none.tif"))
    assert (gone.status_code, gone.json()["code"]) == (503, "FileUnavailable")
    assert str(platform.settings.store.root) not in gone.text + refused.text


def test_no_job_has_that_id(ana: Client) -> None:
    answer = ana.post(first_of("load_result", "", id="no-such-job"))
    assert answer.json()["code"] == "JobNotFound"


def test_nothing_else_is_asked(ana: Client, platform: Any, elsewhere: Elsewhere) -> None:
    """Each way to another server is refused before anything is sent; the listed one beside it is asked."""
    elsewhere.pages["/stac/item.json"] = elsewhere.pages["/secret.json"] = own_item(platform.settings, "data/fields/x")
    port, public = elsewhere.server.server_port, platform.settings.hub.public_url
    elsewhere.asked.clear()
    for url in (
        f"{elsewhere.url}/secret.json",
        f"{elsewhere.url}/stac/../secret.json",
        f"{elsewhere.url}/stac/%2e%2e/secret.json",
        f"http://localhost:{port}/stac/item.json",
        f"http://0x7f.1:{port}/stac/item.json",
        f"http://user@127.0.0.1:{port}/stac/item.json",
        f"{public}@127.0.0.1:{port}/secret.json",
        f"{platform.settings.catalogue.url}/services/catalogue/collections/plots",
        "http://169.254.169.254/latest/meta-data/",
        "file:///etc/passwd",
    ):
        refused = ana.post(stac(url))
        assert (refused.status_code, refused.json()["code"]) == (400, "ProcessArgumentInvalid"), url
    assert elsewhere.asked == []
    assert value(ana, stac(f"{elsewhere.url}/stac/item.json")) == {"B04": truth(0)["B04"][123, 45]}
    assert elsewhere.asked == ["/stac/item.json"] and "authorization" not in elsewhere.headers[-1]


def test_a_listed_server_leads_nowhere_else(ana: Client, platform: Any, elsewhere: Elsewhere) -> None:
    elsewhere.pages["/secret.json"] = own_item(platform.settings, "data/fields/x")
    elsewhere.redirects["/stac/away"] = f"{elsewhere.url}/secret.json"
    elsewhere.pages["/stac/links"] = {"type": "Catalog", "links": [{"rel": "item", "href": "/secret.json"}]}
    elsewhere.asked.clear()
    assert ana.post(stac(f"{elsewhere.url}/stac/away")).json()["code"] == "Unavailable"
    assert ana.post(stac(f"{elsewhere.url}/stac/links")).json()["code"] == "StacInvalid"
    assert elsewhere.asked == ["/stac/away", "/stac/links"]
    elsewhere.pages["/stac/links"] = {"type": "Catalog", "links": [{"rel": "item", "href": "a\x01b"}]}
    assert ana.post(stac(f"{elsewhere.url}/stac/links")).json()["code"] == "StacInvalid"


def test_an_api_is_asked_for_the_period_and_page_by_page(ana: Client, platform: Any, elsewhere: Elsewhere) -> None:
    items = [own_item(platform.settings, "data/fields/x", date=date) for date in range(3)]
    here = f"{elsewhere.url}/stac/collections/a"
    links = {
        rel: [{"rel": rel, "href": href}] for rel, href in (("items", f"{here}/items"), ("next", f"{here}/more?p=2"))
    }
    page = {"type": "FeatureCollection"}
    elsewhere.pages["/stac/collections/a"] = {"type": "Collection", "links": links["items"]}
    elsewhere.pages["/stac/collections/a/items"] = page | {"features": items[:1], "links": links["next"]}
    elsewhere.pages["/stac/collections/a/more"] = page | {"features": items[1:], "links": []}
    elsewhere.asked.clear()
    graph = stac(here, temporal_extent=[DATES[1], None])
    assert value(ana, graph) == {"B04": truth(1)["B04"][123, 45]}
    assert len(elsewhere.asked) == 3 and f"datetime={DATES[1]}" in elsewhere.asked[1]


WRONG: list[tuple[Any, str]] = [
    ("{", "is no JSON"),
    ("[" * 100_000, "is no JSON"),
    ("[]", "is no STAC document"),
    ({"type": "Feature"}, "is no STAC item"),
    ({"type": "Feature", "id": "a", "bbox": [1, 2, 3, 4], "properties": {}, "assets": {}}, "gives no date"),
    ({"type": "FeatureCollection", "features": [1]}, "is no STAC item"),
    ({"type": "Feature", "id": "a", "bbox": [1], "properties": {"datetime": DATES[0]}, "assets": {}}, "1 numbers"),
    ({"type": "Feature", "id": "a", "bbox": 5, "properties": {"datetime": DATES[0]}, "assets": {}}, "gives no date"),
    ({"type": "Feature", "id": "a", "bbox": [1, 2, 3, 4], "properties": {"datetime": DATES[0]},
      "assets": {"x": {"href": "https://example.org/x.tif"}}}, "names no file of 'a' that lies below /eos/"),
    ({"type": "Feature", "id": "a", "bbox": [1, 2, 3, 4], "properties": {"datetime": DATES[0]},
      "assets": {"x": {"href": "../../../../etc/passwd.tif"}}}, "names no file of 'a' that lies below /eos/"),
    ({"type": "Feature", "id": "a", "bbox": [1, 2, 3, 4], "properties": {"datetime": DATES[0]},
      "assets": {"x": {"href": "/eos/data/fields/x.tif", "bands": 5}}}, "gives no date, place or files"),
]  # fmt: skip


@pytest.mark.parametrize(("document", "why"), WRONG, ids=[why for _, why in WRONG])
def test_a_document_that_is_none(ana: Client, platform: Any, document: Any, why: str) -> None:
    path = platform.settings.store.root / "data/fields/wrong.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    refused = ana.post(stac("/eos/data/fields/wrong.json"))
    assert (refused.status_code, refused.json()["code"]) == (400, "StacInvalid"), refused.text
    assert why in refused.json()["message"] and refused.json()["message"].startswith("/eos/data/fields/wrong.json ")


def test_too_many_items_are_refused_with_their_number(ana: Client, platform: Any) -> None:
    own = own_item(platform.settings, "data/fields/x")
    many = {"type": "FeatureCollection", "features": [own | {"id": f"i{n}"} for n in range(501)]}
    path: Path = platform.settings.store.root / "data/fields/many.json"
    path.write_text(json.dumps(many))
    refused = ana.post(stac("/eos/data/fields/many.json"))
    assert refused.json()["code"] == "ProcessGraphComplexity" and "501 items" in refused.json()["message"]
    path.write_text(json.dumps(many | {"features": many["features"][:3]}))
    assert ana.post(stac("/eos/data/fields/many.json")).status_code == 201


def test_documents_are_bounded_also_together(ana: Client, platform: Any) -> None:
    own = json.dumps(own_item(platform.settings, "data/fields/x"))
    folder: Path = platform.settings.store.root / "data/fields/large"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.json").write_text(own.ljust(8_000_000))
    for count, status in ((3, 201), (5, 400)):
        links = [{"rel": "item", "href": f"{number}.json"} for number in range(count)]
        (folder / "catalog.json").write_text(json.dumps({"type": "Catalog", "links": links}))
        answer = ana.post(stac("/eos/data/fields/large"))
        assert answer.status_code == status, answer.text
    assert "more than 32 MB in all" in answer.json()["message"]
    shutil.rmtree(folder)


def test_tiles_equal_those_of_load_collection(ana: Client, platform: Any) -> None:
    own_item(platform.settings, "data/fields/x")
    style = {"format": "PNG", "options": {"min": 0, "max": 10000}}
    images = []
    for graph in (
        stac("/eos/data/fields/x/item.json"),
        first_of("load_collection", id="fields", spatial_extent=None, temporal_extent=[DATES[0], DATES[1]]),
    ):
        graph["flat"].pop("result")
        graph["save"] = node("save_result", True, data=of("flat"), **style)
        images.append(httpx.get(ana.service(graph)["url"].format(z=13, x=4430, y=2890), timeout=60).content)
    assert images[0] == images[1] and np.frombuffer(images[0], np.uint8).size > 1000
