"""The container's walls, from inside a published notebook: what it can see, write and reach."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from http.server import SimpleHTTPRequestHandler

import docker
import httpx
import pytest

from bdap_hub.access import Visibility
from bdap_hub.dashboards.bundles.bundle import Bundle, read_bundle
from bdap_hub.dashboards.bundles.manifest import NAME
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.releases.publish import Publisher, Wish
from bdap_hub.dashboards.releases.tryout import NotebookFailed
from bdap_hub.dashboards.releases.vault import Vault
from bdap_hub.dashboards.running.runtime import Launch, make_runtime
from bdap_hub.dashboards.running.runtime_docker import container_spec, seccomp
from bdap_hub.database import connect
from bdap_hub.errors import BadRequest, NotAllowed
from bdap_hub.settings import Settings
from bdap_hub.web import HubLogin
from tests.serving import standing

from .conftest import notebook, zipped

pytestmark = pytest.mark.docker

PROBE = r"""
import json, os, socket
from urllib.parse import urlsplit
service = urlsplit(os.environ["BDAP_PROCESSING_URL"])
def can(action):
    try:
        action()
        return True
    except BaseException:
        return False
def write(path):
    open(os.path.expanduser(path), "w").write("1")
def reach(host, port):
    socket.create_connection((host, port), timeout=2).close()
status = dict(line.split(":\t", 1) for line in open("/proc/self/status").read().splitlines() if ":\t" in line)
print("PROBE" + json.dumps({
    "uid": os.getuid(), "gid": os.getgid(),
    "capabilities": status["CapEff"].strip(), "no_new": status["NoNewPrivs"].strip(),
    "bundle_read": can(lambda: open("/dashboard/index.ipynb").read()),
    "bundle_write": can(lambda: write("/dashboard/x")), "root_write": can(lambda: write("/etc/x")),
    "tmp_write": can(lambda: write("/tmp/x")), "home_write": can(lambda: write("~/x")),
    "store": os.path.exists("/eos"), "socket": os.path.exists("/var/run/docker.sock"),
    "internet": can(lambda: reach("1.1.1.1", 53)), "metadata": can(lambda: reach("169.254.169.254", 80)),
    "environment": sorted(k for k in os.environ if "TOKEN" in k or "SECRET" in k or k.startswith("JUPYTERHUB")),
    "service": can(lambda: reach(service.hostname, service.port)),
}) + "END")
"""


@pytest.fixture
def publisher(settings: Settings) -> Iterator[Publisher]:
    """With real containers, on a bridge of this test's own."""
    settings.dashboards.network = f"bdaptest-dashboards-{settings.install_id}"
    client = docker.from_env()
    runtime = make_runtime(settings)
    records = Records(connect(settings.database))
    try:
        yield Publisher(settings, records, runtime, HubLogin(settings, "dashboards"))
    finally:
        runtime.stop_all()
        for network in client.networks.list(names=[settings.dashboards.network]):
            network.remove()


def processing(port: int, bind: str = "0.0.0.0") -> AbstractContextManager[None]:
    """Stands where the processing service listens, as a release sees it."""
    return standing(bind, port, SimpleHTTPRequestHandler)


def wish(slug: str, visibility: Visibility = "public") -> Wish:
    """ana's wish to publish in agriculture."""
    return Wish("agriculture", slug, slug, "", visibility)


def test_the_specification_whole(settings: Settings):
    launch = Launch("p--s--v1", settings.var, "index.ipynb", 60001, {"BDAP_TOKEN": "t"})
    spec = container_spec(settings, launch, "172.30.0.1")
    assert spec["labels"] == {"bdap.hub": settings.install_id, "bdap.kind": "dashboard", "bdap.release": "p--s--v1"}
    assert (spec["user"], spec["read_only"], spec["cap_drop"]) == ("60001:60001", True, ["ALL"])
    assert spec["security_opt"] == ["no-new-privileges:true", f"seccomp={seccomp()}"]
    assert (spec["mem_limit"], spec["memswap_limit"], spec["pids_limit"]) == ("1G", "1G", 256)
    places = ["/dashboard", "/opt/bdap-voila", "/opt/bdap-stage", "/opt/bdap-widgets"]
    assert [(m["Target"], m["ReadOnly"]) for m in spec["mounts"]] == [(place, True) for place in places]
    assert sorted(spec["environment"]) == sorted(
        ["BDAP_CATALOGUE_URL", "BDAP_HUB_URL", "BDAP_PROCESSING_URL", "BDAP_TOKEN", "HOME", "JUPYTER_DATA_DIR",
         "JUPYTER_PATH", "JUPYTER_PLATFORM_DIRS", "JUPYTER_RUNTIME_DIR", "LANG", "PYTHONDONTWRITEBYTECODE",
         "PYTHONNOUSERSITE", "PYTHONPATH", "PYTHONWARNINGS", "BDAP_STAGE_NPM"]
    )  # fmt: skip
    assert "ports" not in spec and "privileged" not in spec and "network_mode" not in spec
    assert (
        spec["command"][:5] == ["python", "-P", "-m", "stage", "/dashboard/index.ipynb"] and "voila" in spec["command"]
    )
    settings.dashboards.runtime = "voila"
    plain = container_spec(settings, launch, "172.30.0.1")
    assert plain["command"][:2] == ["voila", "/dashboard/index.ipynb"]
    assert [m["Target"] for m in plain["mounts"]] == ["/dashboard", "/opt/bdap-voila"]
    assert plain["environment"]["PYTHONPATH"] == "/opt/bdap-voila/python"


def test_the_walls(publisher: Publisher):
    bundle = read_bundle("index.ipynb", notebook(PROBE), 2**20)
    with processing(publisher.settings.processing.port):
        publisher.publish(wish("walls"), bundle, "ana")
        address = publisher.runtime.address("agriculture--walls--v1")
        page = html.unescape(httpx.get(f"http://{address}/", timeout=60).text)
    network = docker.from_env().networks.get(publisher.settings.dashboards.network).attrs
    assert network["Internal"] and network["Options"]["com.docker.network.bridge.enable_icc"] == "false"
    found = json.loads(re.search(r"PROBE(\{.*?\})END", page).group(1))
    assert 60_000 <= found["uid"] == found["gid"] < 65_000
    assert int(found["capabilities"], 16) == 0
    assert found["no_new"] == "1"
    assert found["environment"] == ["BDAP_TOKEN"]
    for allowed in ("bundle_read", "tmp_write", "home_write", "service"):
        assert found[allowed], allowed
    for refused in ("bundle_write", "root_write", "store", "socket", "internet", "metadata"):
        assert not found[refused], refused


MANIFEST = """
data: [/eos/data/fields, /eos/projects/agriculture/tables]
secrets: [weather-key]
resources: {memory: 300M, cpus: 0.5}
tags: [wheat]
keep_warm: true
"""
DECLARED = r"""
import json, os
from pathlib import Path
def can(action):
    try:
        action()
        return True
    except BaseException:
        return False
def limit(new, old):
    return next(Path(p).read_text().strip() for p in (new, old) if Path(p).exists())
def anywhere(value):
    places = [p for p in ("/proc/self/environ", "/proc/1/environ") if os.access(p, os.R_OK)]
    return any(value in Path(p).read_bytes() for p in places)
secret = Path("/run/secrets/weather-key").read_bytes()
print("PROBE" + json.dumps({
    "fields": sorted(os.listdir("/eos/data")), "table": Path("/eos/projects/agriculture/tables/a.csv").read_text(),
    "projects": os.listdir("/eos/projects"), "inside": os.listdir("/eos/projects/agriculture"),
    "write": [can(lambda: Path(p, "new").write_text("1")) for p in (
        "/eos/data/fields", "/eos/projects/agriculture/tables", "/run/secrets")],
    "secrets": os.listdir("/run/secrets"), "length": len(secret), "environment": anywhere(secret),
    "groups": os.getgroups(),
    "memory": limit("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    "quota": limit("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us").split()[0],
}) + "END")
"""


def _declared(notebook_source: str, manifest: str) -> Bundle:
    files = {"index.ipynb": notebook(notebook_source), NAME: manifest.encode()}
    return read_bundle("x.zip", zipped(files), 2**20)


def test_what_the_manifest_declares_is_there_and_nothing_else(publisher: Publisher, settings: Settings):
    for path in (
        "data/fields/f.txt",
        "data/other/x.txt",
        "projects/agriculture/tables/a.csv",
        "projects/agriculture/n",
    ):
        (settings.store.root / path).parent.mkdir(parents=True, exist_ok=True)
        (settings.store.root / path).write_text("a table")
    os.chown(settings.store.projects / "agriculture", -1, 45_678)
    (settings.store.projects / "agriculture").chmod(0o2770)
    os.chown(settings.store.projects / "agriculture/tables", -1, 45_678)
    (settings.store.projects / "agriculture/tables").chmod(0o2770)
    Vault(settings).keep("agriculture", "weather-key", b"k3y-of-the-weather")
    publisher.publish(wish("declares"), _declared(DECLARED, MANIFEST), "ana")
    address = publisher.runtime.address("agriculture--declares--v1")
    page = html.unescape(httpx.get(f"http://{address}/", timeout=60).text)
    found = json.loads(re.search(r"PROBE(\{.*?\})END", page).group(1))
    assert (found["fields"], found["projects"], found["inside"]) == (["fields"], ["agriculture"], ["tables"])
    assert (found["table"], found["write"]) == ("a table", [False] * 3)
    assert (found["secrets"], found["length"], found["environment"]) == (["weather-key"], 18, False)
    assert (int(found["memory"]), int(found["quota"])) == (300 * 2**20, 50_000)
    assert 45_678 in found["groups"] and 0 not in found["groups"]
    kept = publisher.records.get("agriculture", "declares")
    assert (kept.tags, kept.keep_warm) == (["wheat"], True)
    live = publisher.records.live("agriculture", "declares")
    assert live.manifest["secrets"] == ["weather-key"] and "k3y" not in str(live.manifest)


def test_a_start_asks_again_for_what_the_release_may_have(publisher: Publisher, settings: Settings):
    (settings.store.root / "data/fields").mkdir(parents=True, exist_ok=True)
    publisher.publish(wish("later"), _declared("print(1)", "data: [/eos/data/fields]"), "ana")
    live = publisher.records.live("agriculture", "later")
    publisher.runtime.stop(live.release)
    publisher.start(live)  # as long as the project may read it
    publisher.runtime.stop(live.release)
    record = settings.var / "catalogue/fields/collection.json"
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"bdap:visibility": "project", "bdap:project": "forest"}))
    with pytest.raises(NotAllowed, match="not a member of project forest"):
        publisher.start(live)
    assert publisher.runtime.running() == {}


def test_a_page_that_shows_its_secret_is_not_published(publisher: Publisher, settings: Settings):
    Vault(settings).keep("agriculture", "weather-key", b"k3y-of-the-weather")
    source = "print(open('/run/secrets/weather-key').read())"
    with pytest.raises(BadRequest, match="the page shows the secret weather-key") as refused:
        publisher.publish(wish("shows"), _declared(source, "secrets: [weather-key]"), "ana")
    assert "k3y" not in refused.value.message + refused.value.remedy
    assert publisher.runtime.running() == {} and publisher.records.find("agriculture", "shows") is None


def test_a_running_release_is_found_again_and_stopped(publisher: Publisher, settings: Settings):
    docker.from_env().networks.create(settings.dashboards.network)  # one with a way out, as somebody might make it
    publisher.publish(wish("again"), read_bundle("index.ipynb", notebook("1"), 2**20), "ana")
    restarted = make_runtime(settings)
    assert docker.from_env().networks.get(settings.dashboards.network).attrs["Internal"]
    assert list(restarted.running()) == ["agriculture--again--v1"]
    assert restarted.address("agriculture--again--v1") == publisher.runtime.address("agriculture--again--v1")
    restarted.stop("agriculture--again--v1")
    assert restarted.running() == {} and publisher.runtime.address("agriculture--again--v1") is None


def test_a_failing_release_leaves_no_container(publisher: Publisher):
    bundle = read_bundle("index.ipynb", notebook("raise RuntimeError('no such field')"), 2**20)
    with pytest.raises(NotebookFailed) as failure:
        publisher.publish(wish("fails"), bundle, "ana")
    assert "no such field" in failure.value.remedy and failure.value.cell.number == 1
    assert publisher.runtime.running() == {} and publisher.records.all() == []


def test_memory_and_an_end_of_its_own_are_seen(publisher: Publisher):
    name, runtime = "agriculture--ends--v1", publisher.runtime
    publisher.publish(wish("ends"), read_bundle("index.ipynb", notebook("1"), 2**20), "ana")
    assert 20 * 2**20 < runtime.memory(name) < 2**30 and runtime.memory("agriculture--no--v1") == 0
    assert runtime.ended() == {}
    container = docker.from_env().containers.get(f"bdap-{publisher.settings.install_id}-{name}")
    for signal, ends in (("SIGKILL", {}), ("SIGQUIT", {name})):  # the engine's own end is no error, a crash is one
        container.kill(signal)
        container.wait(timeout=30)
        assert runtime.ended().keys() == set(ends) and runtime.memory(name) == 0
        container.start()
