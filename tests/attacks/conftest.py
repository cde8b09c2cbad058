"""One hub for all attacks; every test gets browsers of people whom nobody has seen before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest

from bdap_hub.identity import sessions
from tests.attacks.hostile_provider import HIGH_ACR, MFA_ACR, HostileProvider
from tests.attacks.platform import Browser, Platform
from tests.conftest import make_settings

IDENTITY = {
    "client_authentication": "client_secret_basic",
    "username_claim": "preferred_username",
    "levels": [
        {"name": "mfa", "acr": [MFA_ACR], "amr": [["mfa"]], "two_kinds": True},
        {"name": "high", "acr": [HIGH_ACR], "amr": [["hwk", "mfa"]]},
    ],
    "revocation_seconds": 4,
}


@pytest.fixture(scope="package")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The hub, its proxy and the provider, started once for all tests of this folder."""
    folder = tmp_path_factory.mktemp("attacks")
    settings = make_settings(
        folder / "var", identity=IDENTITY, spawning={"engine": "process", "idle_timeout": 0, "gpus": 0}
    )
    identity = settings.identity
    port = urlsplit(identity.issuer).port or 0
    provider = HostileProvider(port, identity.client_id, settings.secret("oidc-client-secret"))
    found = Platform(settings, folder, provider)
    try:
        found.start()
        yield found
    finally:
        found.stop()
        provider.stop()


@pytest.fixture
def browser_of(platform: Platform) -> Iterator[Callable[[str], Browser]]:
    """Make a fresh browser in which that person sits."""
    made: list[Browser] = []

    def make(person: str) -> Browser:
        made.append(Browser(platform, person))
        return made[-1]

    yield make
    for browser in made:
        sessions.end_all(platform.store, browser.person, "the test is over")  # nobody is asked about them again
        browser.close()
