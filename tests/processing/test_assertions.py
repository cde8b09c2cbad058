"""openEO's own assertions ($BDAP_TEST_DATA): what does not pass is what the table of unmet ones says, no more, no less.

The examples of the specifications, which are part of the project, run always: see test_values.py.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from bdap_hub.processing.processes import REGISTRY
from bdap_hub.processing.service.process_page import NOT_HERE

from .assertions import cases, outcome
from .unmet import UNMET

LEAST = 960


@pytest.fixture(scope="module")
def published(real_data: Path) -> Path:
    folder = real_data / "openeo-processes"
    if not folder.is_dir():
        pytest.skip("BDAP_TEST_DATA has no openeo-processes: the standard's assertions are not part of the project")
    return folder


def test_all_assertions_pass_but_those_named(published: Path, artifacts: Path) -> None:
    every = list(cases(published / "tests"))
    unmet = {case.name: wrong for case in every if (wrong := outcome(case))}
    passed = Counter(case.process for case in every if case.name not in unmet)
    report = {
        "collected": len(every),
        "passed": len(every) - len(unmet),
        "by_process": {name: [passed[name], count] for name, count in Counter(c.process for c in every).items()},
        "unmet": unmet,
    }
    (artifacts / "openeo-assertions.json").write_text(json.dumps(report, indent=1, ensure_ascii=False))
    assert unmet.keys() == UNMET.keys(), {name: unmet.get(name, "passes now") for name in unmet.keys() ^ UNMET.keys()}
    assert report["passed"] >= LEAST


def test_the_runner_tells_right_from_wrong(published: Path) -> None:
    """Each case with another expectation fails: else a runner that compares nothing would pass."""
    tried = 0
    for case in cases(published / "tests"):
        wanted = case.raw.get("returns")
        if case.name in UNMET or not isinstance(wanted, (int, float, str)) or "throws" in case.raw:
            continue
        other = (not wanted) if isinstance(wanted, bool) else [wanted]
        raw = {**case.raw, "returns": other}
        assert outcome(type(case)(case.name, case.process, case.level, raw, case.folder)), case.name
        tried += 1
    assert tried > 500


def test_the_specifications_are_the_published_ones(published: Path) -> None:
    for path in (published / "specs").glob("*.json"):
        assert path.stem in REGISTRY or path.stem in NOT_HERE, path.stem
        if path.stem in REGISTRY:
            assert REGISTRY[path.stem].specification == json.loads(path.read_text("utf-8"))
    named = {case.process for case in cases(published / "tests")}
    assert named <= {*REGISTRY, *NOT_HERE} and not set(REGISTRY) & set(NOT_HERE)
