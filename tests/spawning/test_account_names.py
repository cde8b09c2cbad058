"""Account names as a provider may give them (Keycloak's sub is a UUID): safe in containers, paths and passwd."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bdap_hub import database
from bdap_hub.access import Person
from bdap_hub.identity.claims import USERNAME
from bdap_hub.settings import Settings
from bdap_hub.spawning import Choice, Site, plan
from bdap_hub.spawning.names import safe_name
from bdap_hub.spawning.store import folders as store
from bdap_hub.spawning.uids import uid_of

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
NAMES = ["ana", "4na", "0f8fad5b", "1-2", "2e4", "0x10", UUID, "a.b_c-d", "9" * 63 + "a", "ana--0123456789"]
NO_NAMES = [
    "",
    "0",
    "20001",
    "0" * 64,
    "9" * 65,
    "-ana",
    ".ana",
    "_ana",
    "Ana",
    "ana/",
    "ana:x",
    "ana\n",
    "ána",
    "a" * 65,
]


@pytest.mark.parametrize("name", NAMES)
def test_accepted_and_safe(settings: Settings, name: str) -> None:
    assert USERNAME.fullmatch(name)
    policy = settings.policy()
    project, image = policy.project("agriculture"), policy.image("lab")
    assert project and image
    made = plan(settings, Person(name), Choice(project, image), Site("h", 20000, {"agriculture": 20007}))
    assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", made.name)  # Docker's own rule
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", made.hostname) and len(made.hostname) <= 63
    user = made.environment["USER"]
    assert not user.isdigit()  # a number would be taken for a uid
    home = next(mount for mount in made.mounts if mount.target == made.environment["HOME"])
    assert Path(home.source).parent == settings.var.resolve() / "homes"
    assert made.uid == 20000


@pytest.mark.parametrize("name", NO_NAMES)
def test_not_accepted(name: str) -> None:
    assert not USERNAME.fullmatch(name)


def test_no_two_names_share_a_home() -> None:
    assert len({safe_name(name) for name in NAMES}) == len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_passwd_entry_is_read_as_it_was_written(settings: Settings, name: str) -> None:
    uid = uid_of(database.connect(settings.database), name, 20000)
    store.ensure_names(settings, name, uid, {"agriculture": 20007}, 20007)
    line = (settings.var / "names" / safe_name(name) / "passwd").read_text()
    fields = line.rstrip("\n").split(":")
    assert len(fields) == 7
    assert (fields[0], fields[2], fields[3]) == (safe_name(name), str(uid), "20007")
    assert line.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("chown"), reason="gives files to others: needs root")
@pytest.mark.parametrize("name", [safe_name(name) for name in NAMES])
def test_a_name_is_never_taken_for_a_number(tmp_path: Path, name: str) -> None:
    """chown(1) takes digits alone for a uid, and looks all else up."""
    (tmp_path / "file").touch()
    tried = subprocess.run(["chown", name, "file"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert tried.returncode != 0 and "invalid user" in tried.stderr
