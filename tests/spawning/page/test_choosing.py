"""What the start page puts first, selects and says: from the choices, what was used, and what a link asks for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bdap_hub.access import Person, Requirement, Size
from bdap_hub.settings import Settings
from bdap_hub.spawning import Choice, choices
from bdap_hub.spawning.page import form
from bdap_hub.spawning.page.choosing import Card, Facts, Known, SizeCard, Use, start_page

NOW = 1_000_000.0
SMALL, LARGE = Size("small", "Small", 1, 2 * 2**30), Size("large", "Large", 4, 16 * 2**30)


@pytest.fixture
def olga(settings: Settings, people: dict[str, Person]) -> tuple[Choice, ...]:
    """lab and gpu of agriculture in one size, lab of forest in two."""
    found = choices(settings.policy(1), people["olga"])
    sizes = {"agriculture": (SMALL,), "forest": (SMALL, LARGE)}
    return tuple(replace(one, size=SMALL, sizes=sizes[one.project.name]) for one in found)


def known(*uses: Use) -> Known:
    return Known(uses=uses, now=NOW)


def test_the_project_used_last_comes_first_and_the_others_are_folded(olga: tuple[Choice, ...]) -> None:
    fresh = start_page("olga", olga, known())
    assert [(group.name, group.open) for group in fresh.groups] == [("agriculture", True), ("forest", False)]
    assert (fresh.again, fresh.selected, fresh.size) == (None, "agriculture/lab", "small")
    used = start_page("olga", olga, known(Use("forest", "lab", "large", NOW - 7200)))
    assert [(group.name, group.open) for group in used.groups] == [("forest", True), ("agriculture", False)]
    assert (used.selected, used.size) == ("forest/lab", "large")
    assert used.again and (used.again.value, used.again.size) == ("forest/lab", "large")
    assert (used.again.words, used.again.when) == ("JupyterLab · Forest · Large", "2 h ago")


def test_what_one_may_no_longer_start_is_not_offered_again(olga: tuple[Choice, ...]) -> None:
    gone = known(Use("marine", "lab", "", NOW - 60), Use("forest", "lab", "huge", NOW - 600))
    page = start_page("olga", olga, gone)
    assert page.again and (page.again.value, page.again.size) == ("forest/lab", "")
    locked = tuple(replace(one, step_up=Requirement(max_age=900)) for one in olga)
    assert start_page("olga", locked, gone).again is None


@pytest.mark.parametrize(
    ("asked", "last", "selected", "size"),
    [
        ({"project": "forest", "image": "lab"}, {}, "forest/lab", "small"),
        ({"project": "forest", "image": "lab", "size": "large"}, {}, "forest/lab", "large"),
        ({"project": "forest"}, {}, "forest/lab", "small"),
        ({"project": "marine", "image": "lab"}, {}, "agriculture/gpu", "small"),  # falls back to what was used last
        ({"image": "lab"}, {"project": "forest", "image": "lab", "size": "large"}, "forest/lab", "large"),
        ({}, {"project": "forest", "image": "root"}, "agriculture/gpu", "small"),
        ({}, {"project": ["forest"], "image": None}, "agriculture/gpu", "small"),
    ],
)
def test_what_is_selected(
    olga: tuple[Choice, ...], asked: dict[str, str], last: dict[str, object], selected: str, size: str
) -> None:
    page = start_page("olga", olga, known(Use("agriculture", "gpu", "", NOW)), asked, last)
    assert (page.selected, page.size) == (selected, size)
    (checked,) = [g for g in page.groups if any(card.value == page.selected for card in g.cards)]
    assert checked.open


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ({"project": "forest", "image": "lab", "size": "large"}, True),
        ({"project": "forest", "image": "lab"}, True),
        ({"project": "forest", "image": "lab", "size": "huge"}, False),
        ({"project": "agriculture", "image": "lab", "size": "large"}, False),
        ({"project": "marine", "image": "lab"}, False),
        ({"project": "<b>x", "image": "../lab"}, False),
    ],
)
def test_a_link_is_offered_or_refused_in_words(olga: tuple[Choice, ...], asked: dict[str, str], offered: bool) -> None:
    page = start_page("olga", olga, known(), asked)
    assert (page.linked is not None, bool(page.refused)) == (offered, not offered)
    assert "that is not among what you may start" in page.refused or offered


def test_a_link_to_what_asks_for_a_login_leads_through_it_and_back(olga: tuple[Choice, ...]) -> None:
    locked = tuple(replace(one, step_up=Requirement(max_age=900)) for one in olga)
    page = start_page("olga", locked, known(), {"project": "forest", "image": "lab", "size": "large"}, None, "train")
    back = "%2Fhub%2Fspawn%2Folga%2Ftrain%3Fproject%3Dforest%26image%3Dlab%26size%3Dlarge"
    assert page.linked and page.linked.log_in == f"/hub/step-up?max_age=900&next={back}"
    assert not page.startable and page.selected == ""


def test_a_card_says_what_is_inside(olga: tuple[Choice, ...]) -> None:
    facts = {olga[0].image.reference: Facts("0.1.0", 888_972_076, ("Python 3.13", "JupyterLab 4.6"))}
    uses = (Use("agriculture", "lab", "", NOW - 3 * 86400),)
    card = start_page("olga", olga, Known(uses, facts, now=NOW)).groups[0].cards[0]
    assert card == Card(
        value="agriculture/lab",
        title="JupyterLab",
        description="Notebooks with maps, charts and the processing library.",
        gpu=False,
        contents=("Python 3.13", "JupyterLab 4.6"),
        detail="version 0.1.0 · 0.9 GB",
        last_used="3 days ago",
        log_in="",
    )


def test_sizes_are_asked_for_only_where_there_are_several(olga: tuple[Choice, ...]) -> None:
    page = start_page("olga", olga, known())
    assert page.sizes == (
        SizeCard("small", "Small", "1 CPU, 2 GB memory", ("agriculture", "forest")),
        SizeCard("large", "Large", "4 CPUs, 16 GB memory", ("forest",), "for Forest"),
    )
    assert start_page("olga", olga[:2], known()).sizes == ()


def test_the_fields_escape_what_is_named_by_people(olga: tuple[Choice, ...]) -> None:
    evil = tuple(replace(one, image=replace(one.image, title="<script>x</script>")) for one in olga)
    html = form.render(start_page("olga", evil, Known(gpus="<i>", free="<u>")))
    assert not any(part in html for part in ("<script>", "<i>", "<u>")) and "&lt;script&gt;" in html


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ({"choice": ["forest/lab"], "size": ["large"]}, {"project": "forest", "image": "lab", "size": "large"}),
        ({"choice": ["forest/group/lab:1"]}, {"project": "forest", "image": "group/lab:1"}),
        ({"choice": ["forest/lab", "forest/gpu"]}, {}),
        ({"choice": ["forest"]}, {"project": "forest"}),
        ({"opt-project": ["forest"], "opt-image": ["lab"]}, {"project": "forest", "image": "lab"}),
        ({"choice": ["forest/lab"], "size": ["small", "large"], "volumes": ["/"], "_xsrf": ["x"]}, None),
    ],
)
def test_what_a_form_submits(data: dict[str, list[str]], options: dict[str, str] | None) -> None:
    assert form.options_from_form(data) == ({"project": "forest", "image": "lab"} if options is None else options)
