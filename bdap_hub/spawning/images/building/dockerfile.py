"""A project's Dockerfile: what it may say. PURE: no I/O.

This is for clear sentences, not for safety: whatever a recipe does, it does in a container that holds nothing, and only
layers on the platform's own image are taken from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ....errors import BadRequest

BASE = "localhost/base"  # what the builder knows the platform's image by
# The platform says how a server starts, as whom, and what it may reach.
PLATFORMS_OWN = frozenset(
    {"CMD", "ENTRYPOINT", "EXPOSE", "HEALTHCHECK", "MAINTAINER", "ONBUILD", "STOPSIGNAL", "VOLUME"}
)
KNOWN = frozenset({"ADD", "ARG", "COPY", "ENV", "FROM", "LABEL", "RUN", "SHELL", "USER", "WORKDIR"})
MOUNTS = frozenset({"cache", "tmpfs"})
HEREDOC = re.compile(r"<<-?\s*[\"']?[A-Za-z_]")
FINISH = (
    "USER 0:0\n"
    'RUN ["/bin/sh", "-c", "find / -xdev -type f -perm /6000 -exec chmod a-s {} +; rm -rf /var/lib/apt/lists/* '
    '/root/.cache /opt/bdap/.lock"]\n'
)


@dataclass(frozen=True)
class Instruction:
    """One instruction, with its continued lines joined; `line` is where it begins."""

    name: str
    flags: tuple[str, ...]
    rest: str
    line: int


def overlay(text: str, bases: Mapping[str, str]) -> tuple[str, str]:
    """What is built of a project's Dockerfile, and the reference of the platform's image that it starts from.

    `bases` gives that reference by each name that FROM may have. BadRequest names the line that may not be.
    """
    found: set[str] = set()
    stages: set[str] = set()
    lines: list[str] = []
    for one in instructions(text):
        _check(one, stages)
        rest = one.rest
        if one.name == "FROM":
            wanted, stage = _from(one, bases, stages)
            if wanted in bases:
                found.add(bases[wanted])
                wanted = BASE
            stages |= {stage} - {""}
            rest = f"{wanted} AS {stage}" if stage else wanted
        lines.append(" ".join((one.name, *one.flags, rest)).rstrip())
    if not lines or not lines[0].startswith(("FROM", "ARG")):
        raise BadRequest("the Dockerfile does not begin with FROM", f"begin it with FROM {_names(bases)}")
    if len(found) != 1:
        raise BadRequest(f"the Dockerfile starts from {sorted(found) or 'nothing'}", "start from one platform image")
    return "\n".join(lines) + "\n" + FINISH, found.pop()


def instructions(text: str) -> Iterator[Instruction]:
    """The Dockerfile's instructions; BadRequest for what we do not read as the builder does."""
    joined, begin = "", 0
    for number, line in enumerate(text.replace("\r\n", "\n").split("\n"), 1):
        stripped = line.strip()
        if re.match(r"#\s*(syntax|escape|check)\s*=", stripped, re.IGNORECASE):
            raise BadRequest(f"line {number} of the Dockerfile is a directive: {stripped[:60]}", "leave it out")
        if not stripped or stripped.startswith("#"):
            continue
        begin = begin or number
        joined += line.rstrip().removesuffix("\\")
        if not stripped.endswith("\\"):
            yield _instruction(joined.strip(), begin)
            joined, begin = "", 0
    if joined.strip():
        yield _instruction(joined.strip(), begin)


def _instruction(text: str, line: int) -> Instruction:
    name, _, rest = text.partition(" ")
    words, flags = rest.split(), []
    while words and words[0].startswith("--"):
        flags.append(words.pop(0))
        rest = rest.strip().removeprefix(flags[-1])
    if HEREDOC.search(rest):
        raise BadRequest(f"line {line} of the Dockerfile has a here-document", "put the script in a file and COPY it")
    return Instruction(name.upper(), tuple(flags), rest.strip(), line)


def _check(one: Instruction, stages: set[str]) -> None:
    where = f"line {one.line} of the Dockerfile"
    if one.name in PLATFORMS_OWN:
        raise BadRequest(f"{where} says {one.name}, which the platform decides", "leave it out")
    if one.name not in KNOWN:
        raise BadRequest(
            f"{where} says {one.name[:40]!r}, which is no instruction", "see docs/how-to/project-images.md"
        )
    for flag in one.flags:
        key, _, value = flag.partition("=")
        if not _allowed(one.name, key, value, stages):
            raise BadRequest(f"{where} says {one.name} {flag[:80]}, which is not allowed", "leave it out")
    if one.name == "ADD" and re.search(r"\w+://|\bgit@", one.rest):
        raise BadRequest(f"{where} adds an address", "fetch it with RUN, from a host of builder.registries")


def _allowed(name: str, key: str, value: str, stages: set[str]) -> bool:
    if name in ("COPY", "ADD"):
        return key in ("--chown", "--chmod") or (name == "COPY" and key == "--from" and value in stages)
    if name == "RUN" and key == "--mount":
        parts = dict(part.partition("=")[::2] for part in value.split(","))
        return parts.get("type") in MOUNTS and "from" not in parts
    return False


def _from(one: Instruction, bases: Mapping[str, str], stages: set[str]) -> tuple[str, str]:
    words = one.rest.split()
    wanted, stage = words[0] if words else "", words[2] if len(words) == 3 and words[1].upper() == "AS" else ""
    if len(words) not in (1, 3) or (len(words) == 3 and not re.fullmatch(r"[a-z][a-z0-9_-]*", stage)):
        raise BadRequest(f"line {one.line} of the Dockerfile is no FROM that we know", "write FROM image [AS stage]")
    if wanted not in stages and wanted not in bases:
        raise BadRequest(
            f"line {one.line} of the Dockerfile starts from {wanted[:80]!r}, which the project may not build on",
            f"start from {_names(bases)}",
        )
    return wanted, stage


def _names(bases: Mapping[str, str]) -> str:
    return " or ".join(sorted(bases, key=lambda name: (len(name), name))[:3])
