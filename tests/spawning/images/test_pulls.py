"""Images are pulled from a real registry: once for all who want them, with progress, and with a reason where not."""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from bdap_hub.spawning.engines import ImageMissing, Pull
from bdap_hub.spawning.engines.contract import Tell
from bdap_hub.spawning.engines.docker import DockerEngine
from bdap_hub.spawning.engines.layers import Layers
from bdap_hub.spawning.engines.login import CREDENTIALS, Login
from bdap_hub.spawning.images import push as image_push
from bdap_hub.spawning.images.platform import docker_client
from bdap_hub.spawning.images.pulls import Pulls
from bdap_hub.spawning.page.progress import Progress
from tests.conftest import make_settings
from tests.images.registry import ACCOUNT, Registry, running


class Counting(DockerEngine):
    """The real engine, which counts what it is asked to pull."""

    def __init__(self, login: Login) -> None:
        super().__init__("here", login=login)
        self.pulled: list[str] = []

    async def pull(self, reference: str, node: str = "", tell: Tell = lambda pull: None) -> None:
        self.pulled.append(reference)
        await super().pull(reference, node, tell)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def login(tmp_path: Path, registry: Registry) -> Login:
    settings = make_settings(tmp_path, spawning={"registry": f"{registry.host}/bdap"})
    (tmp_path / "secrets" / CREDENTIALS).write_text(":".join(ACCOUNT))
    return Login(settings.spawning.registry, tmp_path / "secrets")


@pytest.fixture
async def engine(login: Login) -> AsyncIterator[Counting]:
    yield Counting(login)


@pytest.fixture
def image(tmp_path: Path, registry: Registry, login: Login) -> Iterator[str]:
    """An image of 60 MB that only the registry has."""
    name = f"pulltest-{secrets.token_hex(4)}"
    (tmp_path / "root").mkdir()
    (tmp_path / "root/bytes").write_bytes(secrets.token_bytes(60_000_000))
    subprocess.run(f"tar -C {tmp_path}/root -c . | {docker_client()} import - {name}", shell=True, check=True)
    settings = make_settings(tmp_path, spawning={"registry": login.registry})
    reference = image_push.push(settings, name, name, lambda line: None)
    remove(name, f"{registry.host}/bdap/{name}")
    yield reference
    remove(f"{registry.host}/bdap/{name}")


def remove(*names: str) -> None:
    for name in names:
        found = subprocess.run([docker_client(), "images", "-q", name], capture_output=True, text=True, check=True)
        for one in set(found.stdout.split()):
            subprocess.run([docker_client(), "rmi", "-f", one], capture_output=True, check=False)


@pytest.mark.docker
async def test_all_who_want_it_wait_for_one_pull(engine: Counting, image: str) -> None:
    assert not await engine.has_image(image)
    pulls, told = Pulls(engine), list[Progress]()
    await asyncio.gather(*(pulls.have(image, "JupyterLab", told.append) for _ in range(3)))
    assert await engine.has_image(image)
    assert engine.pulled == [image]
    assert told and all(one.sentence.startswith("Fetching the image JupyterLab") for one in told)
    await pulls.have(image)  # it is there
    assert engine.pulled == [image]


@pytest.mark.docker
async def test_it_is_pulled_before_somebody_asks(engine: Counting, image: str) -> None:
    pulls = Pulls(engine)
    keeping = asyncio.ensure_future(pulls.keep(lambda: {image, "bdap/lab:latest", "bdap-nowhere/x"}))
    try:
        for _ in range(600):
            if await engine.has_image(image):
                break
            await asyncio.sleep(0.1)
        assert await engine.has_image(image)
        assert engine.pulled == [image]  # what names no registry is not asked for anywhere
    finally:
        keeping.cancel()


@pytest.mark.docker
@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("bdap-nowhere/lab:latest", "names no registry"),
        ("{host}/bdap/nothing-of-that-name:1", "is not on here"),
        ("127.0.0.1:9/bdap/lab:1", "is not on here"),
    ],
    ids=["local", "unknown", "registry-down"],
)
async def test_what_cannot_be_had_is_told(engine: Counting, registry: Registry, reference: str, words: str) -> None:
    with pytest.raises(ImageMissing, match=words):
        await Pulls(engine).have(reference.format(host=registry.host))


@pytest.mark.docker
async def test_without_the_account_nothing_is_pulled(image: str) -> None:
    nobody = Counting(Login())
    with pytest.raises(ImageMissing):
        await Pulls(nobody).have(image)
    assert nobody.pulled == [image]


def test_the_account_is_shown_to_its_registry_alone(login: Login) -> None:
    assert login.of(f"{login.registry}/lab") == {"username": ACCOUNT[0], "password": ACCOUNT[1]}
    host = login.registry.partition("/")[0]
    for other in ("bdap/lab", f"{host}.example.org/lab", "registry.example.org/lab"):
        assert login.of(other) is None


def test_progress_counts_fetching_and_unpacking_and_never_goes_back() -> None:
    def event(layer: str, status: str, current: int = 0, total: int = 0) -> Pull:
        return layers.after(
            {"id": layer, "status": status, "progressDetail": {"current": current, "total": total} if total else {}}
        )

    layers = Layers()
    seen = [
        event("a", "Pulling fs layer"),
        event("a", "Downloading", 50, 100),
        event("b", "Downloading", 0, 300),  # only now it is known how large the whole is
        event("a", "Download complete"),
        event("b", "Download complete"),
        event("a", "Pull complete"),
        event("b", "Extracting", 150, 300),
        event("b", "Pull complete"),
    ]
    shares = [one.done / one.total if one.total else 0.0 for one in seen]
    assert shares == sorted(shares)
    assert [round(share, 2) for share in shares] == [0.0, 0.25, 0.25, 0.25, 0.5, 0.62, 0.81, 1.0]
