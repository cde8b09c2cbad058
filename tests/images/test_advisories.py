"""Which packages an advisory speaks of: by OSV's ranges and lists, by pip-audit's findings, by dpkg's order."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from typing import Any

import pytest

from bdap_hub.errors import BadRequest
from bdap_hub.spawning.images.advisories import Package, affected, older, read

SPAN = [{"introduced": "1.0"}, {"fixed": "1.5"}, {"introduced": "2.0"}, {"fixed": "2.1"}]


def osv(name: str, ecosystem: str, events: list[dict[str, str]], versions: tuple[str, ...] = ()) -> dict[str, Any]:
    span = {"type": "ECOSYSTEM", "events": events}
    part = {"package": {"ecosystem": ecosystem, "name": name}, "ranges": [span], "versions": list(versions)}
    return {"id": "X-1", "affected": [part]}


@pytest.mark.parametrize(
    ("version", "hit"),
    [("0.9", False), ("1.0", True), ("1.4.9", True), ("1.5", False), ("1.10", False), ("2.0.1", True), ("2.1", False)],
)
def test_python_ranges(version: str, hit: bool) -> None:
    known = read(osv("My_Package", "PyPI", SPAN))
    assert bool(affected([Package("python", "my-package", version)], known)) is hit


@pytest.mark.parametrize(
    ("package", "hit"),
    [
        (Package("debian", "libx1", "1.2-3", source="x"), True),
        (Package("debian", "x", "1.2-3+deb13u1"), False),
        (Package("debian", "libx1", "1:1.2-3", source="x"), False),
        (Package("debian", "y", "1.2-3"), False),
        (Package("python", "x", "1.2"), False),
    ],
)
def test_debian_packages_are_found_by_their_source(package: Package, hit: bool) -> None:
    known = read(osv("x", "Debian:13", [{"introduced": "0"}, {"fixed": "1.2-3+deb13u1"}]))
    assert bool(affected([package], known)) is hit


def test_listed_versions_no_fix_and_withdrawn() -> None:
    package = Package("python", "x", "3.1")
    listed = osv("x", "PyPI", [{"introduced": "1"}, {"last_affected": "3.1"}], ("3.0", "3.1"))
    assert affected([package], read([listed]))
    assert not affected([Package("python", "x", "3.2")], read([listed]))
    assert affected([package], read({"vulns": [osv("x", "PyPI", [{"introduced": "0"}])]}))
    assert not affected([package], read({**listed, "withdrawn": "2026-01-01T00:00:00Z"}))
    assert not affected([package], read(osv("x", "npm", [{"introduced": "0"}])))


def test_pip_audits_own_output() -> None:
    told = {"dependencies": [{"name": "x", "version": "1.0", "vulns": [{"id": "P-1"}]}, {"name": "y", "version": "2"}]}
    hits = affected([Package("python", "x", "1.0"), Package("python", "y", "2")], read(told))
    assert [(package.name, advisory.id) for package, advisory in hits] == [("x", "P-1")]


@pytest.mark.parametrize("document", [5, ["x"], {"id": "X"}, [{"id": "X", "affected": [{}]}]])
def test_another_json_is_refused(document: Any) -> None:
    with pytest.raises(BadRequest, match="neither OSV records nor pip-audit"):
        read(document)


VERSIONS = (
    *("0", "1.0", "1.0-1", "1.0-01", "1.0~rc1-1", "1.0~", "1.0~~", "1:0.5", "1.0+dfsg-1", "1.0+dfsg1-1", "1.0a", "2"),
    *("1.0.1", "1.10", "1.9", "1.0-1+deb13u1", "1.0-1~bpo1", "1.0-1.1", "1.0--1", "1.0z", "1.0-1+b1"),
)


def dpkg_says(one: str, other: str) -> bool:
    return not subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False).returncode


@pytest.mark.skipif(shutil.which("dpkg") is None, reason="this host has no dpkg")
def test_debian_order_is_dpkgs() -> None:
    """Every pair, by dpkg itself."""
    pairs = list(itertools.permutations(VERSIONS, 2))
    assert [pair for pair in pairs if older("debian", *pair) != dpkg_says(*pair)] == []
