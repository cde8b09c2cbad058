"""The audit page: what its form asks for, page by page, and all of it as JSON lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest

from bdap_hub import audit


@pytest.fixture(scope="module")
def events(panel: Any) -> dict[str, str]:
    """Some, and the days from before to after they were recorded."""
    begun = datetime.now(UTC)
    for person, action, allowed in (
        ("zoe", "login", True),
        ("zoe", "login", False),
        ("zoe", "publish", True),
        ("yan", "login", False),
    ):
        audit.record(
            panel.app.state.sessions,
            person=person,
            action=action,
            subject="forest/trees",
            allowed=allowed,
            reason="<i>why</i>",
            address="192.0.2.7",
        )
    ended, day = datetime.now(UTC), timedelta(days=1)
    days = {"before": begun - day, "first": begun, "last": ended, "after": ended + day}
    return {name: f"{one:%Y-%m-%d}" for name, one in days.items()}


def people(text: str) -> list[str]:
    return [part.partition("<")[0] for part in text.split('data-label="Person">')[1:]]


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("person=zoe", 3),
        ("person=zoe&outcome=refused", 1),
        ("person=zoe&action=login", 2),
        ("person=%20zoe%20", 3),
        ("person=zoe&since={first}&until={last}", 3),
        ("person=zoe&since={after}", 0),
        ("person=zoe&until={before}", 0),
        ("person=nobody-of-that-name", 0),
    ],
)
def test_filters(panel: Any, events: dict[str, str], query: str, shown: int) -> None:
    query = query.format(**events)
    text = panel.get("olga", f"audit?{query}").text
    assert people(text) == ["zoe"] * shown
    assert ("No event fits." in text) is (shown == 0)
    assert "<i>why" not in text
    exported = panel.get("olga", f"audit/export?{query}")
    assert [json.loads(line)["person"] for line in exported.text.splitlines()] == ["zoe"] * shown


def test_every_field_is_shown(panel: Any, events: dict[str, str]) -> None:
    text = panel.get("olga", "audit?person=yan").text
    for field in ("forest/trees", "192.0.2.7", "&lt;i&gt;why", events["last"]):
        assert field in text


@pytest.mark.parametrize(
    "query", ["since=yesterday", "until=2026-02-30", "outcome=maybe", "before=-1", f"before={2**64}"]
)
def test_what_no_form_sends_is_refused_readably(panel: Any, query: str) -> None:
    answer = panel.get("olga", f"audit?{query}")
    assert answer.status_code == 400, query
    assert "What you can do" in answer.text or "(got" in answer.text
    assert panel.get("olga", f"audit/export?{query.replace('before', 'since')}").status_code == 400


def test_pages(panel: Any, events: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bdap_hub.admin.app.EVENTS", 2)
    first = panel.get("olga", "audit?person=zoe")
    assert people(first.text) == ["zoe"] * 2 and "Newest" not in first.text
    older = unescape(first.text.partition('rel="next" href="')[2].partition('"')[0])
    second = panel.get("olga", urljoin("/services/admin/", older).removeprefix("/services/admin/"))
    assert people(second.text) == ["zoe"]
    assert "Newest" in second.text and 'rel="next"' not in second.text


def test_the_download_is_a_file_of_json_lines_and_an_event_itself(panel: Any, events: dict[str, str]) -> None:
    answer = panel.get("olga", "audit/export?person=zoe")
    assert answer.headers["content-type"].startswith("application/jsonl")
    assert answer.headers["content-disposition"].startswith('attachment; filename="audit-')
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["id"] for line in lines] == sorted(line["id"] for line in lines)
    assert {line["outcome"] for line in lines} == {"allowed", "refused"}
    newest = audit.latest(panel.app.state.sessions, 1)[0]
    assert (newest.person, newest.action, newest.subject) == ("olga", "export-audit", "person=zoe")


@pytest.mark.parametrize("path", ["audit", "audit/export"])
def test_only_administrators_read_it(panel: Any, events: dict[str, str], path: str) -> None:
    refused = panel.get("ana", path)
    assert refused.status_code == 403
    assert "forest/trees" not in refused.text
    assert httpx.get(panel.url + path).status_code == 401
    assert "forest/trees" in panel.get("olga", path).text  # the positive control


def test_a_long_log_is_streamed(panel: Any, events: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "CHUNK", 3)
    lines = panel.get("olga", "audit/export").text.splitlines()
    assert len(lines) > 4
    assert len({json.loads(line)["id"] for line in lines}) == len(lines)
