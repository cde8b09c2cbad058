"""From an upload to a live release: check, keep, start, look whether it works, and only then make it live."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from ... import entitlements
from ...access import Visibility
from ...errors import BadRequest, Conflict, Unavailable
from ...settings import Settings
from ...web import HubLogin
from ..bundles.bundle import Bundle, bundles_of, store_bundle
from ..bundles.kinds import APPS, NOTEBOOK, STATIC, check_needs
from ..bundles.manifest import NAME, NOTHING, Manifest, check
from ..bundles.site import open_once
from ..records import Live, Records, check_slug, release_name, wider
from ..running import copies
from ..running.runtime import TOKEN_SECONDS, Launch, Runtime, uid_of
from ..running.told import KEY, visitor_key
from ..snapshots.kept import snapshots_of
from ..snapshots.painter import make_painter, portray, portray_page
from ..steps import Tell, silent
from ..tables import Dashboard, Release
from .means import Layers, means, without_packages
from .review import settle
from .tryout import how, try_out


@dataclass(frozen=True)
class Wish:
    """What an author asks for; checked by `check_wish`. `manifest` counts before what the bundle's own says."""

    project: str
    slug: str
    title: str
    description: str
    visibility: Visibility
    manifest: Manifest = NOTHING

    def whole(self, bundle: Bundle) -> Manifest:
        """What holds for the release: this wish, and the bundle's manifest where it says nothing."""
        said = {"title": self.title.strip(), "description": self.description.strip() or None}
        fixed = {"slug": self.slug, "visibility": self.visibility, "entry": bundle.entry}
        if bundle.kind != NOTEBOOK:
            fixed["kind"] = bundle.kind
        return bundle.manifest.replaced({**self.manifest.said(), **said, **fixed})


def completed(wish: Wish, bundle: Bundle, before: Dashboard | None = None) -> Wish:
    """The wish with what the bundle's manifest says where it is silent, and else as the dashboard is; checked.

    Who publishes says it themselves where more people than now are to see it: another may have written the manifest.
    """
    said, there = bundle.manifest.replaced(wish.manifest.said()), present(before)
    wanted = said.visibility or there
    if not wish.visibility and wider(wanted, there) != there:
        fewer = "the project's" if there == "project" else "see it now"
        raise BadRequest(f"{NAME} asks for visibility {wanted!r}: more people than {fewer}", "say visibility yourself")
    title = wish.title or said.title or (before.title if before else "") or wish.slug
    about = wish.description or said.description or (before.description if before else "")
    full = replace(wish, title=title, description=about, visibility=wish.visibility or wanted)
    check_wish(full)
    check_needs(full.whole(bundle))
    return full


def present(dashboard: Dashboard | None) -> Visibility:
    """Who sees the dashboard now, and so its next version unless somebody says otherwise: of a new one, its project."""
    known = dashboard is not None and dashboard.status != "retired"
    return cast(Visibility, dashboard.visibility) if known and dashboard else "project"


def check_wish(wish: Wish) -> None:
    """BadRequest with the field and its value when a wish is not well formed."""
    check_slug(wish.project, wish.slug)
    if wish.visibility not in ("project", "people", "public"):
        raise BadRequest(f"visibility: {wish.visibility!r} is unknown", "use project, people or public")
    if not 1 <= len(wish.title.strip()) <= 120:
        raise BadRequest(f"title: {wish.title[:130]!r} has {len(wish.title)} characters", "use 1 to 120")
    if len(wish.description) > 2000:
        raise BadRequest(f"description: {len(wish.description)} characters", "use at most 2000")


_under_way: set[str] = set()
"""Dashboards that this process publishes just now."""
_left: set[str] = set()
"""Releases that failed while the engine was silent: they end when it answers again."""


class Publisher:
    """Publishes, starts and ends releases; blocking, to be called in a thread."""

    def __init__(
        self,
        settings: Settings,
        records: Records,
        runtime: Runtime,
        login: HubLogin,
        layers: Layers = without_packages,
    ) -> None:
        self.settings, self.records, self.runtime, self.login = settings, records, runtime, login
        self.layers = layers
        self.bundles = bundles_of(settings)

    def publish(
        self,
        wish: Wish,
        bundle: Bundle,
        person: str,
        before: Dashboard | None = None,
        draft: bool = False,
        tell: Tell = silent,
    ) -> Release:
        """The new version: live, submitted where its project demands an approval, or a draft where that is wished.

        NotebookFailed or Unavailable otherwise. What was live before still is until the new one goes live.

        `before` is what access was asked about: one that somebody else made since is never replaced.
        """
        dashboard = f"{wish.project}/{wish.slug}"
        if dashboard in _under_way:  # the service is one process; others find the version's container below
            raise Conflict(f"{dashboard} is being published just now", "wait for it, then publish again")
        _under_way.add(dashboard)
        try:
            return self._published(wish, bundle, person, before, draft, tell)
        finally:
            _under_way.discard(dashboard)

    def _published(
        self, wish: Wish, bundle: Bundle, person: str, before: Dashboard | None, draft: bool, tell: Tell
    ) -> Release:
        manifest = wish.whole(bundle)
        version = max([r.version for r in self.records.releases(before)], default=0) + 1 if before else 1
        folder = store_bundle(bundle, self.bundles)
        name = release_name(wish.project, wish.slug, version)
        if manifest.kind == STATIC:
            made = _release(wish, version, bundle, person, manifest, "")
            made.mode, made.thumbnail = "static", self._page(name, folder, bundle.entry, tell)
            return self._recorded(before or _dashboard(wish, person), made, draft)
        if name in _left:
            self.runtime.stop(name)
            _left.discard(name)
        if name in self.runtime.running():
            raise Conflict(f"{wish.project}/{wish.slug} is being published just now", "wait for it, then publish again")
        asked = (name, f"{wish.project}/{wish.slug}", wish.project, folder)
        launch = self._launch(*asked, manifest)
        image = self._with_packages(launch, manifest, tell)
        if image:  # which takes minutes: what may be mounted is looked at once more
            launch = self._launch(*asked, manifest)
            launch = replace(launch, means=replace(launch.means, image=image)) if launch.means else launch
        try:
            try_out(self.runtime, launch, tell)
            made = _release(wish, version, bundle, person, manifest, image)
            made.mode, made.why = how(self.runtime, launch)
            made.thumbnail = self._portray(launch, tell)
            return self._recorded(before or _dashboard(wish, person), made, draft)
        except BaseException:
            self._give_up(name)
            raise

    def _recorded(self, dashboard: Dashboard, made: Release, draft: bool) -> Release:
        """The version, kept, and as far as its project lets it go by itself."""
        release = self.records.add(dashboard, made)
        if not draft:
            settle(self.records, entitlements.policy(self.settings, self.records.sessions), dashboard, release)
        return self.records.release(dashboard, release.version)

    def _page(self, name: str, folder: Path, entry: str, tell: Tell) -> str:
        """Open a static page once, and draw its picture; nothing is started for it."""
        tell("opening the page")
        open_once(folder, entry, self.settings.dashboards.script_origins)
        tell("drawing its picture")
        return portray_page(self.settings, make_painter(self.settings), name, folder / entry)

    def _give_up(self, name: str) -> None:
        """End a release that did not come to be: what is told is why, not that the engine is silent, too."""
        try:
            self.runtime.stop(name)
        except Unavailable:
            _left.add(name)

    def start(self, live: Live, name: str = "") -> None:
        """Start the live release, or its copy of that name, if it is not running."""
        folder = self.bundles / live.bundle
        manifest = check(live.manifest).replaced({"entry": live.entry})
        launch = self._launch(live.release, live.name, live.project, folder, manifest)
        if live.image and launch.means:
            launch = replace(launch, means=replace(launch.means, image=live.image))
        self.runtime.start(replace(launch, name=name or launch.name))

    def stop_all(self, dashboard: Dashboard) -> None:
        """End its versions, and forget what is kept of their pages."""
        kept = snapshots_of(self.settings)
        for release in self.records.releases(dashboard):
            name = release_name(dashboard.project, dashboard.slug, release.version)
            kept.drop(name)
            self._stop(name)

    def _stop(self, release: str) -> None:
        """The release, and all of its copies."""
        most = copies.most(self.settings.dashboards)
        running = {name for name in self.runtime.running() if copies.split(name)[0] == release}
        for name in running | {copies.named(release, number) for number in range(1, most + 1)}:
            self.runtime.stop(name)

    def _portray(self, launch: Launch, tell: Tell) -> str:
        tell("drawing its picture")
        address, keep = self.runtime.address(launch.name), launch.kind not in APPS
        painter = make_painter(self.settings)
        return portray(self.settings, painter, launch.name, address, keep) if address else ""

    def _with_packages(self, launch: Launch, manifest: Manifest, tell: Tell) -> str:
        """The image with what the manifest requires beyond it; '' where it requires nothing."""
        if not manifest.requirements or launch.means is None:
            return ""
        if self.settings.spawning.engine == "process":
            raise Unavailable("requirements need containers", "leave them out, or use Docker")
        tell(f"installing {', '.join(manifest.requirements)}")
        return self.layers(self.settings, launch.means.image, manifest.requirements, tell)

    def _launch(self, name: str, dashboard: str, project: str, folder: Path, manifest: Manifest) -> Launch:
        policy = entitlements.policy(self.settings, self.records.sessions)
        found = policy.project(project)
        group = found.group if found else ""
        return Launch(
            name=name,
            bundle=folder,
            entry=manifest.entry or "",
            kind=manifest.kind or NOTEBOOK,
            uid=uid_of(dashboard),
            means=means(self.settings, policy, dashboard, manifest),
            environment={
                "BDAP_TOKEN": self.login.release_token(dashboard, group, TOKEN_SECONDS),
                "BDAP_PROJECT": project,
                "BDAP_DASHBOARD": dashboard,
                "BDAP_TITLE": manifest.title or "",
                KEY: visitor_key(self.settings.secret("signing"), name),
            },
        )


def _dashboard(wish: Wish, person: str) -> Dashboard:
    """A dashboard of which nothing is live yet."""
    return Dashboard(
        project=wish.project,
        slug=wish.slug,
        title=wish.title.strip(),
        description=wish.description.strip(),
        visibility=wish.visibility,
        owner=person,
        status="draft",
        version=0,
        visits=0,
    )


def _release(wish: Wish, version: int, bundle: Bundle, person: str, manifest: Manifest, image: str) -> Release:
    return Release(
        version=version,
        bundle=bundle.sha256,
        entry=bundle.entry,
        publisher=person,
        title=wish.title.strip(),
        description=wish.description.strip(),
        visibility=wish.visibility,
        manifest=manifest.said(),
        image=image,
    )
