"""The demo's people and projects: the smallest cast that shows every rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoPerson:
    """An account of the embedded provider. `enrolled`: comes with a TOTP secret, else enrols at first login."""

    name: str
    full_name: str
    groups: tuple[str, ...]
    role: str
    enrolled: bool = True


PEOPLE = (
    DemoPerson("ana", "Ana Analyst", ("project-agriculture",), "member of project agriculture"),
    DemoPerson("ben", "Ben Biologist", ("project-forest",), "member of project forest"),
    DemoPerson(
        "olga", "Olga Operator", ("project-agriculture", "project-forest", "bdap-admins"), "admin, member of both"
    ),
    DemoPerson("pia", "Pia Passer-by", (), "no project: may look at what is open to everybody"),
    DemoPerson("eva", "Eva Enrolling", ("project-agriculture",), "has no TOTP yet: enrols at first login", False),
)

PROJECTS = (
    {"name": "agriculture", "title": "Agriculture", "group": "project-agriculture", "images": ["lab", "gpu"]},
    {"name": "forest", "title": "Forest", "group": "project-forest", "images": ["lab"]},
)
