"""What load_stac and load_result may name: each spelling of somewhere else is refused, beside one that is not."""

from __future__ import annotations

import pytest

from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.service.address import Address, address_of, allowed

HERE = "https://hub.example.org"
LISTED = ("https://stac.example.org/api",)
CATALOGUE = f"{HERE}/services/catalogue/collections"

READ: list[tuple[str, Address]] = [
    (f"{CATALOGUE}/s2", Address("collection", "s2")),
    (f"{CATALOGUE}/s2/", Address("collection", "s2")),
    ("https://hub.example.org:443/services/catalogue/collections/s2", Address("collection", "s2")),
    (f"{HERE}/services/processing/collections/s2", Address("collection", "s2")),
    (f"{CATALOGUE}/s2/items/S2A_33TWM.1", Address("item", "s2", "S2A_33TWM.1")),
    (f"{HERE}/services/processing/jobs/1a-2b/results", Address("job", "1a-2b")),
    ("/eos/data/x/item.json", Address("path", "/eos/data/x/item.json")),
    ("file:///eos/projects/forest/c.json", Address("path", "/eos/projects/forest/c.json")),
    ("https://stac.example.org/api", Address("elsewhere", "https://stac.example.org/api")),
    (
        "https://stac.example.org/api/collections/a?b=c",
        Address("elsewhere", "https://stac.example.org/api/collections/a?b=c"),
    ),
]
REFUSED = [
    "",
    "s2",
    "/etc/passwd",
    "file:///etc/passwd",
    "/eosdata/x.json",
    "http://hub.example.org/services/catalogue/collections/s2",  # another scheme
    "https://hub.example.org:8443/services/catalogue/collections/s2",
    "https://hub.example.org.evil.org/services/catalogue/collections/s2",
    "https://hub.example.org@evil.org/services/catalogue/collections/s2",
    "https://evil.org#@hub.example.org/services/catalogue/collections/s2",
    "https://evil.org\\@hub.example.org/services/catalogue/collections/s2",
    "//evil.org/x",
    "https:///services/catalogue/collections/s2",
    "https://hub.example.org:0/services/catalogue/collections/s2",
    "https://hub.example.org:x/services/catalogue/collections/s2",
    f"{HERE}/hub/api/users",
    f"{HERE}/services/admin/",
    f"{CATALOGUE}/s2?next=https://evil.org",
    f"{CATALOGUE}/s2#x",
    f"{CATALOGUE}/../../../hub/api/users",
    f"{CATALOGUE}/%2e%2e%2f%2e%2e%2fhub",
    f"{CATALOGUE}/s2/items/a%2fb",
    f"{CATALOGUE}/s2%00",
    f"{CATALOGUE}/s2\r\nHost: evil.org",
    "http://127.0.0.1:8022/services/catalogue/collections/s2",
    "http://169.254.169.254/latest/meta-data/",
    "http://[::1]/",
    "http://0x7f000001/",
    "gopher://stac.example.org/api",
    "https://stac.example.org/apiary",
    "https://stac.example.org/api/../secret",
    "https://stac.example.org/api/%2e%2e/secret",
    "https://stac.example.org/",
    "https://user:word@stac.example.org/api",
    "https://stac.example.org:8443/api",
    f"{CATALOGUE}/" + "a" * 300,
    "https://stac.example.org/api/" + "a" * 3000,
]


@pytest.mark.parametrize(("text", "address"), READ)
def test_what_is_read(text: str, address: Address) -> None:
    assert address_of(text, HERE, "/eos", LISTED) == address


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused(text: str) -> None:
    with pytest.raises(GraphError) as error:
        address_of(text, HERE, "/eos", LISTED)
    assert error.value.code == "ProcessArgumentInvalid" and len(error.value.message) < 200


def test_a_job_is_named_by_its_id_only_where_results_are_loaded() -> None:
    assert address_of("1a-2b", HERE, "/eos", (), jobs=True) == Address("job", "1a-2b")
    with pytest.raises(GraphError):
        address_of("1a-2b", HERE, "/eos", ())


def test_without_a_list_nothing_elsewhere_is_allowed() -> None:
    assert allowed("https://stac.example.org/api/x", LISTED)
    assert not allowed("https://stac.example.org/api/x", ())
    assert not allowed("https://stac.example.org/other", LISTED)
