"""The services that are compared, each one process: ours on both stores, and stac-fastapi's back ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fastapi import FastAPI

from bdap_hub.catalogue.app import create_app
from bdap_hub.settings import Settings, load
from bench.peers import Server, environment, process
from tests.conftest import free_port

PGSTAC = ("stac-fastapi-pgstac==7.2.0", "uvicorn[standard]")
DUCKDB = "1.5.4"  # what that rustac is built with; its extensions come from the internet otherwise
GEOPARQUET = (
    "stac-fastapi-geoparquet==0.0.7",
    "rustac[arrow]==0.9.15",
    "pyarrow",
    "fastapi<0.120",
    "uvicorn[standard]",
    *(f"duckdb-extension-{name}=={DUCKDB}" for name in ("spatial", "icu", "parquet")),
    *(f"stac-fastapi-{part}<6" for part in ("api", "extensions", "types")),  # it does not know later ones
)
ON_PARQUET = """
import importlib, pathlib, tempfile
import rustac
import stac_fastapi.geoparquet.api as api
folder = pathlib.Path(tempfile.mkdtemp())
for name in ("spatial", "icu", "parquet"):
    module = importlib.import_module(f"duckdb_extension_{name}")
    for file in pathlib.Path(module.__file__).parent.glob("extensions/*/*.duckdb_extension"):
        (folder / file.parent.name / "linux_amd64").mkdir(parents=True, exist_ok=True)
        (folder / file.parent.name / "linux_amd64" / file.name).symlink_to(file)
app = api.create(duckdb_client=rustac.DuckdbClient(extension_directory=folder, install_extensions=False)).app
"""


@dataclass(frozen=True)
class Contender:
    """A running service and where it searches; `database`: it works for it, and its time counts."""

    server: Server
    search: str
    database: bool = False

    @property
    def name(self) -> str:
        """As the figures call it."""
        return self.server.name


def application() -> FastAPI:
    """Our service, as uvicorn's factory; settings come from the environment."""
    return create_app(load())


@contextmanager
def ours(name: str, settings: Settings, folder: Path) -> Iterator[Contender]:
    """Our service; settings travel in a file."""
    config = folder / f"{name.replace(' ', '-')}.yaml"
    config.write_text(settings.model_dump_json())  # JSON is YAML
    command = [sys.executable, "-m", "uvicorn", "--factory", "bench.catalogue.servers:application"]
    env, prefix = {**os.environ, "BDAP_CONFIG": str(config)}, "/services/catalogue"
    with process(name, command, settings.catalogue.port, f"{prefix}/health", env) as server:
        yield Contender(server, f"{prefix}/search", bool(settings.catalogue.database_url))


@contextmanager
def pgstac(port: int) -> Iterator[Contender]:
    """stac-fastapi's own back end on the same database as ours."""
    python = environment("stac-fastapi-pgstac", *PGSTAC)
    at = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "bdap", "PGPASSWORD": "x", "PGDATABASE": "bench"}
    command = [str(python), "-m", "uvicorn", "--factory", "stac_fastapi.pgstac.app:create_app"]
    with process(PGSTAC[0].replace("==", " "), command, free_port(), "/", {**os.environ, **at}) as server:
        yield Contender(server, "/search", True)


@contextmanager
def geoparquet(file: Path, folder: Path) -> Iterator[Contender]:
    """Its back end on a file of stac-geoparquet, searched by DuckDB."""
    python = environment("stac-fastapi-geoparquet", *GEOPARQUET)
    (folder / "on_parquet.py").write_text(ON_PARQUET)
    command = [str(python), "-m", "uvicorn", "--app-dir", str(folder), "on_parquet:app"]
    env = {**os.environ, "STAC_FASTAPI_GEOPARQUET_HREF": str(file)}
    with process(GEOPARQUET[0].replace("==", " "), command, free_port(), "/", env) as server:
        yield Contender(server, "/search")
