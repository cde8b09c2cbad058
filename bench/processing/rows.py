"""Rows of bench/results/processing.json."""

from __future__ import annotations

from typing import Literal

from bench.common import Row

COMMAND = "make bench AREA=processing"


def row(
    case: str, ours: float, peer: str, theirs: float, unit: str, goal: float | None = None,
    better: Literal["lower", "higher"] = "lower",
) -> Row:  # fmt: skip
    """One measured case; figures with three digits that count."""
    return Row(case, _short(ours), peer, _short(theirs), unit, goal, COMMAND, better)


def _short(value: float) -> float:
    return float(f"{value:.3g}") if abs(value) < 1000 else float(round(value))
