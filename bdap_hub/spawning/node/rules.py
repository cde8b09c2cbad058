"""What root's part may be asked to do. PURE: from what the machine's own configuration says, never from the caller."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

CONTAINER = re.compile(r"[0-9a-f]{64}")
REFERENCE = re.compile(r"[a-z0-9][a-z0-9._:/-]*(@sha256:[0-9a-f]{64})?")
WAITING, SERVER = "warm", "server"  # in the label bdap.kind
CLAIM = "/run/bdap/"  # where a waiting container has its secret; root's own
FOR_THE_PERSON = "/run/bdap-tls/"
NEVER_OVER = ("/proc", "/sys", "/dev")
LIMITS = {"Memory", "MemorySwap", "NanoCpus", "PidsLimit"}


class Refused(Exception):
    """It is not among what this machine's part does."""


@dataclass(frozen=True)
class Rules:
    """`install`: the platform whose containers these are. `read`, `write`: folders of this machine whose content
    servers may have, to read or also to write in. `lowest`: the first number that is a person's or a project's.
    """

    install: str
    read: tuple[str, ...]
    write: tuple[str, ...]
    lowest: int

    def container(self, labels: Mapping[str, str], kinds: Iterable[str]) -> None:
        """Refuse all but those of this platform, and of these kinds."""
        if labels.get("bdap.hub") != self.install or labels.get("bdap.kind") not in kinds:
            raise Refused("the container is none of this platform's, or not of the kind that this is for")

    def mount(self, mount: Mapping[str, Any]) -> dict[str, Any]:
        """The mount with its source as a folder of the configuration (`root`) and the way from there (`rest`)."""
        source, target = str(mount["source"]), str(mount["target"])
        allowed = self.write if not mount["read_only"] else (*self.read, *self.write)
        root = max((one for one in allowed if _inside(source, one)), key=len, default="")
        if not root or not _plain(source):
            raise Refused(f"{source} is in no folder that servers may {'have' if mount['read_only'] else 'write in'}")
        if not _plain(target) or any(_inside(target, one) for one in NEVER_OVER):
            raise Refused(f"nothing is mounted at {target}")
        if mount["propagation"] not in ("rprivate", "rslave"):
            raise Refused(f"the propagation {mount['propagation']} is not for servers")
        return {**mount, "root": root, "rest": source[len(root) :].strip("/")}

    def file(self, file: Mapping[str, Any], begins: bool) -> None:
        """Certificates and the like, for a person to read; and the secret of a container that begins to wait."""
        path, owners = str(file["path"]), (int(file["uid"]), int(file["gid"]))
        persons = path.startswith(FOR_THE_PERSON) and min(owners) >= self.lowest
        roots = begins and path.startswith(CLAIM) and owners == (0, 0)
        if not _plain(path) or not (persons or roots) or int(file["mode"]) & ~0o600:
            raise Refused(f"no such file is written: {path}")

    def claim(self, claim: Mapping[str, Any]) -> None:
        """It makes nobody root, nor an account of the machine."""
        if min(map(int, (claim["uid"], claim["gid"], *claim["groups"]))) < self.lowest:
            raise Refused(f"a server's ids begin at {self.lowest}")


def limits(wanted: Mapping[str, Any]) -> None:
    """Numbers, none of them without bounds."""
    if set(wanted) != LIMITS or any(not isinstance(value, int) or value <= 0 for value in wanted.values()):
        raise Refused("the limits are incomplete, or without bounds")


def identity(container: str) -> str:
    """The whole id of a container; no name, which could be another's."""
    if not CONTAINER.fullmatch(container):
        raise Refused("a container is named by its whole id")
    return container


def reference(image: str) -> str:
    """An image's name, as it may stand in a URL."""
    if not REFERENCE.fullmatch(image) or ".." in image:
        raise Refused("that is no image's name")
    return image


def _inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


def _plain(path: str) -> bool:
    """Absolute, in the one spelling that it has: without steps back, and no slash too many."""
    first, *steps = path.split("/")
    return first == "" and bool(steps) and not {"..", ".", ""} & set(steps) and "\0" not in path
