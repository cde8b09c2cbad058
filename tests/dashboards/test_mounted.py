"""A folder of the store that becomes a link after it was checked: no release starts with what that leads to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from bdap_hub.dashboards.releases.means import Means
from bdap_hub.dashboards.running import mounted, runtime_docker
from bdap_hub.dashboards.running.runtime import Launch, make_runtime
from bdap_hub.dashboards.running.runtime_docker import DockerRuntime
from bdap_hub.errors import Unavailable
from bdap_hub.settings import Settings

from .conftest import notebook

TARGET = "/eos/projects/agriculture/t"


@pytest.fixture
def runtime(settings: Settings) -> Iterator[DockerRuntime]:
    settings.dashboards.network = f"bdaptest-mounted-{settings.install_id}"
    found = make_runtime(settings)
    assert isinstance(found, DockerRuntime)
    try:
        yield found
    finally:
        found.stop_all()
        for network in found.client.networks.list(names=[settings.dashboards.network]):
            network.remove()


@pytest.fixture
def launch(settings: Settings, tmp_path: Path) -> Launch:
    """Of a release that reads a folder of its project; another's lies beside it."""
    for name in ("agriculture/t", "forest/t"):
        (settings.store.projects / name).mkdir(parents=True)
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "index.ipynb").write_bytes(notebook("1"))
    means = Means(settings.dashboards.image, "1G", 1.0, ((settings.store.projects / "agriculture/t", TARGET),))
    return Launch("agriculture--mounted--v1", bundle, "index.ipynb", 60_001, means=means)


def swapped(settings: Settings) -> None:
    """As a member might, who waits for the moment."""
    mine = settings.store.projects / "agriculture/t"
    mine.rename(mine.with_name("aside"))
    mine.symlink_to(settings.store.projects / "forest/t")


def back(settings: Settings) -> None:
    """So that nobody would see it."""
    mine = settings.store.projects / "agriculture/t"
    mine.unlink()
    mine.with_name("aside").rename(mine)


def test_no_link_is_followed(tmp_path: Path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/link").symlink_to("b")
    (tmp_path / "way").symlink_to("a")
    there = (tmp_path / "a/b").stat()
    assert mounted.checked(tmp_path / "a/b") == mounted.Place(there.st_dev, there.st_ino)
    for path in ("a/link", "way/b", "a/none"):
        assert mounted.checked(tmp_path / path) is None, path


@pytest.mark.docker
@pytest.mark.parametrize("whole", [False, True])
def test_what_was_swapped_is_not_shown(
    runtime: DockerRuntime, launch: Launch, monkeypatch: pytest.MonkeyPatch, whole: bool
):
    swapped(runtime.settings)
    if whole:  # it lies there again as soon as it is mounted
        pause = docker.models.containers.Container.pause
        monkeypatch.setattr(
            docker.models.containers.Container, "pause", lambda one: (pause(one), back(runtime.settings))
        )
    with pytest.raises(Unavailable, match="was changed while it was mounted"):
        runtime.start(launch)
    assert runtime.running() == {} and runtime.address(launch.name) is None


@pytest.mark.docker
def test_what_was_not_is_mounted_also_where_another_has_to_look(
    runtime: DockerRuntime, launch: Launch, monkeypatch: pytest.MonkeyPatch
):
    runtime.start(launch)
    assert runtime.address(launch.name) and runtime._find(launch.name).status == "running"
    runtime.stop(launch.name)
    asked = []

    def helper(*given: object) -> object:
        asked.append(mounted.helped(*given))  # type: ignore[arg-type]
        return asked[-1]

    monkeypatch.setattr(runtime_docker, "inside", helper)  # as a service that is not root gets it
    runtime.start(launch)
    place = (runtime.settings.store.projects / "agriculture/t").stat()
    assert asked == [[mounted.Place(place.st_dev, place.st_ino)]] and runtime.address(launch.name)
    labels = [f"bdap.hub={runtime.settings.install_id}", "bdap.kind=look"]
    assert not runtime.client.containers.list(all=True, filters={"label": labels})
    runtime.stop(launch.name)
    swapped(runtime.settings)
    with pytest.raises(Unavailable, match="was changed"):
        runtime.start(launch)
