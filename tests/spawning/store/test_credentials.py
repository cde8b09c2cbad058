"""Credentials for the store: one file for good, its owner's alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bdap_hub.identity import access_token
from bdap_hub.settings import Settings, StoreSettings
from bdap_hub.spawning.store.credentials import folder_of, mounts_of, write
from bdap_hub.spawning.store.mounts import Mount


@pytest.mark.skipif(os.geteuid() != 0, reason="gives files to other uids: needs root")
def test_the_same_file_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "oauthtk"
    write(path, b"oauth2:a-long-token:https://store", 20001, 20002)
    with path.open() as bound:  # as the container's mount holds it
        write(path, b"oauth2:b:https://store", 20001, -1)
        assert bound.read() == "oauth2:b:https://store"
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777) == (20001, 20002, 0o600)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("x")
    (tmp_path / "oauthtk").symlink_to("other")
    with pytest.raises(OSError, match="symbolic links"):
        write(tmp_path / "oauthtk", b"secret", os.geteuid(), -1)
    assert (tmp_path / "other").read_text() == "x"


def test_nothing_is_delivered_unless_the_settings_say_so(settings: Settings) -> None:
    assert mounts_of(settings, "bdap-x-ana", 20001) == ()
    settings.store.credentials = ("oauth2", "kerberos")
    folder = folder_of(settings, "bdap-x-ana")
    assert str(folder) == f"/run/bdap/{settings.install_id}/bdap-x-ana"
    assert mounts_of(settings, "bdap-x-ana", 20001) == (
        Mount(f"{folder}/oauthtk", "/tmp/oauthtk_20001"),
        Mount(f"{folder}/krb5cc", "/tmp/krb5cc_20001"),
    )


@pytest.mark.parametrize(
    "wrong", [{"credentials": ["oauth2"]}, {"credentials": ["kerberos"]}, {"credentials": ["ssh"]}]
)
def test_half_of_the_settings_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        StoreSettings(**wrong)
    StoreSettings(credentials=("oauth2",), oauth_url="https://store")
    StoreSettings(credentials=("kerberos",), kerberos_command=("ticket", "{person}"))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (lambda now: None, ""),
        (lambda now: {"others": []}, ""),
        (lambda now: {"access_token": "a", "access_until": now + 600}, "a"),
        (lambda now: {"access_token": "a", "access_until": None}, "a"),
        (lambda now: {"access_token": "a", "access_until": now - 1}, ""),
        (lambda now: {"access_token": "", "access_until": None}, ""),
        (
            lambda now: {
                "access_token": "a",
                "access_until": now - 1,
                "others": [{"access_token": "b", "access_until": now + 600}],
            },
            "b",
        ),
    ],
)
def test_the_latest_token_that_counts(state: Callable[[float], Any], expected: str) -> None:
    assert access_token(state(time.time())) == expected
