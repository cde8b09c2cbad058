"""The client: finds token and addresses by itself, asks once for equal graphs, passes errors on as sentences."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import bdap
import pytest
from bdap import client as clients
from bdap import transport

from tests.extensions.platform import BOUNDS, DAYS, Platform, platform

NDVI = bdap.collection("s2").ndvi()
VARIABLES = ("BDAP_TOKEN", "JUPYTERHUB_API_TOKEN", "BDAP_PROCESSING_URL", "BDAP_CATALOGUE_URL")


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """The stand-in, found through the environment as in a person's server."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(clients, "_default", clients.Client(timeout=30))
    with platform() as running:
        monkeypatch.setenv("BDAP_PROCESSING_URL", running.processing)
        monkeypatch.setenv("BDAP_CATALOGUE_URL", running.catalogue + "/")
        monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "hub-token")
        yield running


def test_equal_cubes_are_posted_once(services: Platform) -> None:
    first, second = NDVI.median(), bdap.collection("s2").ndvi().median()
    assert first.tiles_url() == second.tiles_url() == f"{services.processing}/tiles/s1/{{z}}/{{x}}/{{y}}.png?sig=abc"
    assert NDVI.max().tiles_url() != first.tiles_url()
    posted = services.posted("/services")
    assert [body["process"]["process_graph"] for body in posted] == [first.graph, NDVI.max().graph]
    assert posted[0]["type"] == "XYZ"


def test_the_hub_token_is_found_and_a_release_token_comes_first(
    services: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    NDVI.median().tiles_url()
    monkeypatch.setenv("BDAP_TOKEN", "release-token")
    NDVI.max().tiles_url()
    assert [call.authorization for call in services.calls] == ["Bearer hub-token", "Bearer release-token"]


def test_values_of_one_band_several_bands_and_no_data(services: Platform) -> None:
    assert NDVI.median().value(8.6, 45.6) == 0.625
    services.values = {"B04": 1.0, "B08": None}
    assert NDVI.median().value(8.6, 45.6) == {"B04": 1.0, "B08": None}
    services.values = {"value": None}
    assert NDVI.median().value(8.6, 45.6) is None
    assert services.calls[-1].query == {"lon": ["8.6"], "lat": ["45.6"]}


def test_a_histogram_takes_the_bounds_of_the_service_by_itself(services: Platform) -> None:
    assert NDVI.median().histogram(bins=2) == ([0, 0.5, 1], [3, 4])
    sent = services.calls[-1].query
    assert [float(sent[side][0]) for side in ("west", "south", "east", "north")] == BOUNDS and sent["bins"] == ["2"]


def test_a_histogram_goes_on_beyond_the_antimeridian(services: Platform) -> None:
    for box in ((170, -20, 190, -10), (170, -20, -170, -10)):
        NDVI.median().histogram(box)
        ring = services.calls[-1].body["geometry"]["coordinates"][0]
        assert sorted({lon for lon, _ in ring}) == [170, 190]


def test_items_are_listed_to_the_end_or_not_at_all(services: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.extensions.platform.DAYS", DAYS * 340)
    assert len(NDVI.items()) == 1020
    monkeypatch.setattr("bdap.client.MOST_ITEMS", 5)
    with pytest.raises(bdap.BadCube, match="more than 5 items fit"):
        NDVI.items()


def test_search_follows_its_pages(services: Platform) -> None:
    assert NDVI.dates() == list(DAYS)
    assert [body.get("token") for body in services.posted("/search")] == [None, "1", "2"]


def test_old_questions_make_room_for_new_ones_but_shown_layers_stay(services: Platform) -> None:
    old = {"id": "old", "title": clients.ASKED, "created": "2025-01-01T00:00:00Z"}
    services.full = [{"id": "layer", "title": "NDVI", "created": "2024-01-01T00:00:00Z"}]
    with pytest.raises(bdap.ServiceError, match="1000 web services"):
        NDVI.median().tiles_url()
    services.full.append(old)
    assert NDVI.median().tiles_url()
    assert [call.path.rpartition("/")[2] for call in services.calls if call.method == "DELETE"] == ["old"]


def test_what_a_release_has_shown_makes_room_too(services: Platform) -> None:
    services.full = [{"id": "layer", "title": "NDVI", "created": "2024-01-01T00:00:00Z"}]
    services.owner = "dashboard:agriculture/explore"
    assert NDVI.median().tiles_url() and services.full == []


def test_a_service_that_was_taken_away_is_made_anew(services: Platform) -> None:
    cube = NDVI.median()
    made = clients.default().service(cube.key, cube.graph, "NDVI")
    services.gone.add(made.id)
    assert cube.value(8.6, 45.6) == 0.625 and services.calls[-1].path.endswith("/services/s2/point")
    assert [body["title"] for body in services.posted("/services")] == ["NDVI", "NDVI"]


def test_what_goes_first_to_make_room() -> None:
    titles = {"new": "", "mine": clients.ASKED, "named": "NDVI", "late": clients.ASKED, "early": clients.ASKED}
    every = [{"id": key, "title": title, "created": "2025-01-01T00:00:00Z"} for key, title in titles.items()]
    assert clients.droppable(every, {"mine"}, release=False) == ["early"]
    everything = [clients.droppable(every[: number + 1], {"mine"}, release=True) for number in range(5)]
    assert everything == [["new"], ["mine"], ["mine"], ["late"], ["early"]]
    assert clients.droppable(every[2:3] + every[:1], set(), release=False) == []
    asked = [
        {"id": str(n), "title": clients.ASKED, "created": f"2025-01-01T{23 - n // 60:02}:00:00Z"} for n in range(300)
    ]
    assert clients.droppable(asked, set(), release=False) == [str(n) for n in range(299, 269, -1)]


def test_a_time_series_is_one_request(services: Platform) -> None:
    assert NDVI.timeseries(8.6, 45.6) == [(day, 0.625) for day in DAYS]
    assert len(services.posted("/services")) == 1
    assert services.calls[-1].path.endswith("/services/s1/timeseries")
    assert services.calls[-1].query == {"lon": ["8.6"], "lat": ["45.6"]}
    with pytest.raises(bdap.BadCube, match="no dates any more"):
        NDVI.median().timeseries(8.6, 45.6)
    services.values = {"B04": 1.0, "B08": None}
    with pytest.raises(bdap.BadCube, match="has the bands B04, B08"):
        NDVI.timeseries(8.6, 45.6)


def test_collections_are_a_table_with_their_words_escaped(services: Platform) -> None:
    found = bdap.collections()
    assert repr(found) == "s2: Sentinel-2 <demo>"
    assert "Sentinel-2 &lt;demo&gt;" in found._repr_html_() and "2025-03-14 – now" in found._repr_html_()


@pytest.mark.parametrize("name", ["JUPYTERHUB_API_TOKEN", "BDAP_PROCESSING_URL"])
def test_what_is_missing_in_the_environment_is_named(
    services: Platform, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv(name)
    with pytest.raises(bdap.NotConfigured) as error:
        NDVI.median().tiles_url()
    assert "set BDAP_" in error.value.remedy and not services.calls


@pytest.mark.parametrize(
    ("refusal", "message", "remedy"),
    [
        ((404, {"code": "X", "message": "there is no band 'B99'", "remedy": "it has B04"}), "no band 'B99'", "B04"),
        ((403, {"message": "ana is not a member"}), "ana is not a member", "ask the owner"),
        ((401, ""), "answered with status 401", "token"),
        ((502, "<html>bad gateway</html>"), "answered with status 502", "try again"),
        ((500, [1]), "answered with status 500", ""),
    ],
)
def test_the_service_s_words_are_passed_on(
    services: Platform, refusal: tuple[int, object], message: str, remedy: str
) -> None:
    services.refusal = refusal
    with pytest.raises(bdap.ServiceError) as error:
        NDVI.median().tiles_url()
    assert message in error.value.message and remedy in error.value.remedy
    assert error.value.status == refusal[0] and "hub-token" not in str(error.value)
    assert error.value._render_traceback_() == [f"ServiceError: {error.value}"]


def test_a_busy_service_is_asked_again_but_not_for_ever(services: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            services.refusal = None

    monkeypatch.setattr(
        transport, "time", SimpleNamespace(sleep=wait, monotonic=time.monotonic)
    )  # the client's alone: others sleep, too
    services.refusal = (429, {"message": "the service is busy"})
    assert NDVI.median().tiles_url() and len(waits) == 2
    services.refusal = (429, {"message": "the service is busy"})
    with pytest.raises(bdap.ServiceError, match="busy"):
        NDVI.max().tiles_url()
    assert len(waits) == 2 + transport.TRIES - 1


def test_a_service_that_does_not_answer_is_named() -> None:
    asked = clients.Client("token", "http://127.0.0.1:9/services/processing", timeout=2)
    with pytest.raises(bdap.NotReachable, match=r"the processing service at http://127\.0\.0\.1:9"):
        bdap.collection("s2", asked).median().tiles_url()


def test_no_proxy_of_the_environment_sees_the_token(services: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert NDVI.median().value(8.6, 45.6) == 0.625


def test_a_hub_s_address_leads_to_its_services(services: Platform) -> None:
    bdap.configure(token="mine", hub=f"{services.root}/")
    NDVI.median().tiles_url()
    assert [each["id"] for each in bdap.collections()] == ["s2"]
    assert {call.authorization for call in services.calls} == {"Bearer mine"}


def test_configure_takes_the_place_of_the_environment(services: Platform) -> None:
    bdap.configure(token="mine", processing=services.processing)
    NDVI.median().tiles_url()
    assert services.calls[-1].authorization == "Bearer mine"
