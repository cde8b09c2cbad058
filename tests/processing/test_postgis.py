"""PostGIS tables on maps, in a real PostgreSQL: features, tiles and rights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import ValidationError
from sqlalchemy import select, text
from sqlalchemy.dialects import postgresql

from bdap_hub.processing.app import create_app
from bdap_hub.processing.cubes.extent import Bounds
from bdap_hub.processing.service import postgis as service
from bdap_hub.processing.tables import postgis
from bdap_hub.settings.services import TableSettings
from tests.postgres import has_postgis

from .client import Client

MAKE = """
CREATE EXTENSION postgis;
CREATE SCHEMA "my regions";
CREATE TABLE "my regions".areas (id int, "Name" text, people numeric, secret text, geom geometry(Polygon, 3035));
INSERT INTO "my regions".areas SELECT i, 'area ' || i, i * 1000.5, 'secret ' || i,
  ST_Transform(ST_MakeEnvelope(8 + i * 0.1, 45, 8.09 + i * 0.1, 45.1, 4326), 3035) FROM generate_series(0, 9) i;
INSERT INTO "my regions".areas VALUES (99, NULL, NULL, 'x', NULL);
"""


@pytest.fixture(scope="module")
def platform(hub: Any, postgres: Callable[[], str]) -> Iterator[Any]:
    """Processing with three tables: of everybody who is logged in, of project forest, and one that is not there."""
    if not has_postgis():
        pytest.skip("there is no PostGIS: `apt-get install postgresql-15-postgis-3`")
    url = postgres()
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute(MAKE)
    common = {"database_url": url, "table": "my regions.areas", "columns": ("Name", "people")}
    tables = (
        TableSettings(name="areas", title="All areas", visibility="people", **common),
        TableSettings(name="woods", project="forest", **common),
        TableSettings(name="gone", visibility="people", **{**common, "table": "nowhere"}),
    )
    processing = hub.settings.processing.model_copy(update={"tables": tables})
    hub.serve(create_app(hub.settings.model_copy(update={"processing": processing})), processing.port)
    hub.tables = tables
    yield hub


def test_features_in_a_box_with_the_named_columns(ana: Client) -> None:
    about = ana.http.get("/tables/areas").json()
    assert about["bounds"] == pytest.approx([8, 45, 8.99, 45.1], abs=0.01)
    assert (about["count"], about["more"]) == (10, False)
    found = ana.http.get("/tables/areas/features", params={"bbox": "8.12,45.02,8.18,45.05"}).json()
    (feature,) = found["features"]
    assert feature["properties"] == {"Name": "area 1", "people": 1000.5} and not found["more"]
    assert feature["geometry"]["coordinates"][0][0] == pytest.approx([8.1, 45], abs=0.01)
    few = ana.http.get("/tables/areas/features", params={"limit": 3}).json()
    assert len(few["features"]) == 3 and few["more"] and "secret" not in str(few)


def test_features_are_bounded_in_bytes(ana: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MOST_BYTES", 500)
    assert ana.http.get("/tables/areas/features", params={"limit": 1}).status_code == 200
    refused = ana.http.get("/tables/areas/features")
    assert refused.status_code == 413 and "tolerance" in refused.text


def test_a_box_is_found_by_the_index(platform: Any) -> None:
    given = platform.tables[0]
    asked = postgis.PostGis(given)
    near = select(asked._shape).where(asked._meets(Bounds(8.1, 45.0, 8.2, 45.1))).select_from(asked._table)
    said = str(near.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}))
    with psycopg.connect(given.database_url.replace("+psycopg", "")) as connection:
        connection.execute('CREATE INDEX ON "my regions".areas USING gist (geom)')
        connection.execute("SET enable_seqscan = off")
        plan = "\n".join(row[0] for row in connection.execute(f"EXPLAIN {said}"))
        assert "Index Cond" in plan, plan
        assert len(list(connection.execute(said))) in (2, 3)
        connection.rollback()


def test_tables_are_for_whom_the_operator_says(ana: Client, platform: Any) -> None:
    ben = Client(platform, "ben")
    assert [each["name"] for each in ana.http.get("/tables").json()["tables"]] == ["areas", "gone"]
    assert [each["name"] for each in ben.http.get("/tables").json()["tables"]] == ["areas", "woods", "gone"]
    assert ana.http.get("/tables/woods").status_code == ana.http.get("/tables/woods/features").status_code == 404
    assert ben.http.get("/tables/woods").status_code == 200
    assert Client(platform, "").http.get("/tables/areas").status_code == 401


def test_tiles_are_signed_for_one_table_and_person(ana: Client, platform: Any) -> None:
    tiles = ana.http.get("/tables/areas").json()["tiles"]
    x, y = 267, 184  # of zoom 9, around 8.1 E, 45.05 N
    tile = httpx.get(tiles.format(z=9, x=x, y=y))
    assert tile.status_code == 200 and b"areas" in tile.content and b"area 1" in tile.content, tile.text
    assert b"secret" not in tile.content
    assert httpx.get(tiles.format(z=9, x=0, y=0)).content == b""
    assert httpx.get(tiles.format(z=9, x=600, y=0)).status_code == 404
    assert httpx.get(tiles.partition("?")[0].format(z=9, x=x, y=y)).status_code == 401
    of_ben = Client(platform, "ben").http.get("/tables/woods").json()["tiles"]
    assert httpx.get(of_ben.format(z=9, x=x, y=y)).status_code == 200
    assert httpx.get(tiles.replace("/areas/", "/woods/").format(z=9, x=x, y=y)).status_code == 403


@pytest.mark.parametrize("bbox", ["1,2,3", "a,b,c,d", "nan,0,1,1", "8,45,7,44", "1;drop table areas,0,1,1"])
def test_boxes_that_are_none(ana: Client, bbox: str) -> None:
    assert ana.http.get("/tables/areas/features", params={"bbox": bbox}).status_code == 400


def test_a_database_that_fails_says_nothing_of_itself(ana: Client) -> None:
    refused = ana.http.get("/tables/gone/features")
    assert refused.status_code == 503 and "the table gone cannot be read" in refused.json()["message"]
    assert "nowhere" not in refused.text and "bdap@" not in refused.text


def test_nothing_is_written(platform: Any) -> None:
    table = postgis.PostGis(platform.tables[0])
    with pytest.raises(postgis.Unavailable):
        table._rows(text('DELETE FROM "my regions".areas'))  # type: ignore[arg-type]
    assert table.count(postgis.Bounds(-180, -90, 180, 90)) == 10
    table.close()


def test_names_of_tables_are_simple() -> None:
    with pytest.raises(ValidationError):
        TableSettings(name="../x", database_url="postgresql://", table="t")
