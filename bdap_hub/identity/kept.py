"""What is kept of a person's logins, encrypted, to ask the provider about them again. PURE: no I/O.

JupyterHub keeps one `auth_state` a person: it is the latest login, with those of other browsers under `others`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from .id_token import IdToken

Login = dict[str, Any]
MAX_LOGINS = 8


def new(proven: IdToken, tokens: Mapping[str, Any], nonce: str, *, session: str, groups_by_token: bool) -> Login:
    """A login that has just been proven. `session` is its digest; `groups_by_token`: only the id_token named groups."""
    login = {
        "session": session,
        "level": proven.level,
        "auth_time": proven.auth_time,
        "nonce": nonce,
        "groups_by_token": groups_by_token,
        "refresh_token": "",
    }
    return renewed(login, tokens)


def renewed(login: Login, tokens: Mapping[str, Any]) -> Login:
    """The login with new tokens. A provider that gives no new refresh token goes on with the old one."""
    life, fresh = tokens.get("expires_in"), tokens.get("refresh_token")
    counted = isinstance(life, int | float) and not isinstance(life, bool)
    return {
        **login,
        "access_token": tokens.get("access_token") or "",
        "access_until": time.time() + life if counted else None,
        "refresh_token": fresh if isinstance(fresh, str) and fresh else login["refresh_token"],
    }


def split(state: Mapping[str, Any] | None) -> list[Login]:
    """The logins of an authentication state, latest first."""
    if not state:
        return []
    latest = {name: value for name, value in state.items() if name != "others"}
    return [login for login in (latest, *state.get("others", [])) if login]


def joined(logins: Sequence[Login]) -> dict[str, Any]:
    """The authentication state of these logins, latest first; the oldest of too many are dropped."""
    return {**logins[0], "others": list(logins[1:MAX_LOGINS])} if logins else {"others": []}


def access_token(state: Mapping[str, Any] | None) -> str:
    """An access token that still counts, of the latest login that has one; '' for none."""
    soon = time.time() + 5
    good = (one for one in split(state) if one.get("access_token") and (one.get("access_until") or soon) >= soon)
    return next((str(one["access_token"]) for one in good), "")


def same(login: Login, other: Login) -> bool:
    """Whether these are one login, before and after a refresh."""
    if login.get("session") or other.get("session"):
        return bool(login.get("session") == other.get("session"))
    return bool(login.get("refresh_token") == other.get("refresh_token"))
