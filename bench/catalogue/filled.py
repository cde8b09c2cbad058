"""The stores full of the same items: ours in SQLite, a PostgreSQL with pgstac, a file of stac-geoparquet.

A million items take three gigabytes; what was made is used again by the next run where it was kept.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched
from pathlib import Path

import psycopg
from pypgstac.db import PgstacDB
from pypgstac.load import Loader, Methods

from bdap_hub.catalogue.disk import write_json
from bdap_hub.catalogue.pgstac import PgstacItems
from bdap_hub.catalogue.store import open_catalogue
from bdap_hub.settings import Settings
from bench.peers import environment
from tests.conftest import free_port, make_settings
from tests.postgres import cluster

from . import made
from .servers import GEOPARQUET

PAGE = 1000

TUNED = {
    "shared_buffers": "512MB", "effective_cache_size": "4GB", "work_mem": "64MB", "maintenance_work_mem": "512MB",
    "random_page_cost": "1.1", "max_wal_size": "512MB", "wal_level": "minimal", "max_wal_senders": "0",
    "synchronous_commit": "off",
}  # fmt: skip
"""As pgstac's documentation advises, for a machine of this size."""
PARQUET = """
import itertools, json, sys
import pyarrow as pa, pyarrow.parquet as pq, rustac
writer, target = None, sys.argv[1]
lines = iter(sys.stdin)
while chunk := [json.loads(line) for line in itertools.islice(lines, 50_000)]:
    table = pa.table(rustac.to_arrow(chunk))
    if writer is None:
        geo = {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": {"encoding": "WKB",
               "geometry_types": ["Polygon"], "covering": {"bbox": {part: ["bbox", part] for part in
               ("xmin", "ymin", "xmax", "ymax")}}}}}
        schema = table.schema.with_metadata({**(table.schema.metadata or {}), b"geo": json.dumps(geo).encode(),
                                             b"stac:geoparquet_version": b"1.0.0"})
        writer = pq.ParquetWriter(target, schema, compression="zstd")
    writer.write_table(table.cast(writer.schema), row_group_size=50_000)
writer.close()
"""


@dataclass(frozen=True)
class Filled:
    """Where the items are. `port` and `pid` are PostgreSQL's."""

    sqlite: Settings
    pgstac: Settings
    parquet: Path
    port: int
    pid: int


@contextmanager
def filled(folder: Path, count: int) -> Iterator[Filled]:
    """All stores, full; PostgreSQL runs meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    base, port = folder / "postgres", free_port()
    base.mkdir(exist_ok=True)
    with cluster(base, listen_addresses="127.0.0.1", port=str(port), **TUNED) as running:
        url = f"postgresql+psycopg://bdap@127.0.0.1:{port}/bench"
        found = Filled(
            _settings(folder / "sqlite"), _settings(folder / "pgstac", url), folder / "items.parquet", port, running.pid
        )
        if not (folder / "ready").exists():
            running.create("bench")
            _timed("SQLite", lambda: _into_sqlite(found.sqlite, count))
            _timed("pgstac", lambda: _into_pgstac(url, count))
            _timed("stac-geoparquet", lambda: _into_parquet(found.parquet, count))
            (folder / "ready").touch()
        yield found


def _settings(folder: Path, url: str = "") -> Settings:
    """An install whose catalogue has the collection, for everybody."""
    settings = make_settings(folder, catalogue={"database_url": url})
    home = folder / "catalogue" / made.COLLECTION
    home.mkdir(parents=True, exist_ok=True)
    write_json(home / "collection.json", {**made.collection(), "bdap:visibility": "public"})
    return settings


def _into_sqlite(settings: Settings, count: int) -> None:
    store = open_catalogue(settings).items
    for page in batched(made.items(count), PAGE):
        store.put(made.collection(), page)


def _into_pgstac(url: str, count: int) -> None:
    """By pgstac's own loader, as its documentation says for many."""
    PgstacItems(url).put(made.collection(), [])
    with PgstacDB(dsn=url.replace("+psycopg", "")) as database:
        Loader(db=database).load_items(made.items(count), insert_mode=Methods.insert)
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE pgstac.items")


def _into_parquet(file: Path, count: int) -> None:
    """By rustac, the library of the back end that reads it."""
    python = environment("stac-fastapi-geoparquet", *GEOPARQUET)
    writer = subprocess.Popen([str(python), "-c", PARQUET, str(file)], stdin=subprocess.PIPE, text=True)
    assert writer.stdin is not None
    with writer.stdin as lines:
        lines.writelines(json.dumps(item) + "\n" for item in made.items(count))
    if writer.wait() != 0:
        raise RuntimeError("the file of stac-geoparquet was not written")


def _timed(name: str, fill: Callable[[], None]) -> None:
    begun = time.monotonic()
    fill()
    print(f"{name} filled in {time.monotonic() - begun:.0f} s", flush=True)
