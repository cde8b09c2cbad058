"""Both kinds of store, for tests that ask the same of each."""

from __future__ import annotations

import pytest

from bdap_hub.catalogue.contract import Items
from bdap_hub.catalogue.embedded import SqliteItems
from bdap_hub.catalogue.pgstac import PgstacItems
from tests.postgres import has_postgis

KINDS = ["sqlite", "pgstac"]


def empty_store(request: pytest.FixtureRequest, folders: pytest.TempPathFactory) -> Items:
    """A new one of the kind that `request.param` names; skips, visibly, where there is no PostGIS."""
    if request.param == "sqlite":
        return SqliteItems(folders.mktemp("store") / "items.sqlite")
    if not has_postgis():
        pytest.skip("there is no PostGIS: `make test` installs it, or `apt-get install postgresql-15-postgis-3`")
    return PgstacItems(request.getfixturevalue("postgres")())
