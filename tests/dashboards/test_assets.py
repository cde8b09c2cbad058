"""What the gateway keeps of a release's files, and how it sends them."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from starlette.requests import Request

from bdap_hub.dashboards.gateway.files import page_file
from bdap_hub.dashboards.records import Live
from bdap_hub.dashboards.snapshots.assets import Assets

SCRIPT = b"const answer = 42;\n" * 200


def ask(path: str, method: str = "GET", **headers: str) -> Request:
    """A request as the gateway gets it."""
    pairs = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return Request({"type": "http", "method": method, "path": path, "headers": pairs, "query_string": b""})


@pytest.mark.parametrize(
    ("request_", "kept"),
    [
        (ask("/voila/static/voila.js"), True),
        (ask("/voila/labextensions/bqplot/static/1.js"), True),
        (ask("/voila/static/voila.js", range="bytes=0-1"), False),
        (ask("/voila/static/voila.js", "HEAD"), False),
        (ask("/"), False),
        (ask("/voila/files/logo.png"), False),
        (ask("/api/kernels/1"), False),
    ],
)
def test_only_the_images_own_files_are_kept(request_: Request, kept: bool):
    assert Assets.wants(request_) is kept


def test_a_kept_file_is_sent_compressed_and_revalidated():
    assets, request = Assets(), ask("/voila/static/voila.js", accept_encoding="gzip, br")
    assert assets.get("p--s--v1", request) is None
    assets.keep("p--s--v1", request, SCRIPT, "text/javascript")
    asset = assets.get("p--s--v1", request)
    answer = asset.answer(request)
    assert answer.headers["content-encoding"] == "gzip" and gzip.decompress(answer.body) == SCRIPT
    assert answer.headers["cache-control"] == "public, max-age=300"
    assert asset.answer(ask("/voila/static/voila.js")).body == SCRIPT
    again = asset.answer(ask("/voila/static/voila.js", if_none_match=answer.headers["etag"]))
    assert (again.status_code, again.body) == (304, b"")
    assert assets.get("p--other--v1", request) is None


@pytest.mark.parametrize(("name", "immutable"), [
    ("496.ad7666673ba278088e95.js", True),
    ("remoteEntry.c8c9eed2cdefdeac.js", True), ("1cb1c39ea642f26a4dfe.woff", True),
    ("voila.js", False), ("1187.voila.js", False), ("index.css", False),
])  # fmt: skip
def test_only_names_with_a_hash_are_immutable(name: str, immutable: bool):
    asset = Assets().keep("r", ask(f"/voila/static/{name}"), SCRIPT, "text/javascript")
    assert asset.immutable is immutable


def test_memory_is_bounded():
    assets = Assets(max_bytes=3 * len(SCRIPT))
    for number in range(10):
        assets.keep("r", ask(f"/voila/static/{number}.bin"), SCRIPT, "application/octet-stream")
    assert assets._bytes <= 3 * len(SCRIPT)
    assert assets.get("r", ask("/voila/static/9.bin")) is not None
    assert assets.get("r", ask("/voila/static/0.bin")) is None


async def test_a_name_given_anew_shows_nothing_of_what_had_it(tmp_path: Path):
    """As where a project is renamed, and another one gets its name."""
    assets, request = Assets(), ask("/")
    texts = {"theirs": "<h1>private</h1>", "ours": "<h1>shown</h1>"}
    for number, (bundle, text) in enumerate(texts.items()):
        (tmp_path / bundle).mkdir()
        (tmp_path / bundle / "index.html").write_text(text)
        live = Live(number, "agriculture", "leaf", "", "public", "ana", 1, bundle, "index.html")
        for _ in range(2):
            assert (await page_file(assets, tmp_path / bundle, live, request)).body.decode() == text
    assert len(assets._kept) == 2  # each was kept
