"""The rules that draw a page at first stand in it, and are nothing but text of our own sheets."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bdap_hub.dashboards.snapshots.styles import MOST, with_first_rules

BASE = "/_stage/static/0123456789abcdef"
LAB, OWN = f"{BASE}/lab/index.css", f"{BASE}/stage/page.css"
PAGE = (
    f'<head><link rel="icon" href="data:,"><link rel="stylesheet" href="{LAB}">\n'
    f'<link rel="stylesheet" href="{OWN}"></head><body><link rel="stylesheet" href="/voila/files/own.css"></body>'
)
SHEET = "h1 { color: red }\n/* – */ p::before { content: '«' }\n@media print { p { margin: 0 } }\nli { top: 0 }"
SHEETS = {LAB: SHEET, OWN: "main { display: block }"}


def of(sheets: dict[str, str]) -> Callable[[str], tuple[str, str | None]]:
    """As they are kept: each called by its address here."""
    return lambda address: (address, sheets.get(address))


def at(text: str, sheet: str = SHEET) -> tuple[int, int]:
    """Where it stands, as browsers count."""
    before = len(sheet[: sheet.index(text)].encode("utf-16-le")) // 2
    return before, before + len(text.encode("utf-16-le")) // 2


def test_the_used_rules_come_first_and_the_sheets_later():
    used = {LAB: [at("li { top: 0 }"), at("p::before { content: '«' }")], OWN: [(0, 23)]}
    page = with_first_rules(PAGE, used, of(SHEETS))
    first = "<style>p::before { content: '«' }\nli { top: 0 }\nmain { display: block }</style>"
    assert f'{first}<link rel="stylesheet" href="{LAB}" media="print" data-media="all">' in page
    assert page.count("data-media") == 2 and '<link rel="stylesheet" href="/voila/files/own.css">' in page
    plain = f'<noscript><link rel="stylesheet" href="{LAB}"><link rel="stylesheet" href="{OWN}"></noscript></head>'
    assert page.count(plain) == 1
    without = page.replace(first, "").replace(plain, "</head>").replace(' media="print" data-media="all"', "")
    assert without == PAGE


@pytest.mark.parametrize(
    ("sheets", "used"),
    [
        ({LAB: SHEET}, {LAB: [(0, 17)]}),  # one is not kept
        (SHEETS, {}),
        (SHEETS, {"/elsewhere.css": [(0, 17)]}),
        ({**SHEETS, LAB: "x</style>{}"}, {LAB: [(0, 11)]}),
        ({**SHEETS, LAB: "a { color: red }" * MOST}, {LAB: [(16 * n, 16 * n + 16) for n in range(MOST // 16 + 1)]}),
    ],
)
def test_the_page_stays_as_it_is_where_that_cannot_be(sheets: dict[str, str], used: dict[str, list[tuple[int, int]]]):
    assert with_first_rules(PAGE, used, of(sheets)) == PAGE
    assert with_first_rules(PAGE, {LAB: [(0, 17)]}, of(SHEETS)) != PAGE


def test_braces_in_comments_are_none():
    sheets = {**SHEETS, LAB: "/* { 𝛼 */ a { top: 0 }\nb { top: 0 }"}
    page = with_first_rules(PAGE, {LAB: [at("a { top: 0 }", sheets[LAB]), at("b { top: 0 }", sheets[LAB])]}, of(sheets))
    assert "<style>a { top: 0 }\nb { top: 0 }</style>" in page


@pytest.mark.parametrize(
    "place",
    [(-5, 17), (5, 2), (0, 10_000), (3, 3), at("p { margin: 0 }"), (17, 60), at("@media print { p { margin: 0 } }")],
)
def test_places_that_are_no_rule_of_its_own_are_left_out(place: tuple[int, int]):
    assert with_first_rules(PAGE, {LAB: [place]}, of(SHEETS)) == PAGE


def test_nothing_is_loaded_by_them():
    sheets = {**SHEETS, LAB: "a { background: url(data:image/png;base64,x) }b { color: red }"}
    page = with_first_rules(PAGE, {LAB: [(0, 46), (46, 62)]}, of(sheets))
    assert "<style>b { color: red }</style>" in page and "url(" not in page
