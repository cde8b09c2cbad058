"""What no version of a dashboard needs any more goes; what one needs, what is new and what is in use stays."""

from __future__ import annotations

import asyncio
import io
import os
import secrets
import tarfile
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker
import pytest
from sqlalchemy import update

from bdap_hub.dashboards.bundles import housekeeping
from bdap_hub.dashboards.bundles.housekeeping import tidy
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.tables import Dashboard, Release, now
from bdap_hub.database import connect
from bdap_hub.settings import Settings

OLD, NEW, DRAFT = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def records(settings: Settings) -> Records:
    """agriculture/kept: version 1 was live, version 2 is, version 3 is a draft."""
    found = Records(connect(settings.database))
    values = {"title": "Kept", "visibility": "public"}
    made = Dashboard(project="agriculture", slug="kept", owner="ana", version=0, visits=0, status="draft", **values)
    for version, picture in enumerate((OLD, NEW, DRAFT), 1):
        release = Release(
            version=version, bundle="0" * 64, entry="index.ipynb", publisher="ana", thumbnail=picture, **values
        )
        found.add(made, release)
        if version < 3:
            found.make_live(made, version)
            made = found.get("agriculture", "kept")
    return found


def test_a_database_that_knows_nothing_is_no_reason(settings: Settings):
    records, kept = Records(connect(settings.database)), settings.var / "dashboards"
    for name in ("bundles/x", "snapshots/agriculture--x--v1", "pictures/x.png", "git/x"):
        (kept / name).mkdir(parents=True)
        aged(kept / name)
    assert tidy(settings, records) == [] and len(list(kept.glob("*/*"))) == 4
    made = Dashboard(project="agriculture", slug="new", title="New", visibility="public", owner="ana", version=0)
    records.add(made, Release(version=1, bundle="y", entry="index.ipynb", publisher="ana"))
    assert tidy(settings, records) == ["x"]


async def test_the_first_round_waits_too(settings: Settings, records: Records, monkeypatch: pytest.MonkeyPatch):
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(housekeeping, "tidy", lambda *_: loop.call_soon_threadsafe(done.set))
    app: Any = SimpleNamespace(state=SimpleNamespace(settings=settings, records=records))
    async with housekeeping.tidied(app):
        await asyncio.sleep(0.3)
        assert not done.is_set()
    monkeypatch.setattr(housekeeping, "HOUR", 0.01)
    async with housekeeping.tidied(app), asyncio.timeout(20):
        await done.wait()


@pytest.mark.parametrize("how", ["touched", "recorded", "neither"])
def test_what_somebody_comes_to_need_just_then_stays(
    settings: Settings, records: Records, monkeypatch: pytest.MonkeyPatch, how: str
):
    """As by a publication between the first look and the removal."""
    bundle = settings.var / "dashboards/bundles" / DRAFT
    bundle.mkdir(parents=True)
    (bundle / "index.ipynb").write_text("x")
    aged(bundle)
    known, asked = records.bundles(), []

    def bundles() -> set[str]:
        asked.append(how)
        if len(asked) == 1 and how == "touched":
            os.utime(bundle)
        return {*known, DRAFT} if len(asked) > 1 and how == "recorded" else known

    monkeypatch.setattr(records, "bundles", bundles)
    assert tidy(settings, records) == ([DRAFT] if how == "neither" else [])
    assert [path.name for path in bundle.parent.iterdir()] == ([] if how == "neither" else [DRAFT])


def aged(path: Path) -> Path:
    os.utime(path, (0, time.time() - 90_000))
    return path


def test_pictures(settings: Settings, records: Records):
    folder = settings.var / "dashboards/pictures"
    folder.mkdir(parents=True)
    for name in (OLD, NEW, DRAFT, "d" * 64):
        (folder / f"{name}.png").write_bytes(b"x")
        aged(folder / f"{name}.png")
    (folder / f"{'e' * 64}.png").write_bytes(b"x")  # of a version that is being published
    tidy(settings, records)
    assert {path.stem for path in folder.iterdir()} == {OLD, NEW, DRAFT, "e" * 64}


def test_kept_pages(settings: Settings, records: Records):
    folder = settings.var / "dashboards/snapshots"
    names = {"v1": "agriculture--kept--v1", "v2": "agriculture--kept--v2", "gone": "agriculture--gone--v1"}
    for name in names.values():
        (folder / name / "files").mkdir(parents=True)
        for file in ("page.html", "painted.json", "files/x"):
            (folder / name / file).write_text("x")
        aged(folder / name)
    (folder / "agriculture--new--v1").mkdir()  # of a version that is being published

    def there(name: str) -> set[str]:
        return {path.name for path in (folder / names[name]).glob("*")}

    tidy(settings, records)
    whole = {"page.html", "painted.json", "files"}
    assert (there("v1"), there("v2"), there("gone")) == (whole, whole, set())  # somebody has seen version 1 lately
    assert (folder / "agriculture--new--v1").is_dir()
    with records.sessions.begin() as session:
        session.execute(update(Release).values(last_seen=now() - timedelta(days=settings.dashboards.page_days + 1)))
    aged(folder / names["v1"])
    tidy(settings, records)
    assert (there("v1"), there("v2")) == ({"painted.json"}, whole)  # what no start makes anew stays


@pytest.mark.docker
def test_images_with_packages(settings: Settings, records: Records):
    client = docker.from_env()
    folder = settings.var / "builds/packages"
    folder.mkdir(parents=True)
    images: dict[str, str] = {}
    for name in ("needed", "unused", "running", "new"):
        images[name] = _image(client, settings, name, folder)
    heir = _imported(client, settings, "unused")  # labels are inherited: somebody built it from that one
    with records.sessions.begin() as session:
        session.execute(update(Release).where(Release.version == 1).values(image=images["needed"]))
    container = client.containers.create(images["running"], ["/x"], name=f"bdaptest-tidy-{settings.install_id}")
    try:
        tidy(settings, records)
        left = {image.id for image in client.images.list(filters={"label": f"bdap.install={settings.install_id}"})}
        assert left == {heir, *(images[name] for name in ("needed", "running", "new"))}
        assert {path.name for path in folder.iterdir()} == {"needed", "running", "new"}
        container.remove()
        tidy(settings, records)
        assert {path.name for path in folder.iterdir()} == {"needed", "new"}
    finally:
        for one in client.containers.list(all=True, filters={"name": f"bdaptest-tidy-{settings.install_id}"}):
            one.remove(force=True)
        for image in client.images.list(filters={"label": f"bdap.install={settings.install_id}"}):
            client.images.remove(image.id, force=True)


def _image(client: docker.DockerClient, settings: Settings, name: str, folder: Path) -> str:
    """As a build of packages leaves it behind."""
    id_ = _imported(client, settings, name)
    (folder / name).write_text(id_)
    if name != "new":
        aged(folder / name)
    return id_


def _imported(client: docker.DockerClient, settings: Settings, name: str) -> str:
    """A tiny one."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(secrets.token_hex(4)))
    changes = [f"LABEL bdap.install={settings.install_id} bdap.packages={name}"]
    tag = secrets.token_hex(6)
    client.api.import_image_from_data(packed.getvalue(), repository="bdaptest-packages", tag=tag, changes=changes)
    return str(client.images.get(f"bdaptest-packages:{tag}").id)
