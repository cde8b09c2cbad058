"""People and settings of the spawning tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bdap_hub.access import Person
from tests.spawning.swarm.machines import Machines

PEOPLE = {
    "ana": {"project-agriculture"},
    "ben": {"project-forest"},
    "olga": {"bdap-admins", "project-agriculture", "project-forest"},
    "pia": set(),
}


@pytest.fixture
def people() -> dict[str, Person]:
    return {name: Person(name, frozenset(groups)) for name, groups in PEOPLE.items()}


@pytest.fixture(scope="package")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """A swarm of three machines; gone before other tests begin."""
    found = Machines(tmp_path_factory.mktemp("swarm"))
    found.folder.chmod(0o755)
    try:
        found.up()
        yield found
    finally:
        found.close()
