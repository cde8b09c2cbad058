"""Training steps in the GPU image, on a GPU and on the same machine's CPU. `python -m bench.gpu [IMAGE]`.

The peer is the same program in the same image without a GPU: what a GPU gives, and that the image can use it. Without
a GPU nothing is written: the steps run on the CPU and say so.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from bdap_hub.settings import load
from bdap_hub.spawning.gpu import inventory as gpu_inventory
from bdap_hub.spawning.images import platform as images

from .common import Row, write

PROGRAM = Path(__file__).parent / "gpu_step.py"
COMMAND = "python -m bench.gpu"
LIMITS = (
    "--network=none",
    "--user=23456:23456",
    "--cap-drop=ALL",
    "--read-only",
    "--tmpfs=/tmp:exec",
    "--env=HOME=/tmp",
)
KNOBS = [f"--env={name}={os.environ[name]}" for name in ("SIZE", "STEPS") if name in os.environ]


def measure(image: str, *options: str) -> list[dict[str, object]]:
    """What the program says in that image; `options` are the container's."""
    command = [images.docker_client(), "run", "--rm", "--interactive", *LIMITS, *KNOBS, *options, image, "python", "-"]
    done = subprocess.run(command, input=PROGRAM.read_text(), capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"the steps failed: {(done.stderr.strip() or 'no output').splitlines()[-1]}")
    return list(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Measure on what there is; write results only for a GPU."""
    image = sys.argv[1] if len(sys.argv) > 1 else "bdap/gpu"
    gpus = gpu_inventory.devices(load(environment="demo"))
    on_cpu = measure(image, "--env=CUDA_VISIBLE_DEVICES=", "--env=JAX_PLATFORMS=cpu")
    if not gpus:
        print("NOTE: this machine has no GPU. These steps ran on the CPU; nothing is written to bench/results.")
        for one in on_cpu:
            learned = f"loss {one['first']:.4f} -> {one['last']:.4f}"
            print(f"{one['library']} on {one['device']}: {one['ms']} ms a step, {learned}")
        return
    on_gpu = measure(image, f"--gpus=device={gpus[0].id}")
    rows = [_row(mine, its) for mine, its in zip(on_gpu, on_cpu, strict=True) if mine["on_gpu"] and _learned(mine)]
    if len(rows) < len(on_gpu):
        sys.exit(f"the GPU was not used, or nothing was learned: {on_gpu}")
    write("gpu", rows)


def _learned(told: dict[str, object]) -> bool:
    return float(str(told["last"])) < float(str(told["first"]))


def _row(mine: dict[str, object], its: dict[str, object]) -> Row:
    case = f"training step, {mine['library']} on {mine['device']}"
    peer = f"the same on {its['device']}"
    return Row(case, float(str(mine["ms"])), peer, float(str(its["ms"])), "ms", None, COMMAND)


if __name__ == "__main__":
    main()
