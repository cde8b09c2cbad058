"""The two providers as tests drive them: the demo's own, and a stand-in that is configured as EU Login is.

Both keep people, let operators lock them out, change groups, end sessions and rotate keys, and can be down for a while.
"""

from __future__ import annotations

import base64
import json
import secrets
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from bdap_hub.demo import provider
from bdap_hub.demo.people import PEOPLE
from bdap_hub.settings import Settings
from tests.conftest import ROOT

from .processes import Process

OIDC_PROVIDER = ROOT / "var/node-fidelity/node_modules/oidc-provider"
LOAD = "import json, sys; from bdap_hub.settings import Settings; s = Settings(**json.load(open('settings.json'))); "
AGE_LOGIN = """
from bdap_hub.demo.provider.operators import _person
person = _person(s, sys.argv[1])
from django.contrib.sessions.models import Session
for row in Session.objects.iterator():
    kept = row.get_decoded()
    if kept.get("_auth_user_id") == str(person.pk):
        for record in kept["account_authentication_methods"]:
            record["at"] -= int(sys.argv[2])
        row.session_data = Session.get_session_store_class()().encode(kept)
        row.save()
"""


class Driver(Protocol):
    """What tests ask of a provider and its operators."""

    kind: str
    accounts: dict[str, dict[str, Any]]
    process: Process

    def add_person(self, name: str, groups: Iterable[str]) -> None:
        """A new person who can log in at once."""

    def new_authenticator(self, name: str) -> None:
        """Another secret in that person's authenticator app, where there is one."""

    def disable(self, name: str) -> None:
        """Lock somebody out. The platform is not told: it finds out by asking."""

    def set_groups(self, name: str, groups: Iterable[str]) -> None:
        """Change somebody's groups. The platform is not told either."""

    def end_session(self, name: str) -> None:
        """End all of somebody's sessions there, and tell the platform (back-channel logout)."""

    def age_login(self, name: str, seconds: int) -> None:
        """As if that person had entered their factors so much earlier."""

    def rotate_keys(self) -> None:
        """Sign with a new key from now on, and publish that alone."""


class DemoProvider:
    """The demo's provider: django-allauth, password and TOTP."""

    kind = "demo"

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder = settings, folder
        self.accounts = {account["name"]: account for account in provider.provision(settings, PEOPLE)}
        serve = f"{LOAD}from bdap_hub.demo import provider; provider.main(s)"
        health = f"{settings.identity.issuer}/.well-known/openid-configuration"
        self.process = Process([sys.executable, "-c", serve], folder, "provider.log", health)

    def add_person(self, name: str, groups: Iterable[str]) -> None:
        """A new person; the password is ana's, whose hash is copied, for hashing takes its time."""
        self.accounts[name] = {**self.accounts["ana"], "name": name}
        self.change(
            "INSERT INTO auth_user (username, password, first_name, last_name, email, is_superuser, is_staff,"
            " is_active, date_joined) SELECT ?, password, 'Guest', ?, ? || '@demo.invalid', 0, 0, 1, date_joined"
            " FROM auth_user WHERE username = 'ana'",
            *(name, name, name),
        )
        self.change(
            "INSERT INTO mfa_authenticator (user_id, type, data, created_at)"
            " SELECT id, 'totp', '{}', date_joined FROM auth_user WHERE username = ?",
            name,
        )
        self.change(
            'INSERT INTO account_emailaddress (user_id, email, verified, "primary")'
            " SELECT id, email, 1, 1 FROM auth_user WHERE username = ?",
            name,
        )
        self.new_authenticator(name)
        self.set_groups(name, groups)

    def new_authenticator(self, name: str) -> None:
        """A code works once in 30 seconds; another secret gives another code at once."""
        secret = base64.b32encode(secrets.token_bytes(20)).decode()
        self.accounts[name]["totp_secret"] = secret
        whose = "type = 'totp' AND user_id = (SELECT id FROM auth_user WHERE username = ?)"
        self.change(f"UPDATE mfa_authenticator SET data = ? WHERE {whose}", json.dumps({"secret": secret}), name)

    def disable(self, name: str) -> None:
        """Behind the platform's back."""
        self.change("UPDATE auth_user SET is_active = 0 WHERE username = ?", name)

    def set_groups(self, name: str, groups: Iterable[str]) -> None:
        """Behind the platform's back."""
        person = "(SELECT id FROM auth_user WHERE username = ?)"
        self.change(f"DELETE FROM auth_user_groups WHERE user_id = {person}", name)
        for group in groups:
            self.change("INSERT OR IGNORE INTO auth_group (name) VALUES (?)", group)
            self.change(
                "INSERT INTO auth_user_groups (user_id, group_id)"
                f" VALUES ({person}, (SELECT id FROM auth_group WHERE name = ?))",
                *(name, group),
            )

    def end_session(self, name: str) -> None:
        """As its operator would."""
        self._operate("from bdap_hub.demo import provider; provider.end_sessions(s, sys.argv[1])", name)

    def age_login(self, name: str, seconds: int) -> None:
        """In the sessions that its database keeps."""
        self._operate(AGE_LOGIN, name, str(seconds))

    def rotate_keys(self) -> None:
        """It reads its key at start."""
        self.process.stop()
        (self.settings.var / "provider/signing-key.pem").unlink()
        self.process.start()

    def _operate(self, script: str, *arguments: str) -> None:
        env = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-c", f"{LOAD}{script}", *arguments]
        subprocess.run(command, cwd=self.folder, env=env, check=True, timeout=60)

    def change(self, statement: str, *values: str) -> None:
        """Change its directory while everything runs."""
        with sqlite3.connect(self.settings.var / "provider/provider.sqlite", timeout=10) as connection:
            connection.execute(statement, values)
        connection.close()


class EULoginLike:
    """oidc-provider, configured as EU Login is; see fidelity/provider.mjs. Never shipped."""

    kind = "eulogin-like"

    def __init__(self, settings: Settings, folder: Path, client_jwks: dict[str, Any] | None = None) -> None:
        if not OIDC_PROVIDER.exists():
            pytest.fail(f"{OIDC_PROVIDER.relative_to(ROOT)} is missing: run `make test` once, it installs it")
        self.issuer = settings.identity.issuer
        self.root, self.token = self.issuer.removesuffix("/cas/oauth2"), secrets.token_hex(16)
        people = ((p.name, p.full_name, p.groups) for p in PEOPLE)
        self.accounts = {name: self._account(name, full_name, groups) for name, full_name, groups in people}
        public = settings.hub.public_url
        config = {
            "issuer": self.issuer,
            "client_id": settings.identity.client_id,
            "client_secret": settings.secret("oidc-client-secret"),
            "client_jwks": client_jwks,
            "redirect_uri": f"{public}/hub/oauth_callback",
            "post_logout_redirect_uri": f"{public}/hub/logout",
            "backchannel_logout_uri": f"{public}/hub/backchannel_logout",
            "admin_token": self.token,
            "accounts": self.accounts,
            "state": str(folder / "provider-state.json"),
        }
        (folder / "provider.json").write_text(json.dumps(config))
        script = Path(__file__).parent / "fidelity/provider.mjs"
        node = shutil.which("node", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin") or "node"
        health = f"{self.issuer}/.well-known/openid-configuration"
        self.process = Process([node, str(script), "provider.json", str(OIDC_PROVIDER)], folder, "provider.log", health)

    def add_person(self, name: str, groups: Iterable[str]) -> None:
        """A new person."""
        self.accounts[name] = self._account(name, f"Guest {name}", groups)
        self.administer("accounts", **self.accounts[name])

    def new_authenticator(self, name: str) -> None:
        """There is none here."""

    def disable(self, name: str) -> None:
        """Locked out; a refresh is refused from now on."""
        self.administer("disable", name=name)

    def set_groups(self, name: str, groups: Iterable[str]) -> None:
        """As the next id_token will say."""
        self.administer("groups", name=name, groups=list(groups))

    def end_session(self, name: str) -> None:
        """Ended there; returns when the platform has answered."""
        self.administer("end-sessions", name=name)

    def age_login(self, name: str, seconds: int) -> None:
        """In its memory."""
        self.administer("age-login", name=name, seconds=seconds)

    def rotate_keys(self) -> None:
        """At once, without a restart."""
        self.administer("rotate-keys")

    def administer(self, action: str, **body: Any) -> None:
        """One of the addresses that only tests know."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.post(f"{self.root}/test/{action}", json=body, headers=headers, timeout=20, trust_env=False)
        answer.raise_for_status()

    def _account(self, name: str, full_name: str, groups: Iterable[str]) -> dict[str, Any]:
        password = secrets.token_urlsafe(9)
        return {"name": name, "full_name": full_name, "groups": list(groups), "password": password, "totp_secret": ""}
