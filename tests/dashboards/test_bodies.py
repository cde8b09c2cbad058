"""What the API is sent as JSON is short: it is read before anybody knows who sends it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from bdap_hub.dashboards.bundles.uploads_api import PIECE
from bdap_hub.web import MOST_BYTES

from .conftest import Platform

HERE = "dashboards/agriculture/nowhere"
ROUTES = [
    ("POST", f"{HERE}/versions/1/reject", {"comment": "x"}),
    ("POST", f"{HERE}/versions/1/approve", {"comment": "x"}),
    ("PUT", f"{HERE}/grants/person/ben", {"role": "viewer"}),
    ("POST", f"{HERE}/links", {"note": "x"}),
    ("PUT", f"{HERE}/embed", {"origins": []}),
    ("PUT", f"{HERE}/git", {"url": "https://git.example.org/x"}),
    ("POST", "uploads", {"project": "agriculture", "sha256": "x", "size": 1}),
]


def _body(said: dict[str, Any], size: int) -> bytes:
    return json.dumps(said).encode().ljust(size)


@pytest.fixture
def ana(platform: Platform) -> Iterator[httpx.Client]:
    headers = {**platform.hub.bearer("ana"), "Content-Type": "application/json"}
    base = f"{platform.settings.dashboards.url}/services/dashboards/api/"
    with httpx.Client(base_url=base, headers=headers, timeout=60, trust_env=False) as client:
        yield client


@pytest.mark.parametrize(("method", "path", "said"), ROUTES)
@pytest.mark.parametrize("tells_its_length", [True, False])
def test_json_is_short(ana: httpx.Client, method: str, path: str, said: dict[str, Any], tells_its_length: bool):
    def sent(size: int) -> httpx.Response:
        body = _body(said, size)
        return ana.request(method, path, content=body if tells_its_length else iter([body[:9000], body[9000:]]))

    long = sent(MOST_BYTES + 1)
    assert long.status_code == 413 and long.json()["code"] == "TooLarge" and long.json()["remedy"]
    short = sent(MOST_BYTES)  # the control: it is read, and answered
    assert short.status_code == (400 if path == "uploads" else 404), short.text


def test_pieces_of_uploads_and_events_have_limits_of_their_own(ana: httpx.Client):
    def piece(size: int) -> httpx.Response:
        return ana.patch(f"uploads/{'0' * 64}", content=b"1" * size, headers={"Upload-Offset": "0"})

    assert piece(PIECE).status_code == 404 and piece(PIECE + 1).status_code == 413
    event = ana.post("hooks/nothing", content=_body({"ref": "main"}, 2 * MOST_BYTES))
    assert event.status_code == 403, event.text
