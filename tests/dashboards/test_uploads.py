"""Uploads in pieces: they go on where they broke off, are sent once, belong to who sends them, and go after a day."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import httpx
import pytest

from bdap_hub.dashboards.bundles import client as sender
from bdap_hub.dashboards.bundles.housekeeping import tidy
from bdap_hub.dashboards.bundles.uploads import DAY, MOST, Uploads
from bdap_hub.dashboards.bundles.uploads_api import PIECE
from bdap_hub.errors import BadRequest, BdapError, Conflict, NotFound, TooMuch

from .conftest import SLIDER, Platform, notebook, zipped

CONTENT = b"0123456789" * 100
SHA = hashlib.sha256(CONTENT).hexdigest()
LIMIT = 4000


@pytest.fixture
def uploads(tmp_path: Path) -> Uploads:
    return Uploads(tmp_path, LIMIT)


def test_one_goes_on_where_it_broke_off(uploads: Uploads):
    assert uploads.begin("ana", SHA, 1000).offset == 0
    assert uploads.append("ana", SHA, 0, CONTENT[:300]).offset == 300
    assert uploads.begin("ana", SHA, 1000).offset == uploads.state("ana", SHA).offset == 300
    for offset in (0, 299, 301, 1000):
        with pytest.raises(Conflict, match="goes on: 300"):
            uploads.append("ana", SHA, offset, CONTENT[300:])
    with pytest.raises(Conflict, match="300 of 1000 bytes are here"):
        uploads.content("ana", SHA)
    assert uploads.append("ana", SHA, 300, CONTENT[300:]).complete
    assert uploads.content("ana", SHA) == CONTENT
    assert uploads.begin("ana", SHA, 1000).complete  # the same again need not be sent


def test_it_belongs_to_who_sends_it(uploads: Uploads):
    uploads.begin("ana", SHA, 1000)
    uploads.append("ana", SHA, 0, CONTENT)
    assert not uploads.begin("ben", SHA, 1000).complete  # to know its SHA-256 is not to have it
    for act in (uploads.content, uploads.state, uploads.drop):
        with pytest.raises(NotFound):
            act("pia", SHA)
    uploads.drop("ana", SHA)
    with pytest.raises(NotFound):
        uploads.content("ana", SHA)


def test_other_content_than_announced_is_thrown_away(uploads: Uploads):
    uploads.begin("ana", SHA, 1000)
    with pytest.raises(BadRequest, match=r"has the SHA-256 [0-9a-f]{64}, not"):
        uploads.append("ana", SHA, 0, CONTENT[::-1])
    with pytest.raises(NotFound):
        uploads.state("ana", SHA)
    uploads.begin("ana", SHA, 1000)
    with pytest.raises(BadRequest, match="beyond the announced 1000 bytes"):
        uploads.append("ana", SHA, 0, CONTENT + b"x")
    uploads.begin("ana", SHA, 900)  # corrected: the first was wrong
    assert uploads.state("ana", SHA).size == 900


@pytest.mark.parametrize(
    ("sha", "size", "error"),
    [
        ("../../etc/passwd", 10, BadRequest), ("A" * 64, 10, BadRequest), ("", 10, BadRequest),
        (SHA, 0, TooMuch), (SHA, -1, TooMuch), (SHA, LIMIT + 1, TooMuch),
    ],
)  # fmt: skip
def test_what_is_not_announced_well(uploads: Uploads, sha: str, size: int, error: type[BdapError]):
    with pytest.raises(error):
        uploads.begin("ana", sha, size)
    assert uploads.begin("ana", SHA, LIMIT).size == LIMIT


def test_nobody_fills_the_disk(uploads: Uploads):
    for number in range(MOST):
        uploads.begin("ana", f"{number:064x}", LIMIT)
    with pytest.raises(TooMuch, match="4 of your uploads are not whole"):
        uploads.begin("ana", SHA, 1000)
    uploads.begin("ben", SHA, 1000)
    for number in range(MOST):
        uploads.drop("ana", f"{number:064x}")
    for number in range(40):  # whole ones make room for the next
        content = bytes([number]) * 1000
        sha = hashlib.sha256(content).hexdigest()
        uploads.begin("ana", sha, 1000)
        uploads.append("ana", sha, 0, content)
        assert uploads.content("ana", sha) == content
    assert sum(path.stat().st_size for path in uploads.root.glob("*/*")) <= MOST * LIMIT


def test_what_nobody_touched_for_a_day_is_gone(uploads: Uploads):
    uploads.begin("ana", SHA, 1000)
    (part,) = uploads.root.glob("*/*")
    os.utime(part, (0, time.time() - DAY + 600))
    uploads.tidy()
    assert part.exists()
    os.utime(part, (0, time.time() - DAY - 600))
    uploads.tidy()
    assert not part.exists()


def _client(platform: Platform, name: str) -> httpx.Client:
    base = f"{platform.hub.url}/services/dashboards/api/"
    return httpx.Client(base_url=base, headers=platform.hub.bearer(name), timeout=60)


def test_the_client_goes_on_after_lost_connections_and_sends_nothing_twice(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("bdap_hub.dashboards.bundles.uploads_api.PIECE", 100_000)
    monkeypatch.setattr(sender.time, "sleep", lambda _: None)
    content, sent, lost = os.urandom(450_000), [], [2, 4, 5]

    def breaks_off(request: httpx.Request) -> None:
        if request.method == "PATCH":
            sent.append(int(request.headers["Upload-Offset"]))
            if len(sent) in lost:
                raise httpx.ConnectError("the cable was pulled")

    with _client(platform, "ana") as client:
        client.event_hooks["request"].append(breaks_off)
        said: list[str] = []
        sha = sender.upload(client, "agriculture", content, said.append)
        assert sent == [0, 100_000, 100_000, 200_000, 200_000, 200_000, 300_000, 400_000]
        assert said[0] == "uploading: 0 % of 0.4 MiB" and said[-1] == "uploaded: 0.4 MiB"
        sent.clear()
        assert sender.upload(client, "agriculture", content) == sha and sent == []
        assert client.delete(f"uploads/{sha}").status_code == 204
        assert client.get(f"uploads/{sha}").status_code == 404


def test_an_answer_that_was_lost_is_asked_for_again(platform: Platform, monkeypatch: pytest.MonkeyPatch):
    """The piece arrived, only its answer did not: the next try finds it there."""
    monkeypatch.setattr("bdap_hub.dashboards.bundles.uploads_api.PIECE", 1000)
    monkeypatch.setattr(sender.time, "sleep", lambda _: None)
    content, losses = os.urandom(2500), [1]

    def drops(response: httpx.Response) -> None:
        if response.request.method == "PATCH" and losses:
            losses.pop()
            raise httpx.ReadError("the answer was lost")

    with _client(platform, "ana") as client:
        client.event_hooks["response"].append(drops)
        sha = sender.upload(client, "agriculture", content)
        assert client.get(f"uploads/{sha}").json()["complete"]


def test_who_may_not_publish_may_not_upload(platform: Platform):
    announced = {"project": "agriculture", "sha256": SHA, "size": 1000}
    assert httpx.post(f"{platform.hub.url}/services/dashboards/api/uploads", json=announced).status_code == 401
    for name, project, status in (("ben", "agriculture", 403), ("ana", "", 403), ("ana", "agriculture", 201)):
        with _client(platform, name) as client:
            assert client.post("uploads", json={**announced, "project": project}).status_code == status
    with _client(platform, "ana") as client:
        assert client.post("uploads", json={**announced, "size": "many"}).status_code in (400, 422)
        for header in ({}, {"Upload-Offset": "-1"}, {"Upload-Offset": "x"}):
            assert client.patch(f"uploads/{SHA}", content=b"1", headers=header).status_code == 400
        large = client.patch(f"uploads/{SHA}", content=b"1" * (PIECE + 1), headers={"Upload-Offset": "0"})
        assert large.status_code == 413
        assert client.patch("uploads/..%2f..", content=b"1", headers={"Upload-Offset": "0"}).status_code == 404
        client.delete(f"uploads/{SHA}")


def test_what_was_uploaded_is_published_and_checked_like_all_else(platform: Platform):
    with _client(platform, "ana") as client:
        good = sender.upload(client, "agriculture", zipped({"index.ipynb": notebook(SLIDER)}))
        bad = sender.upload(client, "agriculture", zipped({"index.ipynb": notebook("1"), ".env": b"A=1"}))
        form = {"project": "agriculture", "slug": "uploaded", "name": "x.zip"}
        assert client.post("dashboards", data={**form, "upload": "0" * 64}).status_code == 404
        refused = client.post("dashboards", data={**form, "upload": bad})
        assert refused.status_code == 400 and "credentials" in refused.text
        made = client.post("dashboards", data={**form, "upload": good})
        assert made.status_code == 201, made.text
    with _client(platform, "olga") as other:  # another person has not sent it
        assert other.post("dashboards", data={**form, "upload": good}).status_code == 404
    assert tidy(platform.settings, platform.gateway.records) == []
