"""STAC documents of any shape: they become an item that a plan can use, or a GraphError; never anything else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdap_hub.processing.graphs.graph import GraphError
from bdap_hub.processing.service import stac

from .conftest import DATES, asset, item
from .engines import compiled
from .graphs import band

PLACE, BOX = "/eos/data/a/item.json", (14.0, 46.0, 15.0, 47.0)
SOUND = item("a", "x", DATES[0], BOX, 0, {"B04": asset("./x.tif", "B04")})
PLAIN = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
ANYTHING = st.recursive(
    PLAIN, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3))
)


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to each value in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, each in inner for place in places(each, (*at, key)))]


def replaced(value: Any, at: tuple[Any, ...], other: Any) -> Any:
    if not at:
        return other
    changed = dict(value) if isinstance(value, dict) else list(value)
    changed[at[0]] = replaced(value[at[0]], at[1:], other)
    return changed


def planned(document: Any) -> Any:
    made = stac.item_of(document, PLACE, stac.on_store, "/eos/")
    return compiled(band("B04", "a"), [{"id": "a"}], [{**made, "collection": "a"}])


def test_the_sound_one_is_planned() -> None:
    assert [source.href for source in planned(SOUND).plan.sources()] == ["/eos/data/a/x.tif"]


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(places(SOUND)), ANYTHING)
def test_one_value_of_an_item_is_anything(at: tuple[Any, ...], other: Any) -> None:
    try:
        made = planned(replaced(SOUND, at, other))
    except GraphError:
        return
    assert all(source.href.startswith("/eos/") for source in made.plan.sources())


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["type", "links", "features", "item_assets"]), ANYTHING))
def test_a_document_of_anything(document: dict[str, Any]) -> None:
    document.setdefault("type", "Collection")
    for raw in stac.items_in(document):
        with pytest.raises(GraphError):
            stac.item_of(raw, PLACE, stac.on_store, "/eos/")
    assert all(
        isinstance(href, str) for found in stac.links_of(document, PLACE, stac.on_store).values() for href in found
    )
    assert isinstance(stac.assets_of(document), dict)


@pytest.mark.parametrize("rel", [["item"], {}, 7, None])
def test_a_link_whose_relation_is_no_text_is_none(rel: Any) -> None:
    links = [{"rel": rel, "href": "a.json"}, {"rel": "item", "href": "b.json"}]
    found = stac.links_of({"type": "Collection", "links": links}, PLACE, stac.on_store)
    assert [len(each) for rel, each in found.items() if rel == "item"] == [1]
    assert not any(each for rel, each in found.items() if rel != "item")


@pytest.mark.parametrize("side", [float("nan"), float("inf"), 1e400])
def test_a_box_is_of_finite_numbers(side: float) -> None:
    with pytest.raises(GraphError, match="no date, place or files"):
        planned({**SOUND, "bbox": [side, 46.0, 15.0, 47.0]})
