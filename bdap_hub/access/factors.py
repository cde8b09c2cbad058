"""Which kind of factor each method of the claim amr is (RFC 8176, section 2). PURE: no I/O."""

from __future__ import annotations

from collections.abc import Iterable

# `mfa`, `mca`, `user`, `geo`, `rba`, `wia` are none of them.
KNOWLEDGE = frozenset({"pwd", "pin", "kba"})
POSSESSION = frozenset({"otp", "hwk", "swk", "sms", "tel", "sc", "pop"})
INHERENCE = frozenset({"fpt", "face", "iris", "retina", "vbm"})


def kinds(methods: Iterable[str]) -> frozenset[str]:
    """The kinds of factor among methods: knowledge, possession, inherence."""
    named = {"knowledge": KNOWLEDGE, "possession": POSSESSION, "inherence": INHERENCE}
    stated = frozenset(methods)
    return frozenset(kind for kind, members in named.items() if members & stated)


def two_factors(methods: Iterable[str]) -> bool:
    """Whether these methods mean two factors: of two kinds, or the provider says so itself (`mfa`)."""
    stated = frozenset(methods)
    return "mfa" in stated or len(kinds(stated)) > 1
