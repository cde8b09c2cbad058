"""Images that want a stronger or fresher login: offered as a link to it, and refused at the start without it."""

from __future__ import annotations

import html
import re
from types import SimpleNamespace
from typing import Any

import pytest
from jupyterhub.spawner import SpawnException

from bdap_hub.access import Assurance, Person, Requirement
from bdap_hub.audit import latest
from bdap_hub.database import connect
from bdap_hub.settings import RequirementSettings, Settings
from bdap_hub.spawning import choices
from bdap_hub.spawning.page import form
from bdap_hub.spawning.page.choosing import Known, start_page
from bdap_hub.spawning.recheck import Recheck

FRESH = {"gpu": RequirementSettings(max_age=900)}


@pytest.fixture
def guarded(settings: Settings) -> Settings:
    """A GPU there is, and it wants a login of the last 15 minutes."""
    settings.spawning.gpus = 1
    settings.identity.step_up = FRESH  # type: ignore[assignment]
    return settings


def ana(age: float | None) -> Person:
    assurance = None if age is None else Assurance("mfa", age)
    return Person("ana", frozenset({"project-agriculture"}), assurance)


@pytest.mark.parametrize(
    ("age", "gpu"), [(900, None), (901, Requirement(max_age=900)), (None, Requirement(max_age=900))]
)
def test_the_image_stays_in_the_list(guarded: Settings, age: float | None, gpu: Requirement | None) -> None:
    found = [(c.image.name, c.step_up) for c in choices(guarded.policy(), ana(age))]
    assert found == [("lab", None), ("gpu", gpu)]


def test_the_page_leads_through_the_login_to_the_image(guarded: Settings) -> None:
    last = {"project": "agriculture", "image": "gpu"}
    page = form.render(start_page("ana", choices(guarded.policy(), ana(901)), Known(), last=last))
    links = [html.unescape(link) for link in re.findall(r'href="([^"]*)"', page)]
    assert links == ["/hub/step-up?max_age=900&next=%2Fhub%2Fspawn%3Fproject%3Dagriculture%26image%3Dgpu"]
    assert "asks you to log in again" in page
    assert re.findall(r'value="([^"]*)"', page) == ["agriculture/lab"] and page.count("checked") == 1
    fresh = form.render(start_page("ana", choices(guarded.policy(), ana(9)), Known(), last=last))
    assert re.search('value="agriculture/gpu"[^>]* checked', fresh) and "href" not in fresh


class Login:
    """What the spawner asks its authenticator: the login behind a request."""

    def assurance(self, name: str, handler: Any) -> Assurance | None:
        return Assurance("mfa", handler) if handler is not None and name == "ana" else None


class JupyterHubsOwn:
    """An authenticator that knows of no logins."""


class Group:
    name = "project-agriculture"


class User:
    name = "ana"
    groups = (Group(),)


class Spawner(Recheck):
    """A start without JupyterHub around it; `handler` is the age of the login that asks, in seconds."""

    user, name = User(), ""
    orm_spawner = SimpleNamespace()

    def __init__(self, settings: Settings, image: str, handler: float | None, authenticator: Any) -> None:
        super().__init__(settings=settings)
        self.user_options = {"project": "agriculture", "image": image}
        self.handler, self.authenticator = handler, authenticator


@pytest.mark.parametrize(
    ("image", "handler", "authenticator", "reason"),
    [
        ("gpu", 900, Login(), ""),
        ("gpu", 901, Login(), "within the last 15 minutes"),
        ("gpu", None, Login(), "none behind this request"),
        ("gpu", 0, JupyterHubsOwn(), "none behind this request"),
        ("lab", 901, Login(), ""),
        ("lab", None, Login(), ""),
        ("lab", 0, JupyterHubsOwn(), ""),
    ],
)
def test_the_start_asks_again(
    guarded: Settings, image: str, handler: float | None, authenticator: Any, reason: str
) -> None:
    spawner = Spawner(guarded, image, handler, authenticator)
    if not reason:
        assert spawner.decide().image.name == image
    else:
        with pytest.raises(SpawnException) as refused:
            spawner.decide()
        shown = refused.value.jupyterhub_message
        assert reason in shown and "Choose it on the start page in the browser" in shown
        assert refused.value.status_code == 403
    event = latest(connect(guarded.database), 1)[0]
    assert (event.action, event.subject) == ("start-server", f"agriculture/{image}")
    assert event.outcome == ("refused" if reason else "allowed") and reason in event.reason
