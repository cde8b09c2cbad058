"""How much of what a person may keep at the service; each refusal says the number and what to do."""

from __future__ import annotations

from ...errors import BdapError


class QuotaExceeded(BdapError):
    """More than a person may have."""

    status = 400
    code = "StorageQuotaExceeded"


class TooMany(QuotaExceeded):
    """As many as a person may have are there already."""

    code = "QuotaExceeded"


def room_for_one(count: int, most: int, what: str, remedy: str) -> None:
    """TooMany where there are as many as there may be."""
    if count >= most:
        raise TooMany(f"you have {count} {what}; the limit is {most}", remedy)
