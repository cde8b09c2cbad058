"""A catalogue with three collections, one of each visibility, over small generated imagery; on both stores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bdap_hub.catalogue.app import create_app
from bdap_hub.catalogue.ingest import ingest
from bdap_hub.demo.data import generate
from bdap_hub.settings import Settings
from tests.emptied import emptied
from tests.postgres import has_postgis


@pytest.fixture(scope="session")
def imagery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with sentinel-2-demo (3 dates) and forest-plots (2 dates), 128 pixels wide."""
    folder = tmp_path_factory.mktemp("imagery")
    generate(folder, size=128, dates=3)
    return folder


@pytest.fixture
def stocked(settings: Settings, imagery: Path) -> Settings:
    """Settings whose store holds the imagery; nothing is ingested yet."""
    shutil.copytree(imagery, settings.store.data, dirs_exist_ok=True)
    return settings


@pytest.fixture(scope="session", params=["sqlite", "pgstac"])
def installed(request: pytest.FixtureRequest, hub: Any) -> Settings:
    """The settings of the service that runs: once for each store of items."""
    if request.param == "sqlite":
        return hub.settings
    if not has_postgis():
        pytest.skip("there is no PostGIS: `make test` installs it, or `apt-get install postgresql-15-postgis-3`")
    url = request.getfixturevalue("postgres")()
    return hub.settings.model_copy(
        update={"catalogue": hub.settings.catalogue.model_copy(update={"database_url": url})}
    )


@pytest.fixture(scope="session")
def service(hub: Any, installed: Settings, imagery: Path) -> Iterator[httpx.Client]:
    """The running service of the test hub: public (3 items), people (1 item), forest's own (2 items)."""
    settings = installed
    data = emptied(settings)
    shutil.copytree(imagery, data, dirs_exist_ok=True)
    shutil.copytree(imagery / "sentinel-2-demo/2025-03-14", data / "for-people/2025-03-14")
    ingest(settings, data / "sentinel-2-demo", "sentinel-2-demo", "Demo scenes", "public")
    ingest(settings, data / "for-people", "for-people", "For people", "people")
    ingest(settings, data / "forest-plots", "forest-plots", "Forest plots", "project", "forest")
    hub.serve(create_app(settings), settings.catalogue.port)
    with httpx.Client(base_url=f"{settings.catalogue.url}/services/catalogue", timeout=20) as client:
        yield client
