"""A project's recipe, with the real engine and the real builder: what it gives, what it cannot reach, what is refused.

The recipes fetch from a registry of the tests' own behind a certificate that only this host trusts, as at a site whose
proxy looks into TLS.
"""

from __future__ import annotations

import http.server
import json
import os
import socket
import ssl
import subprocess
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bdap_hub import audit, database, entitlements
from bdap_hub.access import BuildImage, Person, UseImage, decide
from bdap_hub.entitlements import project_images
from bdap_hub.errors import Busy, NotAllowed, NotFound
from bdap_hub.settings import Settings
from bdap_hub.spawning.images import platform as images
from bdap_hub.spawning.images.building.builder import NotBuilt
from bdap_hub.spawning.images.building.folder import Taken
from bdap_hub.spawning.images.building.recipe import Recipe
from bdap_hub.spawning.images.building.room import Actor, ProjectImages, Wanted, alone
from tests.certificates import write_certificate
from tests.conftest import make_settings
from tests.images.registry import ACCOUNT, running

pytestmark = pytest.mark.docker
OPERATOR = Actor("operator:test")
LEAD = Person("lena", frozenset({"project-agriculture-leads"}))
MEMBER = Person("ana", frozenset({"project-agriculture"}))


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [images.docker_client(), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=check)


class Hello(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"a package of the registry")

    def log_message(self, *given: object) -> None:
        pass


@dataclass
class Site:
    """A platform with a database of its own, and a registry that recipes may reach at `host`."""

    room: ProjectImages
    host: str
    certificate: Path
    folder: Path
    said: list[str]

    @property
    def settings(self) -> Settings:
        return self.room.settings

    def build(self, name: str, actor: Actor = OPERATOR, **files: str) -> Any:
        """Build a recipe of these files; a `_` in a name stands for a dot."""
        recipe = self.folder / name
        recipe.mkdir(exist_ok=True)
        for path, text in files.items():
            (recipe / path.replace("_", ".")).write_text(text.replace("{host}", self.host))
        self.said.clear()
        return self.room.build(actor, Wanted("agriculture", recipe, name), self.said.append)

    def left(self) -> set[str]:
        """What is on the engine of this site's builds, but the imported base; and what is offered."""
        owner = self.settings.install_id
        found = docker("ps", "--all", "--quiet", "--filter", f"label=bdap.builds={owner}").stdout.split()
        found += docker("volume", "ls", "--quiet", "--filter", f"label=bdap.builds={owner}").stdout.split()
        found += docker("image", "ls", "--all", "--quiet", "--filter", f"label=bdap.install={owner}").stdout.split()
        return {*found, *(image.name for image in project_images.listed(self.room.store))}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("projects")
    images.build(["lab", "builder"])
    certificate, key = write_certificate(folder, "127.0.0.1")
    bundle = folder / "bundle.crt"
    bundle.write_bytes(Path("/etc/ssl/certs/ca-certificates.crt").read_bytes() + certificate.read_bytes())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hello) as server, pytest.MonkeyPatch.context() as patch:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        patch.setenv("SSL_CERT_FILE", str(bundle))
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            patch.delenv(name, raising=False)
        host = f"127.0.0.1:{server.server_port}"
        settings = make_settings(folder / "var", builder={"registries": [host], "minutes": 5})
        made = Site(ProjectImages(settings, database.connect(settings.database)), host, certificate, folder, [])
        yield made
        server.shutdown()
        for image in project_images.listed(made.room.store):
            made.room.remove(OPERATOR, image.project, image.name)
        for volume in docker(
            "volume", "ls", "-q", "--filter", f"label=bdap.builder.base={settings.install_id}"
        ).stdout.split():
            docker("volume", "rm", volume)


PROBE = """
import json, os, socket, subprocess, urllib.request
found = {}
def attempt(name, act):
    try:
        found[name] = str(act())[:200]
    except BaseException as error:
        found[name] = f"refused: {type(error).__name__} {error}"[:200]
def reach(address):
    with socket.create_connection(address, 3):
        return "reached"
def call(path):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        return "connected"
def get(url):
    return urllib.request.urlopen(url, timeout=20).read().decode()
host, port = "HOST".split(":")
attempt("registry", lambda: get("https://HOST/simple/"))
attempt("another host", lambda: get("https://example.org/"))
attempt("another port of the host by the gate", lambda: get("http://127.0.0.1:OTHER/"))
attempt("the registry without the gate", lambda: reach((host, int(port))))
attempt("another port of the host", lambda: reach((host, OTHER)))
attempt("the metadata address", lambda: reach(("169.254.169.254", 80)))
attempt("the world", lambda: reach(("192.0.2.1", 443)))
attempt("names", lambda: socket.gethostbyname("pypi.org"))
for path in ("/var/run/docker.sock", "/run/docker.sock", "/gate/socket"):
    attempt(path, lambda: call(path))
attempt("host file", lambda: open("HOSTFILE").read())
attempt("builder's root", lambda: os.listdir("/proc/1/root/"))
attempt("builder's environment", lambda: open("/proc/1/environ").read())
attempt("write to the recipe", lambda: open("/mnt/x", "w"))
attempt("write to the certificates", lambda: open("/run/secrets/ca", "a"))
attempt("write to the kernel", lambda: open("/proc/sys/kernel/core_pattern", "w").write("|/tmp/x"))
attempt("disk", lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(8, 0)) or open("/tmp/disk", "rb"))
attempt("mount", lambda: subprocess.run(["mount", "-t", "tmpfs", "none", "/media"], check=True))
def leave():
    os.mkdir("/tmp/c")
    os.chroot("/tmp/c")
    for _ in range(50):
        os.chdir("..")
    os.chroot(".")
    return os.listdir("/work")
json.dump(found, open(OUT, "w"))
attempt("leave the chroot", leave)
assert found["leave the chroot"].startswith("refused"), found
"""

REACHED = {"registry": "a package of the registry"}


@pytest.fixture(scope="module")
def neighbour() -> Iterator[int]:
    """Something else that listens on the host's loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture(scope="module")
def built(site: Site, neighbour: int) -> Any:
    """The image of a recipe that does honest work, and tries to reach what it may not."""
    secret = site.folder / "of-the-host"
    secret.write_text("the host's own")
    probe = PROBE.replace("HOSTFILE", str(secret)).replace("HOST", site.host).replace("OTHER", str(neighbour))
    overlay = """FROM bdap/lab
USER 0
ENV CROPS=wheat LD_PRELOAD=/opt/x.so JUPYTERHUB_API_TOKEN=mine
COPY probe.py /opt/
RUN python3 -c "OUT='/opt/found.json'; exec(open('/opt/probe.py').read())"
RUN id -u >/opt/uid; cat /proc/self/uid_map >/opt/uid_map; cp /bin/ls /opt/as-root; chmod 4755 /opt/as-root
RUN echo token=s3cr3tWORD1234
USER 33
"""
    return site.build("crops", Dockerfile=overlay, probe_py=probe)


def inside(image: Any, *command: str) -> str:
    limits = ("--rm", "--network=none", "--user=23456:23456", "--cap-drop=ALL")
    return docker("run", *limits, image.reference, *command).stdout


def test_only_the_registry_can_be_reached(site: Site, built: Any) -> None:
    found = json.loads(inside(built, "cat", "/opt/found.json"))
    assert len(found) == 19
    reached = {name: told for name, told in found.items() if not told.startswith("refused")}
    assert reached == REACHED, "the recipe reached what it may not"
    refusals = [line for line in site.said if "builder.registries" in line]
    assert any("example.org:443" in line for line in refusals)
    assert not (site.settings.store.root / "x").exists()


def test_the_recipes_root_is_nobody_on_the_host(built: Any) -> None:
    assert inside(built, "cat", "/opt/uid").strip() == "0"
    first = inside(built, "cat", "/opt/uid_map").split()
    assert int(first[1]) > 1_000_000_000


def test_it_keeps_the_platforms_promises(site: Site, built: Any) -> None:
    assert "CHECK a server starts and answers" in site.said
    assert inside(built, "find", "/opt/as-root", "-perm", "/6000") == ""
    told = json.loads(docker("image", "inspect", "--format", "{{json .Config}}", built.reference).stdout)
    plain = json.loads(docker("image", "inspect", "--format", "{{json .Config}}", "bdap/lab").stdout)
    assert all(told.get(key) == plain.get(key) for key in ("User", "Cmd", "Entrypoint", "Volumes"))
    assert told["User"] == "65534:65534"
    assert set(told["Env"]) - set(plain["Env"]) == {"CROPS=wheat"}
    assert told["Labels"]["bdap.project"] == "agriculture"
    assert inside(built, "sh", "-c", "ls /run/secrets /uv /mnt").split() == ["/mnt:", "/run/secrets:", "/uv:"]


def test_the_sites_certificate_is_in_no_layer(site: Site, built: Any, tmp_path: Path) -> None:
    """The step that fetched by TLS needed it (see the registry above); the same search finds what is there."""
    middle = site.certificate.read_bytes().splitlines()[4]
    archive = tmp_path / "image.tar"
    docker("save", "--output", str(archive), built.reference)
    seen = {"certificate": False, "control": False}
    with tarfile.open(archive) as image:
        (manifest,) = json.load(image.extractfile("manifest.json"))
        for name in [*manifest["Layers"], manifest["Config"]]:
            content = image.extractfile(name).read()
            seen["certificate"] |= middle in content
            seen["control"] |= b'attempt("registry"' in content
    assert seen == {"certificate": False, "control": True}


def test_the_log_is_streamed_and_redacted(site: Site, built: Any) -> None:
    log = Path(built.log).read_text()
    assert log.splitlines() == site.said
    assert "STEP" in log
    assert "token=" in log
    assert "s3cr3tWORD1234" not in log
    assert Path(built.log).parent.stat().st_mode & 0o077 == 0


def test_it_is_offered_to_its_project_alone(site: Site, built: Any) -> None:
    policy = entitlements.policy(site.settings, site.room.store)
    assert policy.image("agriculture.crops").reference == built.reference == built.content
    assert decide(policy, MEMBER, UseImage("agriculture", "agriculture.crops"))
    both = Person("olga", frozenset({"project-agriculture", "project-forest"}))
    assert not decide(policy, both, UseImage("forest", "agriculture.crops"))
    assert not decide(
        policy, Person("ben", frozenset({"project-forest"})), UseImage("agriculture", "agriculture.crops")
    )


def test_built_anew_it_takes_the_place_of_the_old(site: Site, built: Any) -> None:
    again = site.build("crops", Dockerfile="FROM lab\nUSER 0\nRUN echo again >/opt/again\n")
    assert again.reference != built.reference
    assert inside(again, "cat", "/opt/again") == "again\n"
    assert images.image_id(built.reference) is None
    assert entitlements.policy(site.settings, site.room.store).image("agriculture.crops").reference == again.reference
    site.room.remove(OPERATOR, "agriculture", "crops")
    assert images.image_id(again.reference) is None
    assert entitlements.policy(site.settings, site.room.store).image("agriculture.crops") is None
    assert site.left() == set()
    with pytest.raises(NotFound):
        site.room.remove(OPERATOR, "agriculture", "crops")


def test_with_a_private_registry_it_is_offered_from_there(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last step of a build, with a small image in the place of what was built."""
    (tmp_path / "Dockerfile").write_text(f"FROM bdap/debian:trixie\nLABEL bdap.install={site.settings.install_id}\n")
    command = [images.docker_client(building=True), "build", "--quiet", str(tmp_path)]
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()
    plan, taken = Recipe("", "bdap/lab:latest"), Taken(b"", {}, (), "sha256:0")
    with running(tmp_path) as registry:
        monkeypatch.setattr(site.settings.spawning, "registry", f"{registry.host}/bdap")
        (site.settings.var / "secrets/registry-credentials").write_text(":".join(ACCOUNT))
        wanted = Wanted("agriculture", tmp_path, "pushed")
        image = site.room._kept(OPERATOR, wanted, taken, plan, tmp_path / "log", made, site.said.append)
        assert registry.manifest(image.reference).status_code == 200
    assert image.reference.startswith(f"{registry.host}/bdap/projects/agriculture/pushed@sha256:")
    policy = entitlements.policy(site.settings, site.room.store)
    assert policy.image("agriculture.pushed").reference == image.reference
    site.room.remove(OPERATOR, "agriculture", "pushed")
    assert images.image_id(image.reference) is None and images.image_id(made) is None


KEY = (
    r"%s-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKjMIIEvQIBADANBgkq\n"
)
FLAWS = {
    "a step fails": (
        "RUN echo before; echo the last words; exit 3",
        r"failed at STEP \d+/\d+: RUN echo before[^$]*the last words",
    ),
    "a certificate, a key, an open folder": (
        f"RUN cp /run/secrets/ca /opt/lent; printf '{KEY}' '' >/opt/tls.key; mkdir -m 777 /opt/all",
        "3 findings: private-key opt/tls.key .*; site-ca opt/lent .*; world-writable opt/all",
    ),
    "a file above the folder": ("COPY ../../../etc/passwd /opt/", r"failed at STEP \d+/\d+: COPY"),
    "no server": ("RUN rm /opt/bdap/bin/jupyterhub-singleuser", "fails the platform's check"),
}


@pytest.mark.parametrize(("step", "said"), FLAWS.values(), ids=FLAWS)
def test_a_failed_build_leaves_nothing_behind(site: Site, step: str, said: str) -> None:
    before = site.left()
    with pytest.raises(NotBuilt, match=said):
        site.build("flawed", Dockerfile=f"FROM bdap/lab\nUSER 0\n{step}\n")
    assert site.left() == before
    assert site.said[-1].startswith("FAILED")


def test_an_endless_build_is_stopped(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.left()
    monkeypatch.setattr(site.settings.builder, "minutes", 0.15)
    start = time.monotonic()
    with pytest.raises(NotBuilt, match=r"stopped( at STEP .*)?: it took longer than builder\.minutes"):
        site.build("endless", Dockerfile="FROM lab\nRUN sleep 600 & nohup sleep 600\n")
    assert time.monotonic() - start < 60
    assert site.left() == before


def test_a_build_that_fills_the_disk_is_stopped(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.left()
    monkeypatch.setattr(site.settings.builder, "disk_mb", 200)
    with pytest.raises(NotBuilt, match=r"it wrote more than builder\.disk_mb"):
        site.build(
            "large",
            Dockerfile="FROM lab\nUSER 0\nRUN for i in 1 2 3; do head -c 150M /dev/zero >/opt/$i; done; sleep 60\n",
        )
    assert site.left() == before


def test_a_build_that_needs_too_much_memory_fails(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    before = site.left()
    monkeypatch.setattr(site.settings.builder, "memory", "300M")
    with pytest.raises(NotBuilt, match=r"(failed|killed) at STEP .*dev/zero"):
        site.build("hungry", Dockerfile="FROM lab\nRUN head -c 2G /dev/zero | tail -c 2G >/dev/null\n")
    assert site.left() == before


def test_one_build_at_a_time(site: Site) -> None:
    with alone(site.settings), pytest.raises(Busy, match="another image is being built"):
        site.build("second", Dockerfile="FROM lab\nRUN true\n")


def test_what_a_killed_build_left_is_removed_by_the_next(site: Site) -> None:
    label, before = f"bdap.builds={site.settings.install_id}", site.left()
    docker("volume", "create", "--label", label, "bdaptest-left")
    docker(
        "container", "create", "--label", label, "--volume", "bdaptest-left:/work", "bdap/debian:trixie", "sleep", "9"
    )
    assert len(site.left() - before) == 2
    with alone(site.settings):
        assert site.left() == before


def test_who_may_build(site: Site) -> None:
    policy = entitlements.policy(site.settings, site.room.store)
    assert decide(policy, LEAD, BuildImage("agriculture"))
    assert decide(policy, Person("olga", frozenset({"bdap-admins"})), BuildImage("agriculture"))
    for person in (MEMBER, Person("ben", frozenset({"project-forest-leads"})), Person("pia"), None):
        assert not decide(policy, person, BuildImage("agriculture"))
    with pytest.raises(NotAllowed, match="ana does not lead project agriculture"):
        site.build("mine", actor=Actor("ana", MEMBER), Dockerfile="FROM lab\nRUN true\n")
    with pytest.raises(NotAllowed):
        site.room.remove(Actor("ana", MEMBER), "agriculture", "crops")
    newest = audit.latest(site.room.store, 1)[0]
    assert (newest.person, newest.action, newest.subject, newest.outcome) == (
        "ana",
        "build-image",
        "agriculture/crops",
        "refused",
    )
