"""An engine that would let servers call all of the kernel is refused; Docker's own profile, or another, is taken."""

from __future__ import annotations

import pytest

from bdap_hub.errors import BadSettings
from bdap_hub.spawning.hardening import check


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (None, "no seccomp"),
        (["name=apparmor"], "no seccomp"),
        (["name=apparmor", "name=seccomp,profile=unconfined"], "without a seccomp profile"),
    ],
)
def test_refused(options: list[str] | None, sentence: str) -> None:
    with pytest.raises(BadSettings, match=sentence):
        check({"SecurityOptions": options})


@pytest.mark.parametrize("profile", ["default", "builtin", "/etc/docker/tighter.json"])
def test_taken(profile: str) -> None:
    check({"SecurityOptions": ["name=apparmor", f"name=seccomp,profile={profile}", "name=cgroupns"]})
