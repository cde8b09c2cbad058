"""Credentials for the store in a real server: where EOS's client looks, renewed, the person's alone, gone with it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Platform, with_docker
from .test_servers import LAB, Server

pytestmark = pytest.mark.docker

TICKETS = """#!/bin/sh
[ "$1" = ana ] || exit 3
n=$(($(cat {count} 2>/dev/null || echo 0) + 1))
echo $n > {count}
printf 'TICKET-%s-of-%s' "$n" "$2"
"""


@pytest.fixture(scope="module")
def memory() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bdaptest-run-"))
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)
        folder.rmdir()


@pytest.fixture(scope="module")
def platform(memory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("credentials")
    helper = folder / "tickets"
    helper.write_text(TICKETS.format(count=folder / "count"))
    helper.chmod(0o755)
    store = {
        "credentials": ["oauth2", "kerberos"],
        "oauth_url": "https://store.example/oauth",
        "kerberos_command": [str(helper), "{person}", "{uid}"],
        "credentials_minutes": 0.02,
        "credentials_folder": str(memory),
    }
    with with_docker(folder, store, warm={"most": 0}) as found:
        yield found


def token(platform: Platform, value: str) -> None:
    """As identity keeps it after a login or a refresh."""
    state = {"access_token": value, "access_until": None, "others": []}
    platform.api("PATCH", "/users/ana", json={"auth_state": state}).raise_for_status()


def test_they_are_delivered_renewed_and_removed(platform: Platform, memory: Path) -> None:
    token(platform, "first-secret-token")
    platform.start("ana", LAB)
    ana = Server(platform, "ana")
    _, uid = ana.sh("id -u")
    for name in (f"oauthtk_{uid}", f"krb5cc_{uid}"):
        assert ana.sh(f"stat -c '%u %a %F' /tmp/{name}") == (0, f"{uid} 600 regular file")
    read = f"cat /tmp/oauthtk_{uid}"
    assert ana.sh(read) == (0, "oauth2:first-secret-token:https://store.example/oauth")
    code, ticket = ana.sh(f"cat /tmp/krb5cc_{uid}")
    assert code == 0 and ticket.startswith("TICKET-") and ticket.endswith(f"-of-{uid}")
    token(platform, "second")
    platform.wait(lambda: ana.sh(read)[1] == "oauth2:second:https://store.example/oauth", 20, "the new token")
    platform.wait(lambda: ana.sh(f"cat /tmp/krb5cc_{uid}")[1] != ticket, 20, "the next ticket")
    told = str(ana.attrs) + platform.log + ana.sh("env")[1]
    assert "first-secret-token" not in told and "TICKET-" not in told
    platform.kill_hub()
    platform.start_hub()
    token(platform, "third")
    platform.wait(lambda: "third" in ana.sh(read)[1], 40, "the next hub to renew")
    assert any(memory.rglob("oauthtk"))
    platform.stop("ana")
    assert not any(memory.rglob("oauthtk")) and not any(memory.rglob("krb5cc"))


def test_without_any_the_server_starts_all_the_same(platform: Platform) -> None:
    platform.start("ben", {"project": "forest", "image": "lab"})
    ben = Server(platform, "ben")
    _, uid = ben.sh("id -u")
    assert ben.sh(f"wc -c < /tmp/oauthtk_{uid}; wc -c < /tmp/krb5cc_{uid}") == (0, "0\n0")
    assert "No kerberos credential for ben: store.kerberos_command ended with 3" in platform.log
    platform.stop("ben")
