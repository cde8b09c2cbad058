"""Settings of the login that would weaken it stop the platform with one clear line; without the flaw it starts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bdap_hub import cli
from bdap_hub.settings import PRESETS

ROOT = Path(__file__).parents[2]
GOOD: dict[str, Any] = {
    "environment": "production",
    "hub": {"public_url": "https://hub.example"},
    "identity": {"issuer": "https://login.example"},
}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("http issuer", {"issuer": "http://login.example"}, "identity.issuer is 'http://login.example'"),
    ("no signature", {"algorithms": ["RS256", "none"]}, "may not contain 'none'"),
    ("shared secret", {"algorithms": ["HS256"]}, "may not contain 'HS256'"),
    ("unknown algorithm", {"algorithms": ["RS257"]}, "contains 'RS257'"),
    ("no algorithm", {"algorithms": []}, "algorithms is empty"),
    ("empty MFA policy", {"levels": []}, "MFA would not be proven"),
    ("level that nothing proves", {"levels": [{"name": "mfa"}]}, "nothing proves it"),
    ("empty combination", {"levels": [{"name": "mfa", "amr": [[]]}]}, "nothing proves it"),
    ("password alone", {"levels": [{"name": "mfa", "amr": [["pwd"]]}]}, "['pwd'] is one factor"),
    ("two of one kind", {"levels": [{"name": "mfa", "amr": [["pwd", "kba"]]}]}, "is one factor"),
    ("one factor beside two", {"levels": [{"name": "mfa", "amr": [["mfa"], ["otp"]]}]}, "['otp'] is one factor"),
    (
        "one factor for a higher level, which would be enough for the login",
        {"levels": [{"name": "mfa", "amr": [["mfa"]]}, {"name": "high", "amr": [["hwk"]]}]},
        "level high: amr ['hwk'] is one factor",
    ),
    ("REFEDS single factor", {"levels": [{"name": "mfa", "acr": ["https://refeds.org/profile/sfa"]}]}, "one factor"),
    ("EU Login basic", {"levels": [{"name": "mfa", "acr": ["https://ecas.ec.europa.eu/loa/basic"]}]}, "one factor"),
    ("Keycloak's first level", {"levels": [{"name": "mfa", "acr": ["1"]}]}, "one factor"),
    ("level twice", {"levels": [{"name": "a", "two_kinds": True}, {"name": "a", "two_kinds": True}]}, "twice"),
    ("unknown preset", {"preset": "eulogon"}, "'eulogon' is unknown"),
    ("unknown method", {"client_authentication": "tls"}, "'tls' is unknown"),
    (
        "EU Login, secret in the header",
        {"preset": "eulogin", "client_authentication": "client_secret_basic"},
        "EU Login",
    ),
    ("EU Login, secret in the form", {"preset": "eulogin", "client_authentication": "client_secret_post"}, "EU Login"),
    ("no openid", {"scope": ["profile"]}, "lacks 'openid'"),
    ("step-up to nowhere", {"step_up": {"administer": {"level": "high"}}}, "'high'; known: ['mfa']"),
    ("typing error", {"algoritms": ["RS256"]}, "identity.algoritms"),
]
ACCEPTED: list[tuple[str, dict[str, Any]]] = [
    ("the default", {}),
    ("Keycloak", {"preset": "keycloak"}),
    ("EU Login", {"preset": "eulogin", "issuer": "https://ecas.ec.europa.eu/cas/oauth2"}),
    ("EU Login, own key", {"preset": "eulogin", "client_authentication": "private_key_jwt"}),
    ("two kinds by name", {"levels": [{"name": "mfa", "amr": [["pwd", "otp"], ["pin", "hwk"], ["mfa"]]}]}),
    ("REFEDS", {"levels": [{"name": "mfa", "acr": ["https://refeds.org/profile/mfa"]}]}),
    ("one algorithm", {"algorithms": ["ES384"]}),
]


def write(folder: Path, identity: dict[str, Any]) -> Path:
    """A bdap.yaml (JSON is YAML) that is good but for what `identity` says."""
    path = folder / "bdap.yaml"
    path.write_text(json.dumps({**GOOD, "var": str(folder / "var"), "identity": {**GOOD["identity"], **identity}}))
    return path


def bdap_settings(config: Path) -> Result:
    return CliRunner().invoke(cli.main, ["settings"], env={"BDAP_CONFIG": str(config)})


@pytest.mark.parametrize(("identity", "sentence"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(tmp_path: Path, identity: dict[str, Any], sentence: str) -> None:
    result = bdap_settings(write(tmp_path, identity))
    assert result.exit_code == 1
    first, *rest = result.output.strip().splitlines()
    assert first.startswith("Error: ") and sentence in first
    assert len(rest) == 1 and "What you can do" in rest[0]


@pytest.mark.parametrize("identity", [case[1] for case in ACCEPTED], ids=[case[0] for case in ACCEPTED])
def test_accepted(tmp_path: Path, identity: dict[str, Any]) -> None:
    result = bdap_settings(write(tmp_path, identity))
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["identity"]["issuer"].startswith("https://")


@pytest.mark.parametrize(
    ("identity", "sentence"),
    [
        ({"issuer": "http://login.example"}, "identity.issuer is 'http://login.example'; production needs https"),
        ({"algorithms": ["none"]}, "identity: algorithms may not contain 'none'"),
        ({"levels": []}, "identity: levels is empty: MFA would not be proven"),
        ({"preset": "eulogon"}, "identity.preset: 'eulogon' is unknown"),
        ({}, "the secret 'oidc-client-secret' is missing"),
    ],
)
def test_the_hub_itself_stops_with_one_line(tmp_path: Path, identity: dict[str, Any], sentence: str) -> None:
    vault = tmp_path / "var/secrets"
    vault.mkdir(parents=True)
    for name in ("hub-crypt-key", "proxy-auth-token"):
        (vault / name).write_text("x" * 64)
    env = {**os.environ, "BDAP_CONFIG": str(write(tmp_path, identity)), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "jupyterhub", "-f", str(ROOT / "jupyterhub_config.py")]
    started = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert started.returncode == 1
    lines = (started.stdout + started.stderr).strip().splitlines()
    assert len(lines) == 1 and lines[0].startswith("The hub does not start: ") and sentence in lines[0], lines
    assert "What you can do" in lines[0]


def test_presets_name_settings_that_exist(tmp_path: Path) -> None:
    for preset, given in PRESETS.items():
        result = bdap_settings(write(tmp_path, {"preset": preset}))
        found = json.loads(result.output)["identity"]
        assert {name: found[name] for name in given if name not in ("issuer", "levels")} == {
            name: value for name, value in given.items() if name not in ("issuer", "levels")
        }
