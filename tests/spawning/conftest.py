"""People and settings of the spawning tests."""

from __future__ import annotations

import pytest

from bdap_hub.access import Person

PEOPLE = {
    "ana": {"project-agriculture"},
    "ben": {"project-forest"},
    "olga": {"bdap-admins", "project-agriculture", "project-forest"},
    "pia": set(),
}


@pytest.fixture
def people() -> dict[str, Person]:
    return {name: Person(name, frozenset(groups)) for name, groups in PEOPLE.items()}
