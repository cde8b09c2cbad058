"""The GPU image's recipe, in its variant without CUDA: it is built, its check passes, and a model learns in it.

The real one is several gigabytes and built on demand. Wheels of PyTorch without CUDA are not on the public index: this
variant holds JAX alone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from bdap_hub.spawning.images import platform as images
from bdap_hub.spawning.images import recipes

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def variant() -> Iterator[str]:
    """Under a name of its own: a real `bdap/gpu` of this host stays what it is."""
    images.build(["lab"])
    made_of = replace(recipes.recipe("gpu"), name=f"bdaptest-gpu-{uuid.uuid4().hex[:8]}")
    images._build_one(made_of, "none", None, ["VARIANT=cpu"], print, False)
    yield made_of.name
    subprocess.run([images.docker_client(), "image", "rm", made_of.reference], capture_output=True, check=True)


def test_its_check_passes(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "recipe", lambda name: None)
    told = images.verify(variant)
    assert "jax" in told
    assert "jupyterhub-singleuser" in told, "the checks of the images below did not run"


def test_a_model_learns_in_it(variant: str) -> None:
    """By the bench's own program, on the CPU, which it says; results are for a GPU alone."""
    command = [sys.executable, "-m", "bench.gpu", f"bdap/{variant}"]
    environment = {**os.environ, "SIZE": "64", "STEPS": "20"}
    done = subprocess.run(command, cwd=recipes.ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    if "NOTE" not in done.stdout:
        pytest.skip("this machine has a GPU: see `make bench AREA=gpu`")
    line = next(line for line in done.stdout.splitlines() if line.startswith("jax "))
    first, last = re.findall(r"loss ([0-9.]+) -> ([0-9.]+)", line)[0]
    assert float(last) < float(first)
