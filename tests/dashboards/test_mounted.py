"""A folder of the store that becomes a link after it was checked: no release starts with what that leads to."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import docker
import pytest
from requests.exceptions import ReadTimeout

from bdap_hub.dashboards.releases.means import Means
from bdap_hub.dashboards.running import mounted, runtime_docker
from bdap_hub.dashboards.running.runtime import Launch, make_runtime
from bdap_hub.dashboards.running.runtime_docker import DockerRuntime
from bdap_hub.errors import BadRequest, Unavailable
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


@pytest.mark.docker
@pytest.mark.parametrize("step", ["start", "pause"])
def test_what_a_start_left_behind_is_not_taken_for_a_release(
    runtime: DockerRuntime, launch: Launch, monkeypatch: pytest.MonkeyPatch, step: str
):
    one, left = docker.models.containers.Container, f"{launch.name}{runtime_docker.UNCHECKED}"
    with monkeypatch.context() as silent:
        silent.setattr(one, step, _does_not_answer)
        with pytest.raises(Unavailable):
            runtime.start(launch)
        assert runtime._find(left) is None
        silent.setattr(one, "remove", _does_not_answer)
        with pytest.raises(Unavailable):
            runtime.start(launch)
    assert runtime._find(left).status == ("created" if step == "start" else "running")
    assert runtime.address(launch.name) is None and runtime.logs(launch.name) == ""
    monkeypatch.setattr(runtime_docker, "SECONDS", 0.0)  # it was made long ago
    runtime.start(launch)
    assert runtime.address(launch.name) and runtime._find(left) is None


def _does_not_answer(*_: object, **__: object) -> None:
    raise ReadTimeout


@pytest.mark.docker
def test_a_start_of_another_process_is_waited_for(
    runtime: DockerRuntime, launch: Launch, monkeypatch: pytest.MonkeyPatch
):
    spec = runtime_docker.container_spec(runtime.settings, launch, runtime.host_address())
    others = runtime.client.containers.create(**{**spec, "name": spec["name"] + runtime_docker.UNCHECKED})
    with ThreadPoolExecutor() as pool:
        started = pool.submit(runtime.start, launch)
        with pytest.raises(TimeoutError):
            started.result(0.5)
        others.rename(spec["name"])
        started.result(20)
    assert runtime._find(launch.name).id == others.id
    others.rename(spec["name"] + runtime_docker.UNCHECKED)
    monkeypatch.setattr(runtime_docker, "time", SimpleNamespace(sleep=lambda _: others.remove(), monotonic=lambda: 0.0))
    with pytest.raises(Unavailable, match="another process could not start"):
        runtime._other_start(launch.name)


@pytest.mark.docker
def test_what_one_that_ended_before_the_look_wrote_is_shown_to_nobody(
    runtime: DockerRuntime, launch: Launch, monkeypatch: pytest.MonkeyPatch
):
    start = docker.models.containers.Container.start
    monkeypatch.setattr(docker.models.containers.Container, "start", lambda one: (start(one), one.kill()))
    with pytest.raises(BadRequest, match="ended as soon as it was started"):
        runtime.start(launch)
    assert runtime._list(all=True) == []
    assert launch.means
    runtime.start(replace(launch, means=replace(launch.means, mounts=())))
    assert runtime._find(launch.name).status == "exited"  # without data there is nothing to look at: its log is kept


@pytest.mark.docker
def test_one_container_that_cannot_be_removed_is_no_silence(
    runtime: DockerRuntime, launch: Launch, monkeypatch: pytest.MonkeyPatch
):
    runtime.start(launch)
    with monkeypatch.context() as stuck:
        stuck.setattr(docker.models.containers.Container, "remove", _does_not_answer)
        with pytest.raises(Unavailable):
            runtime.stop(launch.name)
    assert list(runtime.running()) == [launch.name]
    with monkeypatch.context() as silent:
        silent.setattr(runtime, "_list", _does_not_answer)
        with pytest.raises(Unavailable):
            runtime.running()
    with pytest.raises(Unavailable, match="does not answer"):  # that was a quick question
        runtime.running()
    runtime.silence._until = 0.0
