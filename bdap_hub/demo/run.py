"""`make demo`: prepare what is missing, start every part, say how to get in, and leave nothing behind on Ctrl-C."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from .. import proxy
from .. import settings as tree
from ..errors import BdapError, Conflict
from ..settings import Engine, Settings
from . import containers, explorer, prepare
from .supervisor import Part, Supervisor

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PROCESS_LACKS = """\
engine "process": Docker is not used. What this lacks:
  - no isolation: notebooks and dashboards run as this account and may read its files
  - no memory, CPU or process limits, no network of their own, no read-only /eos (BDAP_STORE names the folder)
  - no choice of image: every server runs in the platform's own Python environment
  Use it to look around, never for other people's code."""


def run(engine: Engine, store: Path | None) -> None:
    """Start the demo and stay until Ctrl-C (or SIGTERM)."""
    begun = time.monotonic()
    var = Path(os.environ.get("BDAP_VAR", "var"))
    os.environ.pop("BDAP_STORE", None)  # a folder here, but the name of a whole section to the settings tree
    var.mkdir(parents=True, exist_ok=True)
    _stop_on_signals()
    with _only_one(var), _engine(engine, var) as (bind, also_bind):
        settings = _settings(var, engine, (bind, also_bind), store)
        _check_ports(settings)
        click.echo("· preparing accounts, data and catalogue")
        accounts = prepare.prepare(settings, progress=lambda line: click.echo(f"    {line}"))["accounts"]
        demo_file = prepare.write_demo_file(settings, accounts)
        supervisor = Supervisor(var / "log", _environment(var))
        try:
            click.echo("· starting")
            if engine == "docker":
                containers.close(settings, warn=click.echo)
            _start(settings, supervisor)
            _greet(settings, accounts, demo_file, time.monotonic() - begun)
            _publish_explorer(settings)
            while True:
                time.sleep(1)
                supervisor.watch()
        except KeyboardInterrupt:
            pass
        finally:
            click.echo("\n· stopping")
            supervisor.stop()
            containers.remove_all(settings)
            click.echo("· stopped; nothing is left running")


def _settings(var: Path, engine: Engine, binds: tuple[str, str], store: Path | None) -> Settings:
    os.environ["BDAP_CONFIG"] = str(prepare.write_settings(var, engine, *binds, store).resolve())
    return tree.load()


def _start(settings: Settings, supervisor: Supervisor) -> None:
    bdap = str(Path(sys.executable).parent / "bdap")
    hub = settings.hub
    parts = [
        Part(
            "proxy",
            proxy.command(settings),
            f"http://{hub.bind}:{hub.public_port}/",
            404,  # it runs, and knows no way yet
            proxy.environment(settings),
        ),
        Part("provider", [bdap, "serve", "provider"], f"{settings.identity.issuer}/.well-known/openid-configuration"),
        *(
            Part(name, [bdap, "serve", name], f"{getattr(settings, name).url}/services/{name}/health")
            for name in prepare.SERVICES
        ),
        Part(
            "gateway",
            [bdap, "serve", "gateway"],
            f"http://{settings.dashboards.gateway_bind}:{settings.dashboards.gateway_port}/",
            404,  # it runs, and this is no dashboard's address
        ),
    ]  # fmt: skip
    supervisor.start(*parts)
    supervisor.start(
        Part(
            "hub",
            [sys.executable, "-m", "jupyterhub", "-f", str(ROOT / "jupyterhub_config.py")],
            f"{settings.hub.public_url}/hub/health",
        )
    )


def _publish_explorer(settings: Settings) -> None:
    """The demo is whole without it: what goes wrong is said."""
    try:
        explorer.publish_explorer(settings, progress=lambda line: click.echo(f"  {line}"))
    except BdapError as error:
        click.echo(f"  The Collections Explorer is not published: {error.message}. {error.remedy}")
    except Exception:
        click.echo(f"  The Collections Explorer is not published:\n{traceback.format_exc()}")


def _environment(var: Path) -> dict[str, str]:
    """The children's environment: what we were given, our settings, our Python first on PATH."""
    own = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": f"{own}:{os.environ.get('PATH', '')}", "PYTHONUNBUFFERED": "1"}


@contextmanager
def _engine(engine: Engine, var: Path) -> Iterator[tuple[str, str]]:
    """The addresses servers and dashboards reach us on. Starts Docker Engine if need be, stops what it started."""
    if engine == "process":
        click.echo(PROCESS_LACKS)
        yield "127.0.0.1", ""
        return
    with containers.docker_engine_running(progress=lambda line: click.echo(f"    {line}")):
        click.echo("· images (the first time takes some minutes)")
        containers.build_images(os.environ.get("BASE_IMAGE"), progress=lambda line: click.echo(f"    {line}"))
        yield containers.networks(tree.Settings(environment="demo", var=var))


@contextmanager
def _only_one(var: Path) -> Iterator[None]:
    with (var / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"a demo is already running in {var.resolve()}", "stop it with Ctrl-C first") from None
        yield


def _check_ports(settings: Settings) -> None:
    hub, boards = settings.hub, settings.dashboards
    wanted = [
        ("hub.public_url", hub.bind, hub.public_port),
        ("hub.api_port", hub.api_bind, hub.api_port),
        ("hub.proxy_api_port", "127.0.0.1", hub.proxy_api_port),
        ("identity.issuer", "127.0.0.1", urlsplit(settings.identity.issuer).port or 80),
        ("dashboards.gateway_port", boards.gateway_bind, boards.gateway_port),
        *(
            (f"{name}.port", address, section.port)
            for name, section in ((name, getattr(settings, name)) for name in prepare.SERVICES)
            for address in filter(None, (section.bind, section.also_bind))
        ),
    ]
    for name, address, port in wanted:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                variable = f"BDAP_{name.replace('.', '__').upper()}"
                raise Conflict(
                    f"{name}: {address}:{port} cannot be used ({error.strerror})",
                    f"stop what listens there, or set {variable} to another",
                ) from None


def _stop_on_signals() -> None:
    def stop(_number: int, _frame: Any) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, stop)


def _greet(settings: Settings, accounts: list[dict[str, Any]], demo_file: Path, seconds: float) -> None:
    click.echo(f"\nBDAP Hub is ready after {seconds:.0f} s:  {settings.hub.public_url}\n")
    click.echo(f"  {'account':8} {'password':18} {'TOTP secret':34} who")
    for account in accounts:
        secret = account.get("totp_secret") or "enrols at first login"
        click.echo(f"  {account['name']:8} {account['password']:18} {secret:34} {account.get('role', '')}")
    click.echo(
        "\n  Second factor: add the TOTP secret to any authenticator app, or let `.venv/bin/bdap demo code ana` print\n"
        "  the code of the moment. Log in as eva to enrol one yourself: the page shows a QR code to scan.\n"
        "  Log in as nora, whom nobody knows, to ask for access; olga answers at /hub/requests. Letters are files in\n"
        f"  {settings.var / 'mail'}.\n"
        f"  For scripts: {demo_file} (mode 600).  Logs: {settings.var / 'log'}.  Stop with Ctrl-C.\n"
    )
