"""What is run by hand only is at least not left behind when the code moves: every part of bench/ can be imported."""

from __future__ import annotations

import importlib

import pytest

from tests.conftest import ROOT

PARTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "bench").rglob("*.py")
    if path.name not in ("__main__.py", "__init__.py", "gpu_step.py")  # those that run where they are imported
)


@pytest.mark.parametrize("name", PARTS)
def test_it_can_be_imported(name: str) -> None:
    assert importlib.import_module(name)
