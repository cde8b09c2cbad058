"""Servers as plain processes: the same choice, the same last check, the same environment."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from .conftest import Platform


def environment_of(platform: Platform, home: Path) -> dict[str, str]:
    """The environment of the server process whose home is `home`."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        found = dict(part.split("=", 1) for part in text.split("\0") if "=" in part)
        if found.get("HOME") == str(home) and "JUPYTERHUB_API_TOKEN" in found:
            return found
    return pytest.fail(f"no server runs with HOME={home}\n{platform.log[-3000:]}")


def test_a_process_server_starts_and_knows_the_platform(process_platform: Platform) -> None:
    platform = process_platform
    refused = platform.api("POST", "/users/ana/server", json={"project": "forest", "image": "lab"})
    assert refused.status_code == 403 and "not a member" in refused.text
    platform.start("ana", {"project": "agriculture", "image": "lab"})
    home = platform.settings.var.resolve() / "homes" / "ana"
    assert home.stat().st_mode & 0o777 == 0o700
    found = environment_of(platform, home)
    assert found["BDAP_STORE"] == str(platform.settings.store.root.resolve())
    assert found["BDAP_PROJECT"] == "agriculture"
    assert found["BDAP_CATALOGUE_URL"] == f"{platform.settings.catalogue.url}/services/catalogue"
    assert "BDAP_CONFIG" not in found and "CONFIGPROXY_AUTH_TOKEN" not in found
    me = platform.api("GET", "/user", token=found["JUPYTERHUB_API_TOKEN"]).json()
    assert me["name"] == "ana" and "access:services!service=processing" in me["scopes"]


def test_the_log_says_what_processes_lack(process_platform: Platform) -> None:
    assert "no isolation, no limits" in process_platform.log


def test_the_secrets_are_the_hubs_alone(process_platform: Platform) -> None:
    secret = process_platform.settings.var / "secrets" / "hub-cookie-secret"
    assert secret.stat().st_mode & 0o077 == 0 and secret.stat().st_uid == os.geteuid()


def test_openeo_clients_find_the_service_by_the_platforms_address(process_platform: Platform) -> None:
    answer = httpx.get(f"{process_platform.url}/.well-known/openeo")
    hops = 0
    while answer.is_redirect and "/services/" not in answer.headers["Location"]:
        answer, hops = httpx.get(answer.url.join(answer.headers["Location"])), hops + 1
    assert answer.headers["Location"] == f"{process_platform.url}/services/processing/.well-known/openeo" and hops < 3
