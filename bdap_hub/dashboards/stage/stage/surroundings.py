"""The environment without what is the stage's own: for the notebook, and for Voilà."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

NPM = "BDAP_STAGE_NPM"  # where the npm packages of pages lie
CODE = str(Path(__file__).parent.parent)


def without_stage(environment: Mapping[str, str]) -> dict[str, str]:
    """The same, but for where the stage's code and packages are."""
    kept = {name: value for name, value in environment.items() if name not in (NPM, "PYTHONPATH")}
    paths = [path for path in environment.get("PYTHONPATH", "").split(":") if path and path != CODE]
    return {**kept, "PYTHONPATH": ":".join(paths)} if paths else kept
