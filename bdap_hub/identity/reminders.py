"""Letters some days before an approval or a membership runs out."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import inspect, select, update

from ..settings import Settings
from . import people
from .letters import Letters
from .mail import Letter, deliver
from .people import Store
from .tables import Account, Membership, aware, now

DAYS = 14


def remind(settings: Settings, store: Store) -> int:
    """Write to everybody whose account or membership ends within 14 days, once for each end; how many letters went out.

    To be called once a day, by `mail.later`: it waits for the mail server. What could not be sent is tried again then.
    """
    sent = 0
    for row, letters in _due(settings, store):
        if deliver(settings, store, letters):
            sent += 1
            _remember(store, row)
    return sent


def _remember(store: Store, row: Account | Membership) -> None:
    """Of that end alone: while letters go out, a person may be blocked, a membership removed, an end moved."""
    table, known = type(row), inspect(row)
    same = [column == value for column, value in zip(known.mapper.primary_key, known.identity, strict=True)]
    with store.begin() as session:
        session.execute(update(table).where(*same, table.expires == row.expires).values(reminded=row.expires))


def _due(settings: Settings, store: Store) -> list[tuple[Account | Membership, list[Letter]]]:
    letters, address = Letters(settings, store), settings.hub.public_url.rstrip("/")
    found: list[tuple[Account | Membership, list[Letter]]] = []
    with store() as session:
        accounts = {row.name: row for row in session.scalars(select(Account)) if not people.refusal(settings, row)}
        for account in accounts.values() if settings.registration.required else ():
            if (ends := aware(account.expires)) and _soon(account):
                remedy = (
                    "If the login provider names you for a project, log in before then. Otherwise ask anew after that "
                    f"day, or have a lead of your project extend it now:\n{address}/hub/home"
                )
                found.append((account, letters.ends_soon(account, "The approval of your account", ends, remedy)))
        for row in session.scalars(select(Membership)):
            if (ends := aware(row.expires)) and _soon(row) and row.person in accounts:
                remedy = f"Ask a lead of the project to extend it if you still need it.\n{address}/hub/home"
                what = f"Your membership of project {row.project}"
                found.append((row, letters.ends_soon(accounts[row.person], what, ends, remedy)))
    return [(row, written) for row, written in found if written]


def _soon(row: Account | Membership) -> bool:
    ends, reminded = aware(row.expires), aware(row.reminded)
    return ends is not None and now() < ends <= now() + timedelta(days=DAYS) and reminded != ends
