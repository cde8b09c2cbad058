"""A real PostgreSQL for tests: Debian's package, a throw-away cluster on a Unix socket, a fresh database on demand."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql


def programs() -> Path | None:
    """Where initdb and postgres are; Debian keeps them off PATH."""
    on_path = shutil.which("initdb")
    found = [Path(on_path)] if on_path else sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def has_postgis() -> bool:
    """Whether that PostgreSQL has PostGIS."""
    found = programs()
    if found is None:
        return False
    home = (found / "initdb").resolve().parent.parent
    shares = [home / "share", Path("/usr/share/postgresql") / home.name]
    return any(list(share.glob("**/extension/postgis.control")) for share in shares)


def _account() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: Popen's arguments for an account that may."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name for entry in pwd.getpwall()}
    entry = pwd.getpwnam("postgres" if "postgres" in known else "nobody")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@dataclass(frozen=True)
class Cluster:
    """A running PostgreSQL; `folder` holds its socket and its data."""

    folder: Path
    pid: int
    port: str = "5432"

    def create(self, name: str) -> str:
        """A new database's SQLAlchemy URL."""
        with _connected(self.folder, self.port) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return f"postgresql+psycopg://bdap@/{name}?host={self.folder}&port={self.port}"


@contextmanager
def cluster(folder: Path, **options: str) -> Iterator[Cluster]:
    """Debian's PostgreSQL over a folder, whose data are made where there are none; options as in postgresql.conf."""
    found, account = programs(), _account()
    if found is None:
        raise RuntimeError("there is no PostgreSQL: `make test` installs it, or `apt-get install postgresql`")
    if account:
        os.chown(folder, account["user"], account["group"])
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C"}
    run: dict[str, Any] = {"cwd": folder, "env": environment, "stdin": subprocess.DEVNULL, **account}
    create = [found / "initdb", "-D", folder / "data", "-U", "bdap", "-A", "trust", "-E", "UTF8", "--no-sync"]
    if not (folder / "data").exists():
        subprocess.run(create, check=True, stdout=subprocess.DEVNULL, **run)
    given: dict[str, Any] = {
        "listen_addresses": "",
        "unix_socket_directories": folder,
        "fsync": "off",
        "shared_buffers": "16MB",
    }
    given |= {"port": "5432", **options}
    command = [found / "postgres", "-D", folder / "data", *(f"--{name}={value}" for name, value in given.items())]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, **run)
    try:
        _wait(folder, given["port"], server)
        yield Cluster(folder, server.pid, given["port"])
    finally:
        server.send_signal(signal.SIGINT)  # what is connected is thrown out
        server.wait(60)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Makes an empty database and gives its SQLAlchemy URL. Skips, visibly, where there is no PostgreSQL."""
    if programs() is None:
        pytest.skip("there is no PostgreSQL: `make test` installs it, or `apt-get install postgresql`")
    folder = Path(tempfile.mkdtemp(prefix="bdap-pg-"))
    try:
        with cluster(folder) as running:
            yield lambda: running.create(f"t{secrets.token_hex(4)}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _connected(folder: Path, port: str) -> psycopg.Connection[Any]:
    return psycopg.connect(host=str(folder), port=port, user="bdap", dbname="postgres", autocommit=True)


def _wait(folder: Path, port: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            _connected(folder, port).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL does not start:\n{(folder / 'log').read_text()[-2000:]}") from None
            time.sleep(0.1)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, once of each kind that the platform runs on."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.sqlite'}"
    return str(request.getfixturevalue("postgres")())
