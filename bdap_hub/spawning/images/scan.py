"""What an image holds, and what is wrong with it as far as that can be seen without asking anybody.

A later layer hides files of an earlier one, and does not take them away: secrets are looked for in all of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ...errors import BadRequest
from . import advisories, contents, rules
from .advisories import Advisory, Package
from .contents import Contents
from .platform import ca_bundle
from .rules import File, Finding

# Certificates that everybody has: the distribution's, and those that Python's certifi brings.
PUBLIC = (Path("/usr/share/ca-certificates"),)
PEM = re.compile(rb"-----BEGIN CERTIFICATE-----\s(.+?)\s-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Report:
    """What a scan found in an image."""

    reference: str
    packages: tuple[Package, ...]
    findings: tuple[Finding, ...]

    @property
    def serious(self) -> tuple[Finding, ...]:
        """The findings for which an image should not be offered."""
        return tuple(found for found in self.findings if found.serious)

    def as_json(self) -> str:
        """The whole report; the packages are a bill of materials."""
        return json.dumps(asdict(self), indent=1)


@dataclass
class _Shown:
    """Findings and packages of what the image shows in the end, by path: a later layer's file takes them back."""

    seen: dict[str, tuple[int, Finding | None, tuple[Package, ...]]] = field(default_factory=dict)

    def take(self, file: File) -> None:
        if hidden := rules.hidden_by(file.path):
            self._hide(*hidden, file.layer)
            return
        self.seen.pop(file.path, None)
        finding, packages = rules.rights(file), tuple(rules.packages(file))
        if finding or packages:
            self.seen[file.path] = file.layer, finding, packages

    def _hide(self, path: str, only_inside: bool, layer: int) -> None:
        inside = f"{path}/" if path else ""
        for known in [one for one, (where, *_) in self.seen.items() if where < layer]:
            if known.startswith(inside) or (known == path and not only_inside):
                del self.seen[known]


def scan(reference: str, known_problems: Iterable[Advisory] = ()) -> Report:
    """Look through every layer of an image that the engine has."""
    with contents.opened(reference) as image:
        return look(reference, image, known_problems)


def look(reference: str, contents: Contents, known_problems: Iterable[Advisory] = (), first_layer: int = 0) -> Report:
    """The same for an opened image; nothing is said about the layers below `first_layer`."""
    shown, lent = _Shown(), site_certificates()
    findings = set(rules.configured(contents.configuration))
    for file in contents.files(first_layer):
        shown.take(file)
        findings.update(rules.secrets(file, lent))
    findings.update(finding for _, finding, _ in shown.seen.values() if finding)
    packages = sorted({one for *_, held in shown.seen.values() for one in held})
    for package, problem in advisories.affected(packages, known_problems):
        fixed = f"; fixed in {problem.fixed}" if problem.fixed else ""
        findings.add(Finding("advisory", f"{package.name} {package.version}", f"{problem.id}{fixed}"))
    ordered = sorted(findings, key=lambda one: (not one.serious, one.kind, one.where))
    return Report(reference, tuple(packages), tuple(ordered))


def read_advisories(path: Path) -> list[Advisory]:
    """The advisories of a JSON file."""
    try:
        return advisories.read(json.loads(path.read_bytes()))
    except ValueError as error:
        raise BadRequest(f"{path} is no JSON: {error}", "give a file of OSV records, or pip-audit's output") from None


def site_certificates() -> tuple[bytes, ...]:
    """A line of each certificate that this host trusts and the public lists do not have."""
    bundle = ca_bundle()
    if bundle is None:
        return ()
    public = {one for folder in PUBLIC for file in folder.rglob("*.crt") for one in _marks(file.read_bytes())}
    return tuple(sorted(_marks(Path(bundle).read_bytes()) - public))


def _marks(pem: bytes) -> set[bytes]:
    """From the middle of each certificate: there stands its key, which no other has."""
    bodies = (body.split() for body in PEM.findall(pem))
    return {lines[len(lines) // 2] for lines in bodies if lines}
