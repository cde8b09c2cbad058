"""The built images keep their promises: any uid, no root, no secret of the build, nothing to do a second time."""

from __future__ import annotations

import json
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from bdap_hub.errors import Unavailable
from bdap_hub.spawning.images import platform as images
from bdap_hub.spawning.images import recipes

pytestmark = pytest.mark.docker
IMAGES = ("base", "lab", "dashboard")


@pytest.fixture(scope="module", autouse=True)
def built() -> dict[str, str]:
    """The images, up to date; the hash of what each was built from."""
    hashes = {name: recipes.inputs_hash(name) for name in IMAGES}
    images.build()
    return hashes


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [images.docker_client(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=check)


def test_second_build_does_nothing() -> None:
    assert images.build(progress=pytest.fail) == []


@pytest.mark.parametrize("name", IMAGES)
def test_runs_as_any_person(name: str) -> None:
    told = images.verify(name)
    assert "uid 23456" in told
    assert "ipyleaflet" in told


def test_the_check_notices_a_broken_promise() -> None:
    """Positive control of the test above: the same check fails where the image runs as root."""
    done = docker(
        "run", "--rm", "--network=none", "--user=0:0", "bdap/base", "python", "/opt/bdap-verify/1-base.py", check=False
    )
    assert done.returncode != 0
    assert "runs as root" in done.stderr


def test_a_missing_image_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "recipe", lambda name: None)
    with pytest.raises(Unavailable) as refused:
        images.verify("bdaptest-images-never-built")
    assert "bdap images build" in refused.value.remedy


@pytest.mark.parametrize("name", IMAGES)
def test_nothing_runs_as_root_by_default(name: str) -> None:
    told = docker("run", "--rm", "--network=none", f"bdap/{name}", "id", "-u")
    assert told.stdout.strip() == "65534"


@pytest.mark.parametrize("name", IMAGES)
def test_labels_name_the_inputs(name: str, built: dict[str, str]) -> None:
    labels = json.loads(docker("image", "inspect", "--format", "{{json .Config.Labels}}", f"bdap/{name}").stdout)
    assert labels["org.opencontainers.image.licenses"] == "EUPL-1.2"
    assert labels["org.opencontainers.image.title"] == f"BDAP Hub {name}"
    assert labels[images.INPUTS] == built[name]


@pytest.mark.parametrize("name", IMAGES)
def test_neither_environment_nor_history_tell_of_the_site(name: str) -> None:
    environment = docker("image", "inspect", "--format", "{{json .Config.Env}}", f"bdap/{name}").stdout
    history = docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", f"bdap/{name}").stdout
    assert "PATH=/opt/bdap/bin" in environment
    assert "install-locked" in history
    for text in (environment, history):
        for word in ("SSL_CERT", "PIP_", "_proxy", "INDEX", "ca-certificates.crt"):
            assert word not in text


@pytest.fixture
def lent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, bytes]]:
    """An image built by our own builder with a marked CA bundle; its name and the mark."""
    mark = f"bdap-test-{uuid.uuid4()}"
    bundle = tmp_path / "ca.crt"
    bundle.write_text(f"# {mark}\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(
        "FROM bdap/debian:trixie\n"
        f"RUN --mount=type=secret,id=ca grep -q {mark} /run/secrets/ca && echo seen > /seen\n"
        "RUN ! test -s /run/secrets/ca\n"
    )
    name = f"bdaptest-images-{uuid.uuid4().hex[:8]}"
    made_of = recipes.Recipe(name, (("Dockerfile", dockerfile),), ())
    images._build_one(made_of, "none", None, (), lambda line: None, False)
    yield made_of.reference, mark.encode()
    docker("image", "rm", "--force", made_of.reference, check=False)


def test_the_lent_ca_is_seen_by_its_step_and_stays_nowhere(lent: tuple[str, bytes], tmp_path: Path) -> None:
    reference, mark = lent
    archive = tmp_path / "image.tar"
    docker("save", "--output", str(archive), reference)
    contents = [content for member in _layers(archive) for content in member]
    assert b"seen\n" in contents
    assert not [content for content in contents if b"# " + mark in content]


def _layers(archive: Path) -> Iterator[Iterator[bytes]]:
    with tarfile.open(archive) as image:
        (manifest,) = json.load(image.extractfile("manifest.json"))
        for name in manifest["Layers"]:
            with tarfile.open(fileobj=image.extractfile(name)) as layer:
                yield (layer.extractfile(one).read() for one in layer if one.isfile() and one.size < 10_000_000)
