"""The sandbox's walls, from inside: hostile code in real containers, each beside the same thing done rightly."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import numpy as np
import pytest

from bdap_hub.errors import BdapError
from bdap_hub.processing.cancel import CallerGone, Cancel
from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.udf import pool
from bdap_hub.processing.udf.container import FIRST_UID, container_spec
from bdap_hub.processing.udf.messages import Arrays
from bdap_hub.processing.udf.pool import Owner, Udfs
from bdap_hub.settings import Settings
from bdap_hub.spawning.images.platform import build

from ..conftest import make_settings
from .udf_codes import DOUBLE, MEDIAN, OLDER, OVER_DATA, code, tried

pytestmark = pytest.mark.docker
ANA, BEN = Owner("ana", "1"), Owner("ben", "2")
UDF = {"workers": 3, "warm": 1, "memory": "256M", "seconds": 60, "array_mb": 16}


@pytest.fixture(scope="module")
def udf_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    try:
        docker.from_env().images.get("bdap/udf:latest")
    except docker.errors.ImageNotFound:
        build(["udf"])
    return make_settings(tmp_path_factory.mktemp("udf") / "var", processing={"udf": UDF})


@pytest.fixture(scope="module")
def udfs(udf_settings: Settings) -> Iterator[Udfs]:
    made = Udfs(udf_settings)
    yield made
    made.close()
    deadline = time.monotonic() + 30
    while containers(udf_settings) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert containers(udf_settings) == []


def containers(settings: Settings) -> list[Any]:
    filters = {"label": [f"bdap.hub={settings.install_id}", "bdap.kind=udf"]}
    found: list[Any] = docker.from_env().containers.list(all=True, filters=filters, ignore_removed=True)
    return found


def given(*shape: int) -> Arrays:
    values = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    dims = ("t", "bands", "y", "x")[-len(shape) :]
    labels = {"t": [f"2024-0{n + 1}-01T10:00:00Z" for n in range(shape[0])]} if len(shape) == 4 else {}
    return Arrays(values, dims, labels, "t")


SMALL = given(2, 3)


def one(udfs: Udfs, text: str, owner: Owner = ANA) -> float:
    """The one value that some code gives for every pixel."""
    (found,) = set(udfs.run(owner, text, SMALL, {}).values.ravel().tolist())
    return float(found)


def test_it_gives_what_numpy_gives(udfs: Udfs) -> None:
    cube = given(4, 2, 5, 6)
    cube.values[1, 0, 2, 3] = np.nan
    found = udfs.run(ANA, MEDIAN, cube, {})
    np.testing.assert_array_equal(found.values, np.nanmedian(cube.values, axis=0))
    assert found.dims == ["bands", "y", "x"]
    np.testing.assert_array_equal(udfs.run(ANA, DOUBLE, cube, {"add": 3}).values, cube.values * 2 + 3)
    year = udfs.run(ANA, code("return cube.t.dt.month.astype('f4')"), cube, {})
    assert year.values.tolist() == [1, 2, 3, 4]


def test_older_signatures_work(udfs: Udfs) -> None:
    np.testing.assert_array_equal(udfs.run(ANA, OLDER, SMALL, {}).values, SMALL.values * 2)
    np.testing.assert_array_equal(udfs.run(ANA, OVER_DATA, SMALL, {"by": 3}).values, SMALL.values * 3)


def test_an_error_shows_the_lines_of_the_code_and_nothing_else(udfs: Udfs) -> None:
    with pytest.raises(GraphError, match="ZeroDivisionError") as caught:
        udfs.run(ANA, code("wrong = 1 / 0\nreturn cube"), SMALL, {})
    assert "wrong = 1 / 0" in caught.value.message and 'File "udf.py", line 6' in caught.value.message
    assert "/" not in caught.value.message.replace("1 / 0", "")
    with pytest.raises(GraphError, match="SyntaxError"):
        udfs.run(ANA, "def broken(:\n", SMALL, {})
    with pytest.raises(GraphError, match="defines neither"):
        udfs.run(ANA, "x = 1\n", SMALL, {})
    assert one(udfs, code("return cube * 0 + 1")) == 1  # an ordinary error costs nobody the sandbox


HARMLESS = {
    "its own scratch": "open('/tmp/x', 'w').write('1'); assert open('/tmp/x').read() == '1'",
    "its own memory": "assert open('/proc/self/mem', 'rb')",
    "a pipe": "os.pipe()",
    "a thread": "import threading; t = threading.Thread(target=print); t.start(); t.join()",
    "its libraries": "import scipy.ndimage, pandas",
}
REFUSED = {
    "a socket": "import socket; socket.socket()",
    "a unix socket": "import socket; socket.socket(socket.AF_UNIX)",
    "a name": "import socket; socket.gethostbyname('gateway.test')",
    "a request": "import urllib.request; urllib.request.urlopen('http://169.254.169.254/', timeout=2)",
    "the store": "assert os.listdir('/eos')",
    "the engine": "os.stat('/var/run/docker.sock')",
    "writing beside": "open('/etc/x', 'w')",
    "writing in the libraries": "open(np.__file__, 'a')",
    "a program of its own": "open('/tmp/p', 'w').write('#!/bin/sh'); os.chmod('/tmp/p', 511); os.execv('/tmp/p', 'p')",
    "another user": "os.setuid(0)",
    "a namespace": "os.unshare(os.CLONE_NEWUSER)",
    "a device": "os.mknod('/tmp/d', 0o600 | 0o020000, os.makedev(1, 1))",
    "the host's memory": "open('/proc/kcore', 'rb').read(1)",
    "other processes": "assert [p for p in os.listdir('/proc') if p.isdigit() and int(p) != os.getpid()]",
    "tracing": "import ctypes; assert ctypes.CDLL(None).ptrace(0, 0, 0, 0) == 0",
    "settings of the kernel": "open('/proc/sys/kernel/core_pattern', 'w')",
    "much scratch": "open('/tmp/big', 'wb').write(bytes(64 << 20))",
}


@pytest.mark.parametrize("what", HARMLESS)
def test_what_numerical_code_needs_works(udfs: Udfs, what: str) -> None:
    assert one(udfs, tried(HARMLESS[what])) == 1


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_leads_out(udfs: Udfs, what: str) -> None:
    assert one(udfs, tried(REFUSED[what])) == 0


def test_it_holds_no_secret_and_no_right(udfs: Udfs, udf_settings: Settings) -> None:
    os.environ["BDAP_TEST_SECRET"] = "not-for-code"
    try:
        report = """
            status = dict(l.split(':\\t', 1) for l in open('/proc/self/status').read().splitlines() if ':\\t' in l)
            names = ' '.join(sorted(os.environ)) + repr(os.environ)
            mounts = open('/proc/self/mounts').read()
            import json
            raise ValueError(json.dumps({
                'uid': os.getuid(), 'groups': os.getgroups(), 'caps': status['CapEff'] + status['CapBnd'],
                'new': status['NoNewPrivs'], 'seccomp': status['Seccomp'], 'names': names,
                'net': sorted(os.listdir('/sys/class/net')),
                'writable': sorted(p for p in {l.split()[1] for l in mounts.splitlines()}
                                   if os.path.isdir(p) and os.access(p, os.W_OK)),
            }))"""
        with pytest.raises(GraphError) as caught:
            udfs.run(Owner("ana", "fresh"), code(report), SMALL, {})
    finally:
        del os.environ["BDAP_TEST_SECRET"]
    found = json.loads(caught.value.message.partition("ValueError: ")[2])
    assert found["uid"] >= FIRST_UID and found["groups"] in ([], [found["uid"]])
    assert set(found["caps"]) == {"0"} and (found["new"], found["seccomp"]) == ("1", "2")
    assert "PATH" in found["names"] and "not-for-code" not in found["names"] and "BDAP" not in found["names"]
    assert found["net"] == ["lo"] and found["writable"] == ["/dev/mqueue", "/dev/shm", "/tmp"]


def test_nobody_gets_a_sandbox_that_another_graph_had(udfs: Udfs) -> None:
    leave, look = "open('/tmp/left', 'w').write('secret')", "assert os.path.exists('/tmp/left')"
    assert one(udfs, tried(leave), ANA) == 1
    assert one(udfs, tried(look), ANA) == 1  # the same graph's: its own things are there
    for other in (BEN, Owner("ana", "3")):
        assert one(udfs, tried(look), other) == 0


ENDS: dict[str, tuple[str, str]] = {
    "an endless loop": ("while True: pass", "UdfTimeout"),
    "much memory": ("x = np.ones(2**28); x += 1", "UdfFailed"),
    "its end": ("os._exit(0)", "UdfFailed"),
    "a huge result": ("return xarray.DataArray(np.zeros((5000, 5000)))", "UdfFailed"),
    "noise": ("while True: os.write(WIRE, b'\\xff' * 65536)", "UdfFailed"),
    "a pickle": ("import json, struct; h = json.dumps({'shape': [1], 'dtype': '|O', 'dims': ['x']}).encode(); "
                 "os.write(WIRE, struct.pack('<II', len(h), 8) + h + bytes(8))", "UdfFailed"),
}  # fmt: skip


@pytest.mark.parametrize("what", ENDS)
def test_what_does_not_end_well_is_stopped_and_others_are_served(udf_settings: Settings, udfs: Udfs, what: str) -> None:
    body, expected = ENDS[what]
    hasty = udf_settings.model_copy(deep=True)
    hasty.processing.udf.seconds = 5 if expected == "UdfTimeout" else 60
    hasty.processing.udf.warm = 0
    own = Udfs(hasty)
    wire = "import fcntl\nWIRE = max(f for f in map(int, os.listdir('/proc/self/fd')) if f < 12 and f != 0 and "
    wire += "os.path.exists(f'/proc/self/fd/{f}') and fcntl.fcntl(f, fcntl.F_GETFL) & 1)\n"
    try:
        assert one(own, code("return cube * 0 + 1"), BEN) == 1
        with pytest.raises(GraphError) as caught:
            own.run(ANA, code(wire + body), SMALL, {})
        assert caught.value.code == expected
        with pytest.raises(GraphError, match="a moment ago"):
            own.run(ANA, DOUBLE, SMALL, {})
        assert one(own, code("return cube * 0 + 1"), BEN) == 1
    finally:
        own.close()


def test_a_fork_bomb_stays_inside(udfs: Udfs) -> None:
    bomb = """
        made = 0
        try:
            while made < 500:
                if os.fork() == 0:
                    import time
                    time.sleep(60)
                    os._exit(0)
                made += 1
        except OSError:
            pass
        return cube * 0 + made"""
    assert 1 <= one(udfs, code(bomb), Owner("ana", "bomb")) < 40
    assert one(udfs, code("return cube * 0 + 1"), BEN) == 1


@pytest.mark.parametrize("text", ["return cube.astype(object)", "return 'text'", "return None", "return cube.t"])
def test_a_result_that_is_no_numbers_is_refused(udfs: Udfs, text: str) -> None:
    with pytest.raises(GraphError):
        udfs.run(ANA, code(text), SMALL, {})
    assert udfs.run(ANA, code("return cube > 2"), SMALL, {}).values.tolist() == [[0, 0, 0], [1, 1, 1]]


def test_a_large_array_is_not_sent(udfs: Udfs) -> None:
    with pytest.raises(BdapError, match="the limit is 16"):
        udfs.run(ANA, DOUBLE, given(1, 1, 2100, 2100), {})
    assert udfs.run(ANA, DOUBLE, given(1, 1, 1900, 1900), {}).values.shape == (1, 1, 1900, 1900)


def test_calls_of_several_share_what_there_is(udfs: Udfs) -> None:
    found: list[float] = []
    slow = code("import time; time.sleep(0.2)\nreturn cube * 0 + 7")
    owners = [Owner(f"person{n % 4}", f"g{n % 4}") for n in range(8)]
    threads = [threading.Thread(target=lambda o=o: found.append(one(udfs, slow, o))) for o in owners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert found == [7.0] * 8
    assert len(udfs._workers) <= 3


def test_the_container_is_what_it_should_be(tmp_path: Path, udf_settings: Settings) -> None:
    spec = container_spec(udf_settings, FIRST_UID + 5, "n")
    assert "mounts" not in spec and "volumes" not in spec and "ports" not in spec
    assert (spec["network_mode"], spec["read_only"], spec["cap_drop"]) == ("none", True, ["ALL"])
    assert spec["mem_limit"] == spec["memswap_limit"] == "256M" and spec["pids_limit"] == 32
    assert spec["environment"].keys() == {"HOME", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}


def left(udfs: Udfs, text: str, owner: Owner) -> None:
    """The code is called for an evaluation that is to end while it runs."""
    cancel = Cancel()
    threading.Timer(1.5, cancel.now, [CallerGone()]).start()
    with pytest.raises(CallerGone):
        cancel.run(lambda: udfs.run(owner, text, SMALL, {}))


def test_when_the_viewer_leaves_code_is_killed_unless_it_ends_soon(udfs: Udfs, monkeypatch: pytest.MonkeyPatch) -> None:
    """The evaluation ends at once. Who wrote the code is not to blame: it may be called again at once."""
    slow, quick = Owner("ana", "slow"), Owner("ana", "quick")
    for owner in (slow, quick):
        assert one(udfs, code("open('/tmp/left', 'w')\nreturn cube * 0 + 1"), owner) == 1
    with monkeypatch.context() as patch:
        patch.setattr(pool, "GRACE", 30.0)
        left(udfs, code("import time; time.sleep(2)\nreturn cube"), quick)
    left(udfs, code("while True: pass"), slow)
    until = time.monotonic() + 30
    while any(worker.busy for worker in udfs._workers) and time.monotonic() < until:
        time.sleep(0.1)
    there = code("return cube * 0 + os.path.exists('/tmp/left')")
    assert one(udfs, there, quick) == 1  # its sandbox is the same
    assert one(udfs, there, slow) == 0
