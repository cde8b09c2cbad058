"""Services that want a stronger or fresher login than hub and people have by default."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from bdap_hub.admin.app import create_app as create_admin
from bdap_hub.dashboards.app import create_app as create_dashboards
from bdap_hub.dashboards.tables import Dashboard, Release
from bdap_hub.database import connect
from bdap_hub.settings import LevelSettings, RequirementSettings
from bdap_hub.web import HubLogin

HIGH = LevelSettings(name="high", acr=("high",), amr=(("pwd", "hwk"),))


@pytest.fixture(scope="module")
def settings(hub) -> Any:
    """Administering wants a login of the last five minutes, the public one of level high."""
    found = hub.settings.model_copy(deep=True)
    found.spawning.engine = "process"
    found.identity.levels = (*found.identity.levels, HIGH)
    found.identity.step_up = {
        "administer": RequirementSettings(max_age=300),
        "publish-public": RequirementSettings(level="high"),
    }
    return found


@pytest.fixture(scope="module")
def services(hub, settings) -> Iterator[str]:
    """Panel and dashboards, which ask the hub each time, and ana's dashboard agriculture/fields; the hub's address."""
    hub.serve(create_admin(settings), settings.admin.port)
    hub.serve(create_dashboards(settings), settings.dashboards.port)
    row = Dashboard(project="agriculture", slug="fields", owner="ana", title="Fields", visibility="project")
    with connect(settings.database).begin() as session:
        session.add(row)
        session.flush()
        live = Release(
            dashboard_id=row.id, version=1, bundle="0" * 64, entry="index.ipynb", publisher="ana", status="live"
        )
        session.add(live)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HubLogin, "cache_seconds", 0)
        yield hub.url
    with connect(settings.database).begin() as session:
        session.delete(session.merge(live))
        session.flush()
        session.delete(session.merge(row))
