"""Give an account to another identity at the provider, as after a change of issuer. For the operator alone."""

from __future__ import annotations

from sqlalchemy import select

from .. import audit, database
from . import sessions
from .approvals import Refused
from .people import Store
from .tables import Account

LONGEST = 255


def rebind(store: Store, operator: str, name: str, issuer: str, subject: str) -> None:
    """From now on `subject` at `issuer` is the account `name`, whose logins end; recorded.

    Refused without such an account, and for an identity that is another account's, or none at all.
    """
    event = {"person": operator, "action": "rebind", "subject": f"{name} to {subject} at {issuer}"[:LONGEST]}
    try:
        with database.together(store) as whole:
            _rebind(whole, name, issuer, subject)
            sessions.end_all(whole, name, "rebound")
    except Refused as refused:
        audit.record(store, **event, allowed=False, reason=refused.reason)
        raise
    audit.record(store, **event)


def _rebind(store: Store, name: str, issuer: str, subject: str) -> None:
    for title, value in (("subject", subject), ("issuer", issuer)):
        if not value.strip() or value != value.strip() or len(value) > LONGEST:
            remedy = f"write the provider's own, in 1 to {LONGEST} characters"
            raise Refused(f"bad-{title}", f"the {title} is {value[:64]!r}", remedy, 400)
    with store.begin() as session:
        found = session.get(Account, name)
        if found is None:
            raise Refused("unknown-person", f"there is no account {name!r}", "see `bdap people list`", 404)
        other = session.scalar(select(Account).where(Account.issuer == issuer, Account.subject == subject))
        if other is not None and other.name != name:
            raise Refused(
                "subject-taken",
                f"{subject!r} at {issuer} is the account {other.name!r} already",
                f"look at it with `bdap people show {other.name}`; rebind that one first if it is wrong",
                409,
            )
        found.issuer, found.subject = issuer, subject
