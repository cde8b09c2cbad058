"""Code of a visitor's own in a release's container: what it finds. The sandbox is the boundary.

Each wall stands beside the same container without it, or beside what it has to let through.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bdap_hub.dashboards.running.runtime import Launch, make_runtime
from bdap_hub.dashboards.running.runtime_docker import DockerRuntime, container_spec
from bdap_hub.settings import Settings

pytestmark = pytest.mark.docker

# Numbers of x86-64. The profile answers "operation not permitted"; the kernel itself something else to most of these.
CALLS = """
import ctypes, errno, json, os, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
sibling = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
open_one = subprocess.Popen([sys.executable, "-I", "-c", "import time; time.sleep(60)"])  # without what is set for all
import time; time.sleep(1.5)
buffer = ctypes.create_string_buffer(64)
def call(*arguments):
    ctypes.set_errno(0)
    return 0 if libc.syscall(*arguments) >= 0 else ctypes.get_errno()
pid = open_one.pid
answers = {
    "ptrace": call(101, 16, pid, 0, 0),
    "process_vm_readv": call(310, pid, 0, 0, 0, 0, 0), "kcmp": call(312, os.getpid(), pid, 3, 0, 0),
    "pidfd_getfd": call(438, 999, 0, 0), "io_uring_setup": call(425, 0, 0), "keyctl": call(250, 0, -4, 1),
    "add_key": call(248, b"user", b"x", b"y", 1, -4), "personality": call(135, 0xffffffff),
    "userfaultfd": call(323, 1), "unshare user": call(272, 0x10000000), "unshare mounts": call(272, 0x20000),
    "setns": call(308, 0, 0), "mount": call(165, b"none", b"/tmp", b"tmpfs", 0, 0), "bpf": call(321, 0, 0, 0),
    "perf_event_open": call(298, 0, 0, -1, -1, 0), "open_by_handle_at": call(304, -1, 0, 0),
    "packet socket": call(41, 17, 3, 0), "audit socket": call(41, 16, 3, 9), "route socket": call(41, 16, 3, 0),
    "vsock": call(41, 40, 1, 0),
    "tcp socket": call(41, 2, 1, 0), "unix socket": call(41, 1, 1, 0), "getpid": call(39), "futex": call(202, 0, 1, 1),
}
def reads(pid, name):
    try:
        open(f"/proc/{pid}/{name}", "rb").read(1 if name != "mem" else 0)
        return True
    except OSError:
        return False
print("FOUND" + json.dumps({
    "calls": answers, "uid": os.getuid(),
    "sibling": [reads(sibling.pid, name) for name in ("mem", "environ", "maps")],
    "undefended": [reads(open_one.pid, name) for name in ("mem", "environ", "maps")],
}))
"""
REACH = """
import json, os, socket, stat
def opens(host, port):
    try:
        socket.create_connection((host, port), timeout=2).close()
        return True
    except OSError:
        return False
def can(action):
    try:
        action()
        return True
    except OSError:
        return False
privileged = [
    os.path.join(folder, name) for folder in ("/bin", "/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/lib")
    for name in os.listdir(folder) if stat.S_ISREG(os.lstat(os.path.join(folder, name)).st_mode)
    and os.lstat(os.path.join(folder, name)).st_mode & (stat.S_ISUID | stat.S_ISGID)
    and os.access(os.path.join(folder, name), os.X_OK)
]
mounts = [line.split()[4] for line in open("/proc/self/mountinfo")]
print("FOUND" + json.dumps({
    "neighbour": opens("{neighbour}", 8866), "metadata": opens("169.254.169.254", 80), "world": opens("1.1.1.1", 53),
    "engine": any(os.path.exists(p) for p in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd")),
    "store": os.path.exists("/eos"),
    "devices": [d for d in ("sda", "vda", "mem", "kmsg", "fuse") if os.path.exists("/dev/" + d)],
    "bundle": can(lambda: open("/dashboard/index.ipynb").read()), "bundles": os.path.exists("/dashboard/../bundles"),
    "write bundle": can(lambda: open("/dashboard/x", "w")), "write program": can(lambda: open("/usr/bin/x", "w")),
    "write templates": can(lambda: open("/opt/bdap-voila/x", "w")), "write tmp": can(lambda: open("/tmp/x", "w")),
    "sysrq": can(lambda: open("/proc/sysrq-trigger", "w")),
    "core_pattern": can(lambda: open("/proc/sys/kernel/core_pattern", "w")),
    "cgroup": can(lambda: open("/sys/fs/cgroup/memory/memory.limit_in_bytes", "w")),
    "root": can(lambda: os.setuid(0)), "chown": can(lambda: os.chown("/tmp/x", 0, 0)), "mounts": mounts,
    "processes": len([p for p in os.listdir("/proc") if p.isdigit()]), "privileged": privileged,
    "secrets": sorted(k for k in os.environ if "JUPYTERHUB" in k or "SECRET" in k or "PASSWORD" in k),
}))
"""
WALLS = (
    "neighbour", "metadata", "world", "engine", "store", "write bundle", "write program", "write templates", "sysrq",
    "core_pattern", "cgroup", "root", "chown", "bundles",
)  # fmt: skip


@pytest.fixture
def runtime(settings: Settings) -> Iterator[DockerRuntime]:
    """On a bridge of this test's own."""
    settings.dashboards.network = f"bdaptest-sandbox-{settings.install_id}"
    runtime = make_runtime(settings)
    assert isinstance(runtime, DockerRuntime)
    try:
        yield runtime
    finally:
        runtime.stop_all()
        for network in runtime.client.networks.list(names=[settings.dashboards.network]):
            network.remove()


@pytest.fixture
def spec(runtime: DockerRuntime, settings: Settings, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """What a release's container is made of, with another program in it."""
    (tmp_path / "index.ipynb").write_text("{}")
    tmp_path.chmod(0o755)

    def make(name: str, code: str, **other: Any) -> dict[str, Any]:
        launch = Launch(f"p--{name}--v1", tmp_path, "index.ipynb", 60_777, {"BDAP_TOKEN": "t"})
        made = container_spec(settings, launch, runtime.host_address())
        return {**made, "command": ["python", "-c", code], "entrypoint": [], **other}

    return make


def _found(runtime: DockerRuntime, spec: dict[str, Any]) -> dict[str, Any]:
    container = runtime.client.containers.run(**spec)
    container.wait(timeout=60)
    log = container.logs().decode()
    assert "FOUND" in log, log[-2000:]
    return dict(json.loads(log.rpartition("FOUND")[2]))


EPERM = 1


def test_no_call_traces_a_sibling_or_leaves_the_container(runtime: DockerRuntime, spec: Callable[..., dict[str, Any]]):
    found = _found(runtime, spec("locked", CALLS))
    allowed = {name for name, answer in found["calls"].items() if answer != EPERM}
    assert allowed == {"tcp socket", "unix socket", "route socket", "getpid", "futex"}, found["calls"]
    assert found["sibling"] == [False, False, False] and found["uid"] == 60_777
    assert found["undefended"][0]  # the control: the user id alone would let it
    loose = _found(runtime, spec("loose", CALLS, security_opt=["no-new-privileges:true", "seccomp=unconfined"]))
    through = {name for name, answer in loose["calls"].items() if answer != EPERM}
    assert {"ptrace", "process_vm_readv", "kcmp", "keyctl", "io_uring_setup"} <= through, loose["calls"]


def test_what_code_in_it_reaches(runtime: DockerRuntime, spec: Callable[..., dict[str, Any]]):
    serve = "import http.server as s; s.test(s.SimpleHTTPRequestHandler, port=8866, bind='0.0.0.0')"
    neighbour = runtime.client.containers.run(**spec("neighbour", serve))
    neighbour.reload()
    address = neighbour.attrs["NetworkSettings"]["Networks"][runtime.settings.dashboards.network]["IPAddress"]
    found = _found(runtime, spec("reach", REACH.replace("{neighbour}", address)))
    assert _answers(address), neighbour.logs()  # the control: it does listen, for the gateway
    for wall in WALLS:
        assert not found[wall], wall
    assert found["bundle"] and found["write tmp"]
    assert found["devices"] == found["privileged"] == found["secrets"] == []
    assert found["processes"] <= 3  # its own alone
    assert not {one for one in found["mounts"] if one.startswith(("/eos", "/var/run", "/root", "/home/"))} - {
        "/home/dashboard"
    }


def _answers(address: str) -> bool:
    import time

    import httpx

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            return httpx.get(f"http://{address}:8866/", timeout=5, trust_env=False).status_code == 200
        except httpx.HTTPError:
            time.sleep(0.2)
    return False
