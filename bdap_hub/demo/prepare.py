"""What the demo needs before it starts: settings file, per-install secrets, accounts, imagery, catalogue."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from ..access import Visibility
from ..catalogue.ingest import ingest
from ..errors import BdapError
from ..settings import Engine, Settings
from . import data, provider
from .people import PEOPLE, PROJECTS, seed

SERVICES = ("processing", "catalogue", "dashboards", "admin")
SECRETS = (
    "signing",
    "oidc-client-secret",
    "proxy-auth-token",
    "hub-crypt-key",
    "service-demo",
    *(f"service-{name}" for name in SERVICES),
)
Progress = Callable[[str], None]


def write_settings(var: Path, engine: Engine, bind: str, also_bind: str, store: Path | None) -> Path:
    """`<var>/bdap.yaml` for one machine: services listen where servers (`bind`) and dashboards reach them."""
    tree: dict[str, Any] = {
        "environment": "demo",
        "var": str(var.resolve()),
        "hub": {"api_bind": bind},
        "identity": {
            "scope": ["openid", "profile", "email", "groups", "offline_access"],
            "public_client_id": "bdap-programs",
            "step_up": {"administer": {"max_age": 3600}, "gpu": {"max_age": 900}},
        },
        "spawning": {"engine": engine, "skeleton": str(Path(__file__).parent / "notebooks")},
        "store": {"root": str(var.resolve() / "store")},
        "projects": list(PROJECTS),
        "registration": {"required": True, "terms": str(Path(__file__).parent / "terms.txt")},
        **{name: {"bind": bind} for name in SERVICES},
        **{name: {"bind": bind, "also_bind": also_bind} for name in ("processing", "catalogue")},
    }
    if store is not None:
        tree["store"]["data_root"] = str(store.resolve())
    path = var / "bdap.yaml"
    write_private(path, yaml.safe_dump(tree, sort_keys=False))
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file that only this account may read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    temporary.replace(path)


def ensure_secrets(var: Path) -> None:
    """Draw every secret that this install does not have yet."""
    vault = var / "secrets"
    vault.mkdir(parents=True, exist_ok=True)
    vault.chmod(0o700)
    for name in SECRETS:
        if not (vault / name).exists():
            write_private(vault / name, secrets.token_hex(32) + "\n")


def prepare(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Make everything that is missing; returns the accounts as they stand in demo.json. Idempotent."""
    ensure_secrets(settings.var)
    for project in settings.projects:
        (settings.store.projects / project.name).mkdir(parents=True, exist_ok=True)
    accounts = provider.provision(settings, PEOPLE)
    seed(settings, PEOPLE)
    progress(f"accounts: {', '.join(account['name'] for account in accounts)}")
    if settings.store.data_root is None:
        data.generate(settings.store.data, progress=progress)
        ingest_demo(settings, progress)
    else:
        for folder in sorted(p for p in settings.store.data.iterdir() if p.is_dir() and not p.name.startswith(".")):
            try:
                _ingest(settings, folder.name, folder.name, "public", "", progress)
            except BdapError as error:  # one odd folder is no reason not to show the others
                progress(f"catalogue: {folder.name} left out: {error.message}")
    return {"accounts": accounts}


def ingest_demo(settings: Settings, progress: Progress) -> None:
    """What the demo made, as collections."""
    _ingest(settings, "sentinel-2-demo", "Sentinel-2 like demo scenes", "public", "", progress)
    _ingest(settings, "sentinel-1-demo", "Sentinel-1 like demo radar, in dB", "public", "", progress)
    _ingest(settings, "dem-demo", "Demo heights, in metres", "public", "", progress, "(?P<band>elevation)")
    _ingest(settings, "land-cover-demo", "Demo land cover, classes", "public", "", progress, "(?P<band>class)")
    _ingest(settings, "forest-plots", "Forest plots", "project", "forest", progress)


def _ingest(
    settings: Settings,
    collection: str,
    title: str,
    visibility: Visibility,
    project: str,
    progress: Progress,
    pattern: str = "",
) -> None:
    stamp = settings.var / "stamps" / f"ingested-{collection}-{visibility}"
    newest = str(max((p.stat().st_mtime for p in (settings.store.data / collection).rglob("*.tif")), default=0))
    if stamp.exists() and stamp.read_text() == newest:
        return
    report = ingest(
        settings,
        settings.store.data / collection,
        collection,
        title=title,
        visibility=visibility,
        project=project,
        progress=progress,
        pattern=pattern,
    )
    progress(f"catalogue: {collection}: {report}")
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(newest)


def write_demo_file(settings: Settings, accounts: list[dict[str, Any]]) -> Path:
    """`<var>/demo.json`, mode 600: all that a script needs to log in and look around."""
    path = settings.var / "demo.json"
    content = {
        "addresses": {
            "hub": settings.hub.public_url,
            "provider": settings.identity.issuer,
            "dashboards": f"{settings.hub.public_url}/services/dashboards/",
            "catalogue": f"{settings.hub.public_url}/services/catalogue/",
            "processing": f"{settings.hub.public_url}/services/processing/",
            "admin": f"{settings.hub.public_url}/services/admin/",
        },
        "accounts": accounts,
        "tokens": {"hub_api": settings.secret("service-demo")},
    }
    write_private(path, json.dumps(content, indent=2) + "\n")
    return path
