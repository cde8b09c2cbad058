"""An image goes to a private registry with a login, and is known by its digest from then on."""

from __future__ import annotations

import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bdap_hub.errors import BadRequest, BadSettings, NotAllowed, Unavailable
from bdap_hub.settings import Settings
from bdap_hub.spawning.images import platform as images
from bdap_hub.spawning.images import push as image_push
from tests.conftest import make_settings
from tests.images.registry import ACCOUNT, Registry, running

IMAGE = "bdap/debian:trixie"


def docker(*arguments: str) -> str:
    done = subprocess.run([images.docker_client(), *arguments], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    images.build(["base"])
    with running(tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def name(registry: Registry) -> Iterator[str]:
    made = f"bdaptest-push-{uuid.uuid4().hex[:8]}"
    yield made
    for known in docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"{registry.host}/bdap/{made}").split():
        docker("image", "rm", known)


def settings_of(folder: Path, host: str, credentials: str | None) -> Settings:
    settings = make_settings(folder, spawning={"registry": f"{host}/bdap"})
    if credentials is not None:
        (folder / "secrets/registry-credentials").write_text(credentials)
    return settings


@pytest.mark.docker
def test_pushed_by_digest_and_nothing_secret_said(
    tmp_path: Path, registry: Registry, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(tmp_path, registry.host, ":".join(ACCOUNT))
    commands: list[str] = []
    sys.addaudithook(lambda event, given: commands.append(repr(given)) if event == "subprocess.Popen" else None)
    said: list[str] = []
    reference = image_push.push(settings, IMAGE, name, said.append)
    assert reference.startswith(f"{registry.host}/bdap/{name}@sha256:")
    assert registry.manifest(reference).status_code == 200
    assert image_push.push(settings, IMAGE, name, said.append) == reference
    pushes = [command for command in commands if "'push'" in command]
    assert pushes, "the audit hook has seen no push"
    for text in (*said, *pushes, capfd.readouterr().err):
        assert ACCOUNT[1] not in text


@pytest.mark.docker
@pytest.mark.parametrize("credentials", [None, "bdap:wrong"])
def test_without_the_right_password(tmp_path: Path, registry: Registry, name: str, credentials: str | None) -> None:
    with pytest.raises(NotAllowed, match="the registry lets nobody push") as refused:
        image_push.push(settings_of(tmp_path, registry.host, credentials), IMAGE, name, lambda line: None)
    assert "registry-credentials" in refused.value.remedy
    assert "wrong" not in refused.value.message


@pytest.mark.docker
def test_what_stands_in_the_way_is_named(tmp_path: Path, registry: Registry, name: str) -> None:
    with pytest.raises(BadSettings, match="there is no registry"):
        image_push.push(make_settings(tmp_path / "none"), IMAGE, name)
    with pytest.raises(BadSettings, match="no user:password"):
        image_push.push(settings_of(tmp_path / "odd", registry.host, "word"), IMAGE, name, lambda line: None)
    with pytest.raises(BadRequest, match="the engine has no image 'bdaptest-nowhere'"):
        image_push.push(settings_of(tmp_path / "what", registry.host, None), "bdaptest-nowhere", name)
    with pytest.raises(Unavailable, match="was not pushed"):
        image_push.push(settings_of(tmp_path / "down", "127.0.0.1:9", None), IMAGE, name, lambda line: None)
    docker(
        "image",
        "rm",
        *docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", f"127.0.0.1:9/bdap/{name}").split(),
    )
