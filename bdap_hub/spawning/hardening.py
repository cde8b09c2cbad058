"""Whether the engine holds containers as tightly as servers need it. PURE: looks at what the engine says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import BadSettings


def check(info: Mapping[str, Any]) -> None:
    """BadSettings where containers would have every system call of the kernel.

    `info`: what the engine answers to `docker info`. Its own profile serves, or one that the operator gave it
    (`seccomp-profile` in daemon.json): not none.
    """
    found = [option for option in info.get("SecurityOptions") or () if "name=seccomp" in option]
    if not found:
        raise BadSettings(
            "the Docker engine has no seccomp: people's servers could call all of the kernel",
            "use a kernel and an engine with seccomp (`docker info` names it under Security Options)",
        )
    if any("profile=unconfined" in option for option in found):
        raise BadSettings(
            "the Docker engine runs containers without a seccomp profile",
            'take "seccomp-profile": "unconfined" out of its daemon.json',
        )
