"""A scan finds what was put into an image, in whatever layer, and is content with the platform's own."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from bdap_hub import cli
from bdap_hub.errors import NotFound
from bdap_hub.spawning.images import platform as images
from bdap_hub.spawning.images import rules as image_rules
from bdap_hub.spawning.images import scan as image_scan
from bdap_hub.spawning.images.rules import File
from tests.certificates import write_certificate

KEY = b"-----BEGIN PRIVATE KEY-----\n" + b"MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n" * 3
# Put together here, so that no scanner takes this file for a leak.
TOKEN = "ghp_" + "a1B2" * 9


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [
        ("root/.netrc", b"machine x login y password z", "secret"),
        ("home/a/.docker/config.json", b"{}", "secret"),
        ("tmp/krb5cc_1000", b"\5\4", "secret"),
        ("etc/pip.conf", b"[global]\nindex-url = https://ana:hush@pypi.example.org/simple", "secret"),
        ("etc/npm/.npmrc", b"//npm.example.org/:_authToken=x", "secret"),
        ("opt/app/settings.py", f"TOKEN = '{TOKEN}'".encode(), "secret"),
        ("opt/app/tls.key", KEY, "private-key"),
    ],
)
def test_secrets_are_seen(path: str, content: bytes, kind: str) -> None:
    (found,) = image_rules.secrets(File(path, 0o644, 0, 0, content=content))
    assert (found.kind, found.serious) == (kind, True)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("etc/pip.conf", b"[global]\nindex-url = https://pypi.example.org/simple"),
        ("root/.netrc", b"\n"),
        ("opt/app/notes.txt", b"ghp_short, -----BEGIN PRIVATE KEY----- as the header says"),
        ("etc/apt/sources.list.d/debian.sources", b"URIs: http://deb.debian.org/debian"),
    ],
)
def test_what_only_looks_like_one_is_not(path: str, content: bytes) -> None:
    assert list(image_rules.secrets(File(path, 0o644, 0, 0, content=content))) == []


def test_published_keys_are_notes() -> None:
    for path, content in (("lib/tornado/test/test.key", KEY), ("usr/lib/libtls.so", b"\x7fELF\0" + KEY)):
        (found,) = image_rules.secrets(File(path, 0o644, 0, 0, content=content))
        assert not found.serious


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        (File("usr/bin/su", 0o4755, 0, 0), "setuid"),
        (File("usr/bin/wall", 0o2755, 0, 0), "setuid"),
        (File("usr/bin/ping", 0o755, 0, 0, capable=True), "capability"),
        (File("srv", 0o777, 0, 0, is_folder=True), "world-writable"),
        (File("opt/bdap/.lock", 0o666, 0, 0), "world-writable"),
        (File("tmp", 0o1777, 0, 0, is_folder=True), ""),
        (File("usr/local/share", 0o2755, 0, 0, is_folder=True), ""),
        (File("usr/bin/ls", 0o755, 0, 0), ""),
    ],
)
def test_rights(file: File, kind: str) -> None:
    found = image_rules.rights(file)
    assert (found.kind if found else "") == kind


def docker(*arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [images.docker_client(building="build" in arguments), *arguments],
        cwd=cwd, env={"DOCKER_BUILDKIT": "1", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


RECIPE = """FROM bdap/debian:trixie
COPY tls.key site.crt /opt/
RUN cp /bin/ls /usr/bin/as-root && chmod 4755 /usr/bin/as-root && cp /bin/ls /usr/bin/gone && chmod 4755 /usr/bin/gone
RUN rm /opt/tls.key /usr/bin/gone && mkdir -m 777 /srv/all && find / -xdev -type f -perm /6000 \
    ! -name as-root -exec chmod a-s {} + && mkdir -p /opt/x-1.4.dist-info /opt/lib/site-packages/x-1.4.dist-info && \
    printf 'Metadata-Version: 2.1\\nName: x\\nVersion: 1.4\\n\\nText' >/opt/lib/site-packages/x-1.4.dist-info/METADATA
"""


@pytest.fixture(scope="module")
def flawed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A small image with a flaw of each kind; and the certificate of the site that is in it."""
    folder = tmp_path_factory.mktemp("flawed")
    images.build(["base"])
    certificate, _ = write_certificate(folder, "ca.example.org")
    (folder / "site.crt").write_bytes(b"# ours\n" + certificate.read_bytes())
    (folder / "tls.key").write_bytes(KEY)
    (folder / "Dockerfile").write_text(RECIPE)
    name = f"bdaptest-scan-{uuid.uuid4().hex[:8]}"
    docker("build", "--quiet", "--network=none", f"--tag={name}", ".", cwd=folder)
    yield name, certificate
    docker("image", "rm", "--force", name)


@pytest.mark.docker
def test_a_flaw_of_each_kind_is_found(
    flawed: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    name, certificate = flawed
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    advisories = tmp_path / "advisories.json"
    problem = {
        "package": {"ecosystem": "PyPI", "name": "X"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.5"}]}],
    }
    advisories.write_text(json.dumps([{"id": "OSV-1", "affected": [problem]}]))
    done = CliRunner().invoke(cli.main, ["images", "scan", name, "--json", "--advisories", str(advisories)])
    report = json.loads(done.output)
    found = {(one["kind"], one["where"]) for one in report["findings"] if one["serious"]}
    assert done.exit_code == 1
    assert found == {
        ("advisory", "x 1.4"),
        ("private-key", "opt/tls.key"),  # removed by a later layer, and still there
        ("root", "USER"),
        ("setuid", "usr/bin/as-root"),  # and not usr/bin/gone, which the image shows no more
        ("site-ca", "opt/site.crt"),
        ("world-writable", "srv/all"),
    }
    assert {"system": "debian", "name": "dpkg"}.items() <= {
        k: v for p in report["packages"] if p["name"] == "dpkg" for k, v in p.items()
    }.items()


@pytest.mark.docker
def test_the_platforms_image_has_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    images.build(["lab"])
    done = CliRunner().invoke(cli.main, ["images", "scan", "lab"])
    assert done.exit_code == 0, done.output
    assert "0 problems" in done.output
    assert "Python packages" in done.output
    assert "private-key" in done.output  # the control: notes are printed
    assert "world-writable" not in done.output


@pytest.mark.docker
def test_an_unknown_image_is_named() -> None:
    with pytest.raises(NotFound, match="bdaptest-scan-nowhere"):
        image_scan.scan("bdaptest-scan-nowhere")


@pytest.mark.docker
def test_file_capabilities_are_seen() -> None:
    """The builder's image is known to have two programs with them, and has no other problem."""
    images.build(["builder"])
    found = {(one.kind, one.where) for one in image_scan.scan("bdap/builder").serious}
    assert found == {("capability", "usr/bin/newuidmap"), ("capability", "usr/bin/newgidmap")}
