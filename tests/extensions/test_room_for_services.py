"""At the limit of web services: a dashboard goes on, whatever it shows; what a person named stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bdap
import pytest

from bdap_hub.web import HubLogin
from tests.extensions.season import Season, place, season

MOST = 4
HERE = place(40, 40)


@pytest.fixture(scope="module")
def running(hub: Any) -> Iterator[Season]:
    """The services, where an owner may have four."""
    limits = hub.settings.processing
    before, limits.most_services = limits.most_services, MOST
    with season(hub) as made:
        yield made
    limits.most_services = before


@pytest.fixture
def client(running: Season) -> Iterator[bdap.Client]:
    """ana's, who has no services before and after."""
    made = running.client_of("ana")
    remove_all(made)  # of other tests
    yield made
    remove_all(made)


def remove_all(client: bdap.Client) -> None:
    """Take down all services."""
    for identifier in services(client):
        client.call("processing", "DELETE", f"/services/{identifier}")


def services(client: bdap.Client) -> dict[str, str]:
    """Titles by id."""
    return {each["id"]: each["title"] for each in client.call("processing", "GET", "/services")["services"]}


def cube(client: bdap.Client, number: int) -> bdap.Cube:
    """One of many."""
    return bdap.collection("season", client).band("B04").median() + number


def visitor(running: Season, hub: Any) -> bdap.Client:
    """A process of a public dashboard: they share one owner."""
    token = HubLogin(hub.settings, "dashboards").release_token("agriculture/explore", "project-agriculture", 600)
    settings = hub.settings
    return bdap.Client(
        token,
        f"{settings.processing.url}/services/processing",
        f"{settings.catalogue.url}/services/catalogue",
    )


def test_visitors_of_a_dashboard_go_on_at_its_limit(running: Season, hub: Any) -> None:
    first, second = visitor(running, hub), visitor(running, hub)
    shown = cube(first, 0)
    layer = first.service(shown.key, shown.graph, "Shown first")
    before = shown.value(*HERE)
    for number in range(1, 2 * MOST + 1):
        one = cube(second, number)
        second.service(one.key, one.graph, f"Layer {number}")
        assert one.value(*HERE) == pytest.approx(before + number)
    assert len(services(second)) == MOST and layer.id not in services(second)
    assert shown.value(*HERE) == before and services(first)[layer.id] == "Shown first"


def test_questions_of_one_process_go_on_at_the_limit(client: bdap.Client) -> None:
    before = cube(client, 0).value(*HERE)
    for number in range(1, 2 * MOST + 1):
        assert cube(client, number).value(*HERE) == pytest.approx(before + number)
    assert cube(client, 0).value(*HERE) == before and len(services(client)) == MOST


def test_what_a_person_named_stays(client: bdap.Client, running: Season) -> None:
    named = [cube(client, number) for number in range(MOST - 1)]
    for number, one in enumerate(named):
        client.service(one.key, one.graph, f"Mine {number}")
    for number in (10, 11, 12):  # only one of these has room at a time
        assert cube(running.client_of("ana"), number).value(*HERE) is not None
    assert sorted(services(client).values()) == ["Mine 0", "Mine 1", "Mine 2", bdap.client.ASKED]
    last = cube(client, 20)
    client.service(last.key, last.graph, "Mine 3")
    with pytest.raises(bdap.ServiceError, match="the limit is 4"):
        cube(client, 21).value(*HERE)
    assert sorted(services(client).values()) == ["Mine 0", "Mine 1", "Mine 2", "Mine 3"]


def test_a_question_leaves_a_service_its_name(client: bdap.Client, running: Season) -> None:
    shown = cube(client, 30)
    layer = client.service(shown.key, shown.graph, "Mine")
    assert cube(running.client_of("ana"), 30).value(*HERE) == shown.value(*HERE)
    assert services(client) == {layer.id: "Mine"}
    running.client_of("ana").service(shown.key, shown.graph, "Ours")  # who names it does rename it
    assert services(client) == {layer.id: "Ours"}


def test_what_was_asked_of_first_is_named_when_it_is_shown(client: bdap.Client) -> None:
    shown = cube(client, 31)
    shown.value(*HERE)
    assert list(services(client).values()) == [bdap.client.ASKED]
    layer = client.service(shown.key, shown.graph, "Mine")
    shown.value(*HERE)
    assert services(client) == {layer.id: "Mine"}
