"""Which packages of an image a file of advisories speaks of. PURE: no I/O; the operator brings the file.

Known are OSV records (one, a list, or {"vulns": [...]}) and what `pip-audit --format json` writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from packaging.version import InvalidVersion, Version

from ...errors import BadRequest

System = Literal["debian", "python"]
ECOSYSTEMS: dict[str, System] = {"PyPI": "python", "Debian": "debian"}


@dataclass(frozen=True, order=True)
class Package:
    """An installed package. `source` is the Debian source package that it was made from."""

    system: System
    name: str
    version: str
    source: str = ""


@dataclass(frozen=True)
class Advisory:
    """A problem of `versions`, or else of those from `introduced` up to before `fixed` ('': there is no fix yet)."""

    id: str
    system: System
    name: str
    introduced: str = "0"
    fixed: str = ""
    versions: tuple[str, ...] = ()


def read(document: Any) -> list[Advisory]:
    """The advisories of a parsed JSON file; BadRequest where it is of neither kind."""
    try:
        if isinstance(document, dict) and "dependencies" in document:
            return list(_pip_audit(document["dependencies"]))
        records = document.get("vulns", [document]) if isinstance(document, dict) else document
        return [one for record in records for one in _osv(record)]
    except (TypeError, KeyError, AttributeError):
        raise BadRequest(
            "the advisories are neither OSV records nor pip-audit's JSON", "see https://ossf.github.io/osv-schema"
        ) from None


def affected(packages: Iterable[Package], advisories: Iterable[Advisory]) -> list[tuple[Package, Advisory]]:
    """Each package with each advisory that holds for its version."""
    known: dict[tuple[str, str], list[Advisory]] = {}
    for advisory in advisories:
        known.setdefault((advisory.system, _key(advisory.system, advisory.name)), []).append(advisory)
    found: dict[tuple[Package, Advisory], None] = {}
    for package in packages:
        for name in (package.name, package.source):
            for advisory in known.get((package.system, _key(package.system, name)), ()):
                if _holds(package, advisory):
                    found[package, advisory] = None
    return list(found)


def older(system: System, one: str, other: str) -> bool:
    """Whether version `one` comes before `other`, as that system orders them."""
    if system == "debian":
        return _debian_key(one) < _debian_key(other)
    try:
        return Version(one) < Version(other)
    except InvalidVersion:
        return _debian_key(one) < _debian_key(other)


def _holds(package: Package, advisory: Advisory) -> bool:
    if advisory.versions:
        return package.version in advisory.versions
    if advisory.introduced not in ("", "0") and older(package.system, package.version, advisory.introduced):
        return False
    return not advisory.fixed or older(package.system, package.version, advisory.fixed)


def _key(system: System, name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower() if system == "python" else name


def _osv(record: dict[str, Any]) -> Iterator[Advisory]:
    if record.get("withdrawn"):
        return
    for part in record["affected"]:
        system = ECOSYSTEMS.get(part["package"]["ecosystem"].partition(":")[0])
        if system is None:
            continue
        name = part["package"]["name"]
        if part.get("versions"):
            yield Advisory(record["id"], system, name, versions=tuple(part["versions"]))
        for span in part.get("ranges", ()):
            if span["type"] != "GIT":
                yield from (Advisory(record["id"], system, name, *ends) for ends in _spans(span["events"]))


def _spans(events: Iterable[dict[str, str]]) -> Iterator[tuple[str, str]]:
    """From each `introduced` to the `fixed` after it; where only the last bad one is known, `versions` say which."""
    introduced = ""
    for event in events:
        if "introduced" in event:
            introduced = event["introduced"]
        elif introduced and "fixed" in event:
            yield introduced, event["fixed"]
            introduced = ""
        elif "last_affected" in event:
            introduced = ""
    if introduced:
        yield introduced, ""


def _pip_audit(dependencies: Iterable[dict[str, Any]]) -> Iterator[Advisory]:
    for dependency in dependencies:
        for found in dependency.get("vulns", ()):
            yield Advisory(found["id"], "python", dependency["name"], versions=(dependency["version"],))


_NUMBER = re.compile(r"(\D*)(\d*)")


def _debian_key(version: str) -> tuple[Any, ...]:
    """A key that orders as dpkg does (Debian Policy, 5.6.12): epoch, upstream version, revision."""
    epoch, colon, rest = version.rpartition(":")
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch) if colon and epoch.isdigit() else 0, _part_key(upstream), _part_key(revision)


def _part_key(part: str) -> tuple[Any, ...]:
    """Letters before signs, `~` before the end of the part, numbers by value."""
    found = []
    for text, number in _NUMBER.findall(part):
        found.append(((*map(_weight, text), 0), int(number or 0)))
    return tuple(found)


def _weight(sign: str) -> int:
    if sign == "~":
        return -1
    return ord(sign) if sign.isalpha() else ord(sign) + 256
