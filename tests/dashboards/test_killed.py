"""The service is killed in the middle of a publication: what was live stays, and nothing is left half done."""

from __future__ import annotations

import functools
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bdap_hub.dashboards.bundles.bundle import Bundle, read_bundle
from bdap_hub.dashboards.bundles.housekeeping import tidy
from bdap_hub.dashboards.bundles.uploads import Uploads
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.releases.publish import Publisher, Wish
from bdap_hub.dashboards.running import keeper
from bdap_hub.dashboards.running.runtime import make_runtime
from bdap_hub.database import connect
from bdap_hub.errors import Conflict
from bdap_hub.settings import Settings
from bdap_hub.web import HubLogin

from .conftest import notebook

WISH = Wish("agriculture", "killed", "Killed", "", "public")
PROGRAM = """
import os, signal, sys
from pathlib import Path
from bdap_hub import settings
from bdap_hub.dashboards import records
from bdap_hub.dashboards.bundles import bundle
from bdap_hub.dashboards.releases import publish, tryout
from bdap_hub.dashboards.running.runtime import make_runtime
from bdap_hub.database import connect
from bdap_hub.web import HubLogin

def dies(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

module, name = sys.argv[1].split(".", 1)
target = {"bundle": bundle, "publish": publish, "tryout": tryout, "records": records}[module]
*path, last = name.split(".")
for part in path:
    target = getattr(target, part)
setattr(target, last, dies)
tree = settings.load()
kept = records.Records(connect(tree.database))
publisher = publish.Publisher(tree, kept, make_runtime(tree), HubLogin(tree, "dashboards"))
given = bundle.read_bundle("index.ipynb", Path(sys.argv[2]).read_bytes(), 2**20)
wish = publish.Wish("agriculture", "killed", "Killed", "", "public")
publisher.publish(wish, given, "ana", kept.find("agriculture", "killed"))
"""
UPLOAD = """
import os, signal, sys
from pathlib import Path
from bdap_hub.dashboards.bundles.uploads import Uploads

def dies(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

setattr({"os": os, "Uploads": Uploads}[sys.argv[1]], sys.argv[2], dies)
uploads, content, sha = Uploads(Path(sys.argv[3]), 2**20), Path(sys.argv[4]).read_bytes(), sys.argv[5]
here = uploads.begin("ana", sha, len(content)).offset
uploads.append("ana", sha, here, content[here : here + int(sys.argv[6])])
"""
STEPS = {
    "while the bundle is written": "bundle._move_into_place",
    "after the bundle was written": "publish.Publisher._launch",
    "while the release starts": "tryout._wait",
    "after it was tried out": "records.Records.add",
    "before it goes live": "records.Records.make_live",
}


@pytest.fixture
def publisher(settings: Settings) -> Iterator[Publisher]:
    """On local processes, with one version live."""
    settings.spawning.engine = "process"
    records = Records(connect(settings.database))
    found = Publisher(settings, records, make_runtime(settings), HubLogin(settings, "dashboards"))
    try:
        found.publish(WISH, _bundle("first"), "ana")
        yield found
    finally:
        found.runtime.stop_all()


@functools.cache
def _bundle(text: str) -> Bundle:
    return read_bundle("index.ipynb", notebook("1", text=text), 2**20)


def _killed(settings: Settings, tmp_path: Path, step: str, text: str) -> None:
    (tmp_path / "bdap.yaml").write_text(yaml.safe_dump(settings.model_dump(mode="json")))
    (tmp_path / "index.ipynb").write_bytes(_bundle(text).files["index.ipynb"])
    environment = {**os.environ, "BDAP_CONFIG": str(tmp_path / "bdap.yaml")}
    command = [sys.executable, "-c", PROGRAM, step, str(tmp_path / "index.ipynb")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert ended.returncode == -signal.SIGKILL, ended.stderr


def _versions(records: Records) -> list[int]:
    return [release.version for release in records.releases(records.get("agriculture", "killed"))]


def test_at_every_step(publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    settings, records = publisher.settings, publisher.records
    monkeypatch.setattr(keeper, "PUBLISH_SECONDS", 0.0)  # as long as a publication may take, and it is over
    watch = keeper.Keeper(settings, records, publisher.login)
    for number, (when, step) in enumerate(STEPS.items()):
        _killed(settings, tmp_path, step, f"text {number}")
        live = records.live("agriculture", "killed")
        assert (live.version, live.bundle) == (1, _bundle("first").sha256), when
        for folder in publisher.bundles.glob("[0-9a-f]*"):  # each is whole
            files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.ipynb")}
            assert Bundle(files, "index.ipynb").sha256 == folder.name, when
        watch.clean_up()
        kept = {live.release, *(f"agriculture--killed--v{n}" for n in _versions(records))}
        assert live.release in publisher.runtime.running().keys() <= kept, when  # others ended
    assert len(list(publisher.bundles.iterdir())) == 1 + len(STEPS)  # one of them half-written
    assert tidy(settings, records) == []  # they may be in use: a day has to pass
    for path in publisher.bundles.iterdir():
        os.utime(path, (0, time.time() - 90_000))
    draft = {release.bundle for release in records.releases(records.get("agriculture", "killed"))}
    assert len(tidy(settings, records)) == 1 + len(STEPS) - len(draft)
    assert {path.name for path in publisher.bundles.iterdir()} == draft
    again = publisher.publish(WISH, _bundle("text 0"), "ana", records.find("agriculture", "killed"))
    live = records.live("agriculture", "killed")
    assert (live.version, live.bundle) == (again.version, _bundle("text 0").sha256)


@pytest.mark.parametrize(("step", "piece"), [("os.fsync", 300), ("os.fsync", 1000), ("Uploads._finish", 1000)])
def test_while_a_piece_of_an_upload_is_kept(tmp_path: Path, step: str, piece: int):
    content = os.urandom(1000)
    (tmp_path / "content").write_bytes(content)
    sha = hashlib.sha256(content).hexdigest()
    told = [*step.split("."), str(tmp_path / "uploads"), str(tmp_path / "content"), sha, str(piece)]
    ended = subprocess.run([sys.executable, "-c", UPLOAD, *told], capture_output=True, text=True, timeout=60)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    uploads = Uploads(tmp_path / "uploads", 2**20)
    state = uploads.begin("ana", sha, 1000)
    assert (state.offset, state.complete) == (piece, piece == 1000)
    if not state.complete:
        with pytest.raises(Conflict, match="300 of 1000 bytes are here"):
            uploads.content("ana", sha)
        uploads.append("ana", sha, piece, content[piece:])
    assert uploads.content("ana", sha) == content
