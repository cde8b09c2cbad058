"""Many visitors at once, each with their own state: what one writes, no other reads. For longer: bench/visitors."""

from __future__ import annotations

import httpx
import pytest

from bench import visitors

from .conftest import Platform


@pytest.fixture
def shown(platform: Platform) -> httpx.URL:
    """The bench's dashboard, public."""
    host = "agriculture--visitors"
    if platform.open(host).status_code == 404:
        made = platform.publish("ana", "visitors", visitors.content(), visibility="public")
        assert made.status_code == 201, made.text
    assert platform.eventual(host, 200).status_code == 200
    return httpx.URL(f"http://{host}.dashboards.localhost:{platform.settings.dashboards.gateway_port}/")


async def test_each_of_ten_has_its_own_state(shown: httpx.URL):
    told = await visitors.crowd(shown, 10, 4, 0.2, least=1)
    assert not told.failures, told.failures
    assert told.opens >= 10 and told.gestures >= 10  # one of each, however slow the machine is


async def test_visitors_who_shared_a_process_would_be_found_out(shown: httpx.URL, monkeypatch: pytest.MonkeyPatch):
    same = visitors.new_kernel()
    monkeypatch.setattr(visitors, "new_kernel", lambda: same)
    told = await visitors.crowd(shown, 3, 2, 0.2, least=1)
    assert set(told.failures) & {"another's state", "it is given another's process"}, told.failures
