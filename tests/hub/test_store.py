"""The store dies, hangs and comes back under running servers. XRootD's FUSE mount stands in for EOS."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import rasterio
from websockets.sync.client import connect

from bdap_hub import audit, database
from tests import xrootd

from .conftest import Platform, with_docker
from .test_servers import Server

pytestmark = pytest.mark.docker

LAB = {"project": "agriculture", "image": "lab"}
# The lab's image has no GDAL: Pillow reads the raster, NumPy sums it.
READ = """
import numpy, PIL.Image
print(int(numpy.asarray(PIL.Image.open("/eos/data/elevation/dem.tif")).sum()))
"""


@pytest.fixture(scope="module")
def store() -> Iterator[xrootd.Store]:
    found = xrootd.new()
    try:
        yield found
    finally:
        found.stop()


@pytest.fixture(scope="module")
def total(store: xrootd.Store) -> str:
    """A GeoTIFF is in the store: the sum of its pixels."""
    pixels = np.random.default_rng(7).integers(0, 3000, (512, 512), dtype="uint16")
    for name in ("elevation", "plots"):
        (store.served / "data" / name).mkdir()
    for name in ("agriculture", "forest"):
        (store.served / "projects" / name).mkdir()
    (store.served / "data" / "plots" / "secret.txt").write_text("the forest's")
    profile = {"driver": "GTiff", "width": 512, "height": 512, "count": 1, "dtype": "uint16", "crs": "EPSG:3035"}
    where = rasterio.transform.from_origin(4_000_000, 3_000_000, 10, 10)
    with rasterio.open(store.served / "data/elevation/dem.tif", "w", transform=where, **profile) as raster:
        raster.write(pixels, 1)
    store.open_to_all()
    return str(int(pixels.sum()))


@pytest.fixture(scope="module")
def platform(store: xrootd.Store, total: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A hub of its own beside this store. The collection `plots` is the forest's alone."""
    folder = tmp_path_factory.mktemp("stored")
    record = folder / "var" / "catalogue" / "plots" / "collection.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"bdap:visibility": "project", "bdap:project": "forest"}))
    section = {"root": str(store.mount), "file_system": "fuse", "look_seconds": 0.5, "patience": 8.0}
    with with_docker(folder, {**section, "remount": [str(store.remount)]}, warm={"most": 0}) as found:
        yield found


@pytest.fixture(scope="module")
def ana(platform: Platform) -> Server:
    platform.start("ana", LAB)
    return Server(platform, "ana")


class Kernel:
    """A kernel of a person's server, as their notebook has it."""

    def __init__(self, platform: Platform, name: str) -> None:
        self.headers = {"Authorization": f"token {platform.token_of(name)}"}
        self.url = f"{platform.url}/user/{name}/api/kernels"
        answer = httpx.post(self.url, headers=self.headers, timeout=60)
        answer.raise_for_status()
        self.id = answer.json()["id"]

    def run(self, code: str) -> str:
        """What a cell prints; the error's name where it raises."""
        address = f"{self.url}/{self.id}/channels".replace("http", "ws", 1)
        header = {
            "msg_id": uuid.uuid4().hex,
            "msg_type": "execute_request",
            "session": "s",
            "username": "",
            "version": "5",
        }
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False, "stop_on_error": True}
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
        said = ""
        with connect(address, additional_headers=self.headers, open_timeout=30) as socket:
            socket.send(json.dumps(message))
            while True:
                found = json.loads(socket.recv(60))
                if found["parent_header"].get("msg_id") != header["msg_id"]:
                    continue
                said += found["content"].get("text", "") if found["msg_type"] == "stream" else ""
                said += found["content"]["ename"] if found["msg_type"] == "error" else ""
                if found["msg_type"] == "status" and found["content"]["execution_state"] == "idle":
                    return said.strip()


def notice(platform: Platform, name: str) -> str:
    """The banner on somebody's home page; '' for none."""
    with platform.browser(name) as client:
        return client.get(f"{platform.url}/hub/home").text.partition('id="store-notice"')[2].partition("</p>")[0]


def events(platform: Platform) -> list[str]:
    found = audit.latest(database.connect(platform.settings.database), 50)
    return [event.action for event in reversed(found) if event.action.startswith("store-")]


def test_a_raster_is_read_before_and_after_without_a_new_start(
    platform: Platform, store: xrootd.Store, ana: Server, total: str
) -> None:
    kernel, begun = Kernel(platform, "ana"), ana.attrs["State"]["StartedAt"]
    assert kernel.run(READ) == total
    assert notice(platform, "ana") == "" and events(platform) == []
    store.die()
    platform.wait(lambda: notice(platform, "ana"), 20, "the notice that the store is lost")
    assert kernel.run(READ) == "OSError"
    assert events(platform) == ["store-lost"] and "does not answer since" in notice(platform, "ana")
    store.allow_back(True)
    platform.wait(lambda: not notice(platform, "ana"), 30, "the store to be back")
    platform.wait(lambda: kernel.run(READ) == total, 20, "the raster to be read again in the same kernel")
    ana.container.reload()
    assert ana.container.attrs["State"]["StartedAt"] == begun
    assert events(platform) == ["store-lost", "store-back"]


def test_the_walls_stand_after_the_healing(platform: Platform, ana: Server, store: xrootd.Store) -> None:
    assert ana.sh("ls /eos/projects; ls /eos/data; ls -A /eos/data/plots") == (0, "agriculture\nelevation\nplots")
    code, said = ana.sh("touch /eos/data/elevation/x")
    assert code and "Read-only file system" in said
    assert ana.sh("echo mine > /eos/projects/agriculture/note")[0] == 0  # the control: it is the mount
    note = store.served / "projects/agriculture/note"
    platform.wait(lambda: note.read_text() == "mine\n", 10, "the client to write what was closed")
    assert ana.sh("cat /eos/data/plots/secret.txt")[0] != 0
    assert (store.mount / "data/plots/secret.txt").read_text() == "the forest's"
    assert ana.sh("grep -c ' /eos/data ' /proc/self/mountinfo") == (0, "1")
    assert ana.sh("ls /eos/projects/agriculture/../forest /eos/projects/forest")[0] != 0


def test_a_server_started_meanwhile_gets_the_store_later(platform: Platform, store: xrootd.Store, total: str) -> None:
    store.die()
    platform.wait(lambda: notice(platform, "ben"), 20, "the notice that the store is lost")
    store.unmount()
    platform.start("ben", {"project": "forest", "image": "lab"})
    platform.api("POST", "/users/ada")
    platform.api("POST", "/groups/project-agriculture/users", json={"users": ["ada"]}).raise_for_status()
    platform.start("ada", LAB)
    ben, ada = Server(platform, "ben"), Server(platform, "ada")
    try:
        assert ben.sh("ls /eos/data /eos/projects/forest")[1].count("THE-STORE-IS-AWAY.txt") == 2
        assert ben.sh("touch /eos/projects/forest/x")[0] != 0
        assert list(store.mount.iterdir()) == []  # nothing is made where the store should be
        store.allow_back(True)
        platform.wait(lambda: ben.sh("ls /eos/data")[1] == "elevation\nplots", 30, "the store to come")
        assert ben.sh("cat /eos/data/plots/secret.txt; ls /eos/projects") == (0, "the forest'sforest")
        assert ben.sh("touch /eos/projects/forest/x && touch /eos/data/x")[1].endswith("Read-only file system")
        assert (store.served / "projects/forest/x").exists()
        platform.wait(lambda: "elevation" in ada.sh("ls /eos/data")[1], 30, "the store to come to ada")
        assert ada.sh("ls -A /eos/data/plots") == (0, ""), "what is hidden from her came covered"
    finally:
        for name in ("ada", "ben"):
            platform.stop(name)


def test_a_store_that_hangs_holds_up_nobody(platform: Platform, store: xrootd.Store, ana: Server, total: str) -> None:
    where = ana.sh("grep ' /eos/data ' /proc/self/mountinfo")
    store.hang(True)
    try:
        platform.wait(lambda: notice(platform, "ana"), 20, "the notice that the store is lost")
        platform.start("olga", LAB)
        for _ in range(20):
            begun = time.monotonic()
            assert httpx.get(f"{platform.url}/hub/health", timeout=5).status_code == 200
            assert time.monotonic() - begun < 4
            time.sleep(0.2)
    finally:
        store.hang(False)
    platform.wait(lambda: not notice(platform, "ana"), 30, "the store to answer")
    olga = Server(platform, "olga")
    platform.wait(lambda: "elevation" in olga.sh("ls /eos/data")[1], 20, "the store to come to olga")
    assert olga.sh("cat /eos/data/plots/secret.txt") == (0, "the forest's")  # the control: she is of the forest, too
    platform.stop("olga")
    assert ana.sh("grep ' /eos/data ' /proc/self/mountinfo") == where  # what lives is left alone
    assert Kernel(platform, "ana").run(READ) == total


def test_a_restarted_hub_heals_too(platform: Platform, store: xrootd.Store, ana: Server, total: str) -> None:
    kernel = Kernel(platform, "ana")
    platform.kill_hub()
    store.die()
    store.allow_back(True)
    assert store.come_back()
    assert kernel.run(READ) == "OSError"
    platform.start_hub()
    platform.wait(lambda: kernel.run(READ) == total, 30, "the new hub to heal the server")


def log_in(page: Any, platform: Platform) -> None:
    page.goto(f"{platform.url}/hub/login")
    page.fill("[name=username]", "ana")
    page.fill("[name=password]", "test")
    page.click("[type=submit]")


def test_the_pages_say_so(platform: Platform, store: xrootd.Store, chromium: Any, artifacts: Path) -> None:
    store.die()
    platform.wait(lambda: notice(platform, "ana"), 20, "the notice that the store is lost")
    for width in (1280, 390):
        with chromium.new_context(viewport={"width": width, "height": 800}) as context:
            page = context.new_page()
            log_in(page, platform)
            page.goto(f"{platform.url}/hub/home")
            assert "does not answer" in page.get_by_role("alert").inner_text()
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            page.screenshot(path=artifacts / f"store-lost-{width}.png", full_page=True)
    store.allow_back(True)
    platform.wait(lambda: not notice(platform, "ana"), 30, "the store to be back")


def test_an_open_jupyterlab_says_so(platform: Platform, store: xrootd.Store, ana: Server, chromium: Any) -> None:
    with chromium.new_context(viewport={"width": 1280, "height": 800}) as context:
        page = context.new_page()
        log_in(page, platform)
        page.goto(f"{platform.url}/user/ana/lab")
        page.get_by_role("menuitem", name="File").wait_for(timeout=60_000)
        notices = page.get_by_role("alert")
        assert platform.at_server("ana", "GET", "bdap/store").json() == {"mount": "/eos", "away": False}
        store.die()
        notices.filter(has_text="does not answer").wait_for(timeout=60_000)
        assert notices.get_by_role("button", name="Home page").is_visible()
        store.allow_back(True)
        notices.filter(has_text="is back").wait_for(timeout=60_000)
        assert not notices.filter(has_text="does not answer").is_visible()
    platform.wait(lambda: not notice(platform, "ana"), 30, "the store to be back")
