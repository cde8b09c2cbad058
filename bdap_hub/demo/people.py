"""The demo's people and projects: the smallest cast that shows every rule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from .. import database
from ..identity.tables import Account, now
from ..settings import Settings


@dataclass(frozen=True)
class DemoPerson:
    """An account of the embedded provider. `enrolled`: comes with a TOTP secret, else enrols at first login.

    `known`: the platform has approved them and they have accepted its terms; else they register at first login.
    """

    name: str
    full_name: str
    groups: tuple[str, ...]
    role: str
    enrolled: bool = True
    known: bool = True


PEOPLE = (
    DemoPerson("ana", "Ana Analyst", ("project-agriculture",), "member of project agriculture"),
    DemoPerson("ben", "Ben Biologist", ("project-forest",), "member of project forest"),
    DemoPerson(
        "olga", "Olga Operator", ("project-agriculture", "project-forest", "bdap-admins"), "admin, member of both"
    ),
    DemoPerson("pia", "Pia Passer-by", (), "no project: may look at what is open to everybody"),
    DemoPerson("eva", "Eva Enrolling", ("project-agriculture",), "has no TOTP yet: enrols at first login", False),
    DemoPerson("nora", "Nora Newcomer", (), "has never been here: asks for access at first login", known=False),
)

PROJECTS = (
    {"name": "agriculture", "title": "Agriculture", "group": "project-agriculture", "images": ["lab", "gpu"]},
    {"name": "forest", "title": "Forest", "group": "project-forest", "images": ["lab"]},
)


def seed(settings: Settings, people: Iterable[DemoPerson]) -> None:
    """Make the platform know those who are `known`, as if they had registered. Idempotent; a later change stays.

    Accounts belong to an issuer, and the demo's is where it listens: who was known at another port is known here.
    """
    with database.connect(settings.database).begin() as session:
        for person in people:
            if (found := session.get(Account, person.name)) is not None:
                found.issuer, found.subject = settings.identity.issuer, person.name
            elif person.known:
                found = Account(name=person.name, issuer=settings.identity.issuer, subject=person.name)
                found.display_name, found.standing = person.full_name, "approved"
                found.expires = now() + timedelta(days=settings.registration.days)
                session.add(found)
            if found is not None and person.known and not found.terms_version:
                found.terms_version, found.terms_accepted = settings.registration.terms_version, now()
