"""Web services through the standard openEO client, unmodified."""

from __future__ import annotations

from typing import Any

import httpx
import openeo
import pytest
from openeo.rest import OpenEoApiError

from .client import PREFIX, Client, tile
from .graphs import band, ndvi_median


@pytest.fixture(scope="module")
def connection(ana: Client) -> Any:
    """A connection of ana's."""
    found = openeo.connect(ana.hub.settings.hub.public_url + PREFIX)
    return found.authenticate_basic("ana", ana.hub.token("ana"))


def test_the_client_makes_changes_and_removes_services(connection: Any) -> None:
    assert set(connection.list_service_types()) == {"XYZ", "WMTS", "TileJSON"}
    style = {"colormap": "viridis", "min": -1, "max": 1}
    service = connection.create_service(
        ndvi_median(), type="WMTS", title="Through the client", configuration={"style": style, "tile_size": 512}
    )
    said = service.describe_service()
    assert (said["type"], said["title"], said["enabled"]) == ("WMTS", "Through the client", True)
    assert service.service_id in [one["id"] for one in connection.list_services()]
    assert b"WebMercatorQuad512" in httpx.get(said["url"] + "&request=GetCapabilities").content
    address = {"url": said["attributes"]["tiles"]}
    before = tile(address).content
    change = {"configuration": {"style": {**style, "colormap": "magma"}}, "title": "Changed"}
    connection.patch(f"/services/{service.service_id}", json=change, expected_status=204)  # its own method is not there
    assert service.describe_service()["title"] == "Changed" and tile(address).content != before
    assert [entry["message"] for entry in service.logs()] == ["posted as WMTS", "changed"]
    service.delete_service()
    assert tile(address).status_code == 404
    with pytest.raises(OpenEoApiError, match="ServiceNotFound"):
        service.describe_service()


def test_the_client_says_why_a_service_is_refused(connection: Any) -> None:
    with pytest.raises(OpenEoApiError, match=r"ServiceConfigInvalid.*no colormap"):
        connection.create_service(band("B04"), type="XYZ", configuration={"style": {"colormap": "nope"}})
    with pytest.raises(OpenEoApiError, match="ServiceUnsupported"):
        connection.create_service(band("B04"), type="WMS")
