"""The demo's accounts: random passwords and TOTP secrets, drawn once for each install.

They stand in `<var>/provider/accounts.json` (mode 600), from which the provider creates them when it starts.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlencode

from ...settings import Settings

TOTP_ISSUER = "BDAP demo"


class Wanted(Protocol):
    """A person who shall have an account; see `bdap_hub.demo.people`."""

    @property
    def name(self) -> str: ...
    @property
    def full_name(self) -> str: ...
    @property
    def groups(self) -> tuple[str, ...]: ...
    @property
    def role(self) -> str: ...
    @property
    def enrolled(self) -> bool: ...


@dataclass(frozen=True)
class Account:
    """A demo account with its secrets. `totp_secret` is base32, empty where the person enrols at first login."""

    name: str
    full_name: str
    groups: tuple[str, ...]
    role: str
    password: str
    totp_secret: str

    @property
    def otpauth(self) -> str:
        """The address that an authenticator app reads from a QR code; empty before enrolment."""
        query = urlencode({"secret": self.totp_secret, "issuer": TOTP_ISSUER}, quote_via=quote)
        return f"otpauth://totp/{quote(TOTP_ISSUER)}:{quote(self.name)}?{query}" if self.totp_secret else ""


def accounts_file(settings: Settings) -> Path:
    """Where the accounts of this install stand."""
    return settings.var / "provider" / "accounts.json"


def read_accounts(settings: Settings) -> list[Account]:
    """The accounts drawn so far; none before `provision`."""
    path = accounts_file(settings)
    rows = json.loads(path.read_text()) if path.exists() else []
    return [Account(**{**row, "groups": tuple(row["groups"])}) for row in rows]


def provision(settings: Settings, people: Iterable[Wanted]) -> list[dict[str, Any]]:
    """Accounts for `people`, with secrets; those drawn before stay as they are. Idempotent, needs no provider running.

    Each is name, full_name, groups, role, password, totp_secret and otpauth (the last two empty if not `enrolled`).
    The provider takes them over when it starts next.
    """
    known = {account.name: account for account in read_accounts(settings)}
    accounts = [_account(person, known.get(person.name)) for person in people]
    kept = [account for name, account in known.items() if name not in {a.name for a in accounts}]
    _write_private(accounts_file(settings), json.dumps([asdict(a) for a in accounts + kept], indent=2))
    return [{**asdict(account), "groups": list(account.groups), "otpauth": account.otpauth} for account in accounts]


def _account(person: Wanted, known: Account | None) -> Account:
    secret = known.totp_secret if known else ""
    if person.enrolled and not secret:
        secret = base64.b32encode(secrets.token_bytes(20)).decode()
    return Account(
        name=person.name,
        full_name=person.full_name,
        groups=tuple(person.groups),
        role=person.role,
        password=known.password if known else secrets.token_urlsafe(12),
        totp_secret=secret,
    )


def _write_private(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    new = path.with_suffix(".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.replace(path)
