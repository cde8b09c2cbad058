"""Publishes the Collections Explorer at the demo's first start, and again when its files have changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .. import entitlements
from ..access import Person, Publish, decide
from ..dashboards.bundles.bundle import Bundle, read_bundle
from ..dashboards.bundles.client import pack
from ..dashboards.records import Records
from ..dashboards.releases.publish import Publisher, Wish
from ..dashboards.running.runtime import make_runtime
from ..database import connect
from ..errors import NotAllowed
from ..settings import Settings
from ..web import HubLogin
from .people import PEOPLE

FOLDER = Path(__file__).parents[2] / "extensions" / "collections-explorer"
PROJECT, OWNER = "agriculture", "olga"


def publish_explorer(settings: Settings, progress: Callable[[str], None]) -> None:
    """Publish it in olga's name as anybody would, tried out first. One taken down stays so until it changes."""
    bundle = _bundle(settings)
    slug, title = bundle.manifest.slug or "explore", bundle.manifest.title or "Collections Explorer"
    stamp = settings.var / "stamps" / "published-explorer"
    if stamp.exists() and stamp.read_text() == bundle.sha256:
        return
    records = Records(connect(settings.database))
    before = records.find(PROJECT, slug)
    _allowed(settings, records, before.owner if before else "")
    wish = Wish(PROJECT, slug, title, bundle.manifest.description or "", "public")
    publisher = Publisher(settings, records, make_runtime(settings), HubLogin(settings, "dashboards"))
    publisher.publish(wish, bundle, OWNER, before)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(bundle.sha256)
    progress(f"{title}: {settings.dashboards.address(PROJECT, slug)}")


def _bundle(settings: Settings) -> Bundle:
    name, content = pack(FOLDER)
    return read_bundle(name, content, settings.dashboards.max_bundle_mb * 2**20)


def _allowed(settings: Settings, records: Records, owner: str) -> None:
    groups = next(one.groups for one in PEOPLE if one.name == OWNER)
    policy = entitlements.policy(settings, records.sessions)
    decision = decide(policy, Person(OWNER, frozenset(groups)), Publish(PROJECT, "public", owner))
    if not decision:
        raise NotAllowed(f"{OWNER} may not publish the explorer: {decision.reason}", "publish it by hand")
