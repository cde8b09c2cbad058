"""What a person's claims say of them: account name, name to show, e-mail address, groups. PURE: no I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .signed_token import Expected, LoginRefused

# Not digits alone: in commands such as chown, a number means a uid.
USERNAME = re.compile(r"(?![0-9]+$)[a-z0-9][a-z0-9._-]{0,63}")
MAX_GROUPS = 1000
_EMAIL = re.compile(r"[^@\s<>\",;]{1,64}@[A-Za-z0-9.-]{1,190}")


def username(claims: Mapping[str, Any], expected: Expected) -> str:
    """The name that a new account would get; '' where the one stated is none that we accept.

    Never normalised: two spellings must not become one account. Accounts that exist keep theirs, whatever is stated.
    """
    name = claims.get(expected.username_claim)
    return name if isinstance(name, str) and USERNAME.fullmatch(name) else ""


def bad_username() -> LoginRefused:
    """The refusal of a new account whose name is none that we accept."""
    return LoginRefused(
        "bad-username",
        "the account name that the login provider states is not one we accept: it must begin with a letter or a digit, "
        "hold lower case letters, digits and . _ - only, be no number, and have at most 64 characters",
        "ask the platform's operators, who choose its claim (identity.username_claim)",
    )


def display_name(claims: Mapping[str, Any], expected: Expected) -> str:
    """The name to show: as stated, or given and family name, or that of `username`. Never used to decide anything."""
    parts = [claims.get(expected.display_name_claim)]
    if not parts[0]:  # EU Login states the parts only
        parts = [claims.get("given_name"), claims.get("family_name")]
    shown = " ".join(" ".join(part for part in parts if isinstance(part, str)).split())[:200]
    return shown if shown and shown.isprintable() else username(claims, expected)


def email(claims: Mapping[str, Any], expected: Expected) -> str:
    """Where to write to; '' where the provider states none, or says that it has not verified it. Never a key."""
    stated = claims.get(expected.email_claim)
    plain = isinstance(stated, str) and _EMAIL.fullmatch(stated) and claims.get("email_verified", True) is True
    return str(stated) if plain else ""


def groups(claims: Mapping[str, Any], expected: Expected) -> frozenset[str]:
    """The groups, stated as a list of texts; none if the claim is absent. A single text is refused, not split."""
    stated = claims.get(expected.groups_claim, [])
    listed = isinstance(stated, list) and len(stated) <= MAX_GROUPS
    if not listed or not all(isinstance(g, str) and 0 < len(g) <= 255 for g in stated):
        raise LoginRefused(
            "bad-groups",
            f"your groups (claim {expected.groups_claim!r}) did not come as a list",
            "ask the platform's operators",
        )
    return frozenset(stated)
