"""Which GPUs there are: what the driver's tool prints (its text is the stand-in for a driver), settings, the engine."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bdap_hub import database
from bdap_hub.cli import main
from bdap_hub.errors import BadSettings, Unavailable
from bdap_hub.settings import GpuSettings, Settings, load
from bdap_hub.spawning.gpu import inventory as gpu_inventory
from bdap_hub.spawning.gpu.inventory import Inventory, cdi_names, devices, parse, served
from bdap_hub.spawning.gpu.placement import Device
from bdap_hub.spawning.gpu.tables import GpuAllocation, allocate

GIB = 2**30
# As the manuals of nvidia-smi and MIG print it.
PLAIN = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-5e3c8f1e-0000-1111-2222-000000000001)
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-5e3c8f1e-0000-1111-2222-000000000002)
"""
PLAIN_QUERY = """\
0, GPU-5e3c8f1e-0000-1111-2222-000000000001, NVIDIA H100 80GB HBM3, 81559, Disabled
1, GPU-5e3c8f1e-0000-1111-2222-000000000002, NVIDIA H100 80GB HBM3, 81559, [N/A]
"""
MIG = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-a)
  MIG 3g.20gb     Device  0: (UUID: MIG-1)
  MIG 1g.5gb      Device  1: (UUID: MIG-2)
  MIG 1g.5gb+me   Device  2: (UUID: MIG-GPU-a/7/0)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-b)
GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-c)
"""
MIG_QUERY = """\
0, GPU-a, NVIDIA A100-SXM4-40GB, 40960, Enabled
1, GPU-b, NVIDIA A100-SXM4-40GB, 40960, Disabled
2, GPU-c, NVIDIA A100-SXM4-40GB, 40960, Enabled
"""
H100 = "GPU-5e3c8f1e-0000-1111-2222-00000000000"
A100 = "NVIDIA A100-SXM4-40GB"


@pytest.mark.parametrize(
    ("listing", "query", "expected"),
    [
        ("", "", []),
        (
            PLAIN,
            PLAIN_QUERY,
            [(f"{H100}{n + 1}", "NVIDIA H100 80GB HBM3", 81559 * 2**20, str(n)) for n in (0, 1)],
        ),
        (PLAIN, "", [(f"{H100}1", "", 0, "0"), (f"{H100}2", "", 0, "1")]),  # an old driver without the fields
        (
            MIG,  # instances stand for their GPU; in MIG mode without an instance it is of no use
            MIG_QUERY,
            [
                ("MIG-1", f"{A100} MIG 3g.20gb", 20 * GIB, "0:0"),
                ("MIG-2", f"{A100} MIG 1g.5gb", 5 * GIB, "0:1"),
                ("MIG-GPU-a/7/0", f"{A100} MIG 1g.5gb+me", 5 * GIB, "0:2"),
                ("GPU-b", A100, 40960 * 2**20, "1"),
            ],
        ),
        ("No devices found.\n", "No devices were found\n", []),
        ("Failed to initialize NVML: Driver/library version mismatch\n", "", []),
        (
            "GPU 0: Tesla T4 (rev (a)) (UUID: GPU-9)\n",
            "0, GPU-9, Tesla T4, [N/A], [N/A]",
            [("GPU-9", "Tesla T4", 0, "0")],
        ),
    ],
)
def test_what_the_driver_says(listing: str, query: str, expected: list[tuple[str, str, int, str]]) -> None:
    found = parse(listing, query, "a", slots=2)
    assert [(d.id, d.model, d.memory, d.index) for d in found] == expected
    assert {(d.node, d.slots) for d in found} <= {("a", 2)}


class Driver:
    """Stands for nvidia-smi; `text` is what it lists."""

    def __init__(self, text: str = PLAIN, query: str = PLAIN_QUERY) -> None:
        self.text, self.query, self.fails, self.asked = text, query, False, threading.Event()

    def __call__(self, arguments: Sequence[str]) -> str:
        if self.fails:
            raise subprocess.CalledProcessError(9, "nvidia-smi")
        if arguments == ["-L"]:
            return self.text
        self.asked.set()
        return self.query


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A /dev with one GPU."""
    monkeypatch.setattr(gpu_inventory, "DEVICES", tmp_path)
    (tmp_path / "nvidia0").touch()
    return tmp_path


def test_a_host_without_gpus_is_asked_nothing(dev: Path) -> None:
    (dev / "nvidia0").unlink()
    (dev / "nvidiactl").touch()
    driver = Driver()
    found = Inventory(driver, lambda: True, lambda: pytest.fail("the engine was asked"))
    assert found.devices() == () and not driver.asked.is_set()


def test_without_the_tool_by_number(dev: Path) -> None:
    for name in ("nvidia10", "nvidia2", "nvidiactl"):
        (dev / name).touch()
    assert [d.id for d in Inventory(Driver(), lambda: False, lambda: ()).devices()] == ["0", "2", "10"]


def test_a_gpu_that_comes_is_found_and_a_failure_forgets_none(dev: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver("GPU 0: T4 (UUID: GPU-1)\n", "0, GPU-1, T4, 15360, [N/A]")
    found = Inventory(driver, lambda: True, lambda: ())
    assert [d.id for d in found.devices("n", 3)] == ["GPU-1"] and found.devices("n", 3)[0].slots == 3
    driver.text += "GPU 1: T4 (UUID: GPU-2)\n"
    driver.asked.clear()
    assert [d.id for d in found.devices()] == ["GPU-1"] and not driver.asked.is_set()  # not yet a minute old
    monkeypatch.setattr(gpu_inventory, "FRESH", 0)
    found.devices()
    assert driver.asked.wait(5)
    monkeypatch.setattr(gpu_inventory, "FRESH", 60)
    found.read()
    assert [d.id for d in found.devices()] == ["GPU-1", "GPU-2"]
    driver.fails = True
    found.read()
    assert [d.id for d in found.devices()] == ["GPU-1", "GPU-2"]
    driver.fails, driver.text = False, "GPU 1: T4 (UUID: GPU-2)\n"
    found.read()
    assert [d.id for d in found.devices()] == ["GPU-2"]


@pytest.mark.parametrize(
    ("engine", "how", "expected"),
    [("docker", (), 2), ("docker", None, 0), ("process", None, 2), ("docker", frozenset({"nvidia.com/gpu=0"}), 2)],
)
def test_gpus_that_the_engine_cannot_hand_out_are_none(
    settings: Settings, dev: Path, monkeypatch: pytest.MonkeyPatch, engine: Any, how: Any, expected: int
) -> None:
    monkeypatch.setattr(gpu_inventory, "host", Inventory(Driver(), lambda: True, lambda: how))
    settings.spawning.engine = engine
    assert len(devices(settings)) == expected


def test_an_engine_that_does_not_answer(settings: Settings, dev: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent() -> None:
        raise Unavailable("the Docker engine does not answer")

    monkeypatch.setattr(gpu_inventory, "host", Inventory(Driver(), lambda: True, silent))
    assert devices(settings) == ()


def test_settings_go_before_the_driver(settings: Settings) -> None:
    settings.spawning.gpus = 2
    assert devices(settings) == (Device("local", "0", index="0"), Device("local", "1", index="1"))
    assert settings.policy().gpus == 2
    settings.spawning.gpus = (GpuSettings(id="GPU-1", model="H100", memory="80G"), GpuSettings(id="MIG-2", shares=1))
    settings.spawning.gpu_shares, settings.spawning.node = 4, "gpu1"
    assert devices(settings) == (Device("gpu1", "GPU-1", "H100", 80 * GIB, 4), Device("gpu1", "MIG-2", slots=1))
    assert settings.policy().gpus == 2
    settings.spawning.gpus = 0
    assert devices(settings) == () and settings.policy(3).gpus == 0


@pytest.mark.parametrize(
    ("gpus", "sentence"),
    [
        ([{"id": "GPU-1"}, {"id": "GPU-1"}], "gpus names 'GPU-1' twice"),
        ([{"id": "a b"}], "pattern"),
        ([{"id": "GPU-1", "shares": 0}], "greater than or equal to 1"),
        (-1, "greater than or equal to 0"),
        ("many", "valid integer"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, gpus: Any, sentence: str) -> None:
    with pytest.raises(BadSettings, match=sentence):
        load(environment="demo", var=tmp_path, spawning={"gpus": gpus})
    good = load(environment="demo", var=tmp_path, spawning={"gpus": [{"id": "GPU-1"}]})
    assert good.spawning.gpu_count == 1
    assert Settings(**good.model_dump(mode="json")).spawning.gpus == good.spawning.gpus


def test_a_memory_that_is_none_is_named(settings: Settings) -> None:
    settings.spawning.gpus = (GpuSettings(id="GPU-1", memory="much"),)
    with pytest.raises(BadSettings, match=r"spawning\.gpus\.memory is 'much'"):
        devices(settings)


@pytest.mark.parametrize(
    ("info", "hook", "expected"),
    [
        ({}, False, None),
        ({}, True, ()),
        ({"Runtimes": {"runc": {}, "nvidia": {}}}, False, ()),
        ({"DiscoveredDevices": [{"Source": "cdi", "ID": "vendor.com/net=1"}]}, False, None),
        ({"DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}]}, False, {"nvidia.com/gpu=0"}),
        ({"DiscoveredDevices": None, "CDISpecDirs": ["/nowhere"]}, False, None),
    ],
)
def test_how_the_engine_hands_them_out(info: dict[str, Any], hook: bool, expected: Any) -> None:
    assert served(info, hook) == expected


def test_a_cdi_description_counts(tmp_path: Path) -> None:
    assert served({"CDISpecDirs": [str(tmp_path)]}, False) is None
    (tmp_path / "nvidia.yaml").touch()
    assert served({"CDISpecDirs": [str(tmp_path)]}, False) == {"nvidia.com/gpu=all"}


@pytest.mark.parametrize(
    ("described", "expected"),
    [
        (None, ()),
        ((), ()),
        ({"nvidia.com/gpu=GPU-1", "nvidia.com/gpu=0"}, ("nvidia.com/gpu=GPU-1", "nvidia.com/gpu=0:1")),
        ({"nvidia.com/gpu=0", "nvidia.com/gpu=0:1"}, ("nvidia.com/gpu=0", "nvidia.com/gpu=0:1")),
        ({"nvidia.com/gpu=all"}, ("nvidia.com/gpu=GPU-1", "nvidia.com/gpu=MIG-1")),
    ],
)
def test_cdi_names(described: Any, expected: tuple[str, ...]) -> None:
    if described and "nvidia.com/gpu=GPU-1" in described:
        described = described | {"nvidia.com/gpu=0:1"}
    known = (Device("a", "GPU-1", index="0"), Device("a", "MIG-1", index="0:1"))
    assert cdi_names(known, ("GPU-1", "MIG-1"), described) == expected


def test_the_command_line(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BDAP_VAR", str(settings.var))
    monkeypatch.setenv("BDAP_ENVIRONMENT", "demo")
    monkeypatch.setenv("BDAP_SPAWNING__GPUS", '[{"id": "GPU-1", "model": "H100", "memory": "80G"}, {"id": "GPU-2"}]')
    sessions = database.connect(settings.database)
    use = {"node": "local", "slot": 0, "image": "gpu", "project": "forest", "since": 1.8e9, "until": None}
    assert allocate(sessions, [GpuAllocation(device="GPU-1", holder="h", person="ana", **use)])
    assert allocate(sessions, [GpuAllocation(device="GPU-9", holder="i", person="ben", **use)])
    listed = CliRunner().invoke(main, ["gpus", "list"])
    assert listed.exit_code == 0, listed.output
    assert listed.output.splitlines() == [
        "local  GPU-1  H100  80 GiB  0 of 1 free",
        "    ana in forest/gpu since 2027-01-15 08:00, until no end",
        "local  GPU-2  -  -  1 of 1 free",
        "local  GPU-9  not found on this host",
        "    ben in forest/gpu since 2027-01-15 08:00, until no end",
    ]
    used = CliRunner().invoke(main, ["gpus", "usage", "--since", "2026-01-01"])
    assert used.exit_code == 0 and used.output == ""  # they begin later than today
    refused = CliRunner().invoke(main, ["gpus", "usage", "--since", "soon"])
    assert refused.exit_code == 1 and "is no date" in refused.output
