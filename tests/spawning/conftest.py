"""People and settings of the spawning tests."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import docker
import pytest

from bdap_hub.access import Person
from bdap_hub.spawning.network import ensure_network
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


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    """A bridge of this host as servers have it."""
    name = f"bdaptest-{secrets.token_hex(3)}"
    client = docker.from_env()
    ensure_network(name)
    yield name
    client.networks.get(name).remove()
    client.close()


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
