"""Who asks for a plan's pixels, and whether they may: the collections' rules are asked again each time."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ... import entitlements
from ...access import Person, Policy, ReadCollection, ReadPath, decide, results_folder
from ...database import shared
from ...errors import NotAllowed
from ...settings import Settings
from ...web import HubLogin, Principal, read_token, sign_token
from ..engine.cache import Cache
from ..graphs.plan import Owned, Plan, restore
from ..jobs.tables import JobNotFound, Jobs

PURPOSE = "tile"
MOST_JOBS = 50
"""So many jobs may stand behind a graph: those whose results it reads, those whose results these have read …"""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Rights:
    """Signs tile URLs for principals and finds out later what these principals may read now."""

    def __init__(self, settings: Settings, login: HubLogin, jobs: Jobs | None = None) -> None:
        self.settings, self.login, self.jobs = settings, login, jobs
        self._key, self._database = settings.secret("signing"), settings.database
        self._rules: dict[str, tuple[int, Owned]] = {}
        self._read: Cache[tuple[Owned, ...]] = Cache(500)
        self._signed: Cache[dict[str, Any]] = Cache(2000)
        self._results = f"{settings.store.mount.rstrip('/')}/results/"

    def sign(self, plan: str, principal: Principal) -> str:
        """The signature of a tile URL, bound to one plan and one principal."""
        group = next(iter(principal.person.groups), "") if principal.kind == "release" else ""
        seconds = self.settings.processing.tile_url_hours * 3600
        return sign_token(
            self._key, PURPOSE, seconds, plan=plan, name=principal.person.name, kind=principal.kind, group=group
        )

    async def signed_person(self, plan: str, signature: str) -> Person:
        """The person for whom a tile URL was signed, with their groups of now; refused for any other plan."""
        claims = self._claims(signature)
        if claims.get("plan") != plan:
            raise NotAllowed("this address was signed for another service", "take the address from the service's `url`")
        name = str(claims["name"])
        if claims.get("kind") == "release":
            return Person(name, frozenset({str(claims["group"])}))
        groups = await self.login.groups_of(name)
        if groups is None:
            raise NotAllowed(f"{name} has no account any more", "log in again")
        return Person(name, groups)

    async def ready(self) -> None:
        """Until here the database is asked, where it has to be: what follows in the event loop does not wait for it."""
        await entitlements.ready(self.settings, shared(self._database))

    async def checked(self, plan: Plan, person: Person) -> bool:
        """`check`, without waiting for the database in the event loop."""
        if any(owned.kind == "job" for owned in plan.collections):
            return await asyncio.to_thread(self.check, plan, person)
        await self.ready()
        return self.check(plan, person)

    def _claims(self, signature: str) -> dict[str, Any]:
        """What was signed, read once: a map asks for all its tiles with one signature, as long as it is valid."""
        claims = self._signed.get(signature, lambda: read_token(self._key, PURPOSE, signature))
        return claims if claims["exp"] > time.time() else read_token(self._key, PURPOSE, signature)

    def check(self, plan: Plan, person: Person) -> bool:
        """Whether everybody may read the plan's collections now; NotAllowed unless at least the person may.

        The results of a job are its owner's alone, as long as they are there and what the job read may be read.
        """
        return self._check(plan.collections, person, set())

    def _check(self, collections: Sequence[Owned], person: Person, jobs: set[str]) -> bool:
        policy, everybody = self._policy(), True
        for owned in collections:
            if owned.kind == "job":
                everybody = False
                if owned.id not in jobs:
                    jobs.add(owned.id)
                    self._check(self._behind(owned.id, person, len(jobs)), person, jobs)
                continue
            wanted = self._path(owned.id) if owned.kind == "path" else _collection(self._now(owned))
            decision = decide(policy, person, wanted)
            if not decision:
                raise NotAllowed(decision.reason, "ask the project's owner for access")
            everybody = everybody and bool(decide(policy, None, wanted))
        return everybody

    def _behind(self, job: str, person: Person, count: int) -> tuple[Owned, ...]:
        """What somebody's own job has read; NotFound where they have no such job with results, NotAllowed as ever."""
        row = self.jobs.get(job, person.name) if self.jobs else None
        if row is None or row.status != "finished":
            raise JobNotFound(f"you have no job {job!r:.80} with results", "GET /jobs lists yours")
        if count > MOST_JOBS:
            raise NotAllowed(f"more than {MOST_JOBS} jobs were made of one another's results", "load fewer of them")
        self.read(f"{self._results}{results_folder(row.owner)}/{job}", person)
        return self._read.get((job, row.updated), lambda: restore(row.plan).collections)

    def read(self, path: str, person: Person) -> None:
        """NotAllowed unless the person may read below the path of the store now."""
        if not (decision := decide(self._policy(), person, self._path(path))):
            raise NotAllowed(decision.reason, "ask the owner of the folder for access")

    def covering(self, folders: Sequence[str], person: Person) -> tuple[Owned, ...]:
        """Folders that hold these, as few as the person may read now; NotAllowed where they may not read one."""
        policy, found = self._policy(), dict[str, Owned]()
        for folder in folders:
            if folder.startswith(self._results):
                self.read(folder, person)
                job = folder.removeprefix(self._results).partition("/")[2].partition("/")[0]
                found[job] = Owned(job, "people", "", "job")
                continue
            whole = self._whole(folder)
            if not decide(policy, person, self._path(whole)):
                self.read(folder, person)
                whole = folder
            rule = self._path(whole)
            found[whole] = Owned(whole, rule.visibility, rule.owner, "path")
        return tuple(found.values())

    def _whole(self, folder: str) -> str:
        """The folder of the collection or project that holds a folder."""
        for area in ("data", "projects"):
            root = f"{self.settings.store.mount.rstrip('/')}/{area}/"
            if folder.startswith(root):
                return root + folder.removeprefix(root).partition("/")[0]
        return folder

    def may(self, wanted: ReadCollection, person: Person | None) -> bool:
        """Whether somebody may read what has the rule of a collection."""
        return bool(decide(self._policy(), person, wanted))

    def _policy(self) -> Policy:
        return entitlements.policy(self.settings, shared(self._database))

    def _path(self, path: str) -> ReadPath:
        """The question for a path, with the rule of the collection that lies there."""
        data = f"{self.settings.store.mount.rstrip('/')}/data/"
        name = path.removeprefix(data).partition("/")[0] if path.startswith(data) else ""
        known = NAME.fullmatch(name) and (self.settings.var / "catalogue" / name / "collection.json").exists()
        rule = self._now(Owned(name, "project", "")) if known else Owned(name, "people", "")
        return ReadPath(path, "", rule.visibility, rule.project)

    def _now(self, owned: Owned) -> Owned:
        """The collection's rule as the catalogue records it at this moment; as it was planned where it has none."""
        path = self.settings.var / "catalogue" / owned.id / "collection.json"
        try:
            stamp = path.stat().st_mtime_ns
        except OSError:
            return owned
        known = self._rules.get(owned.id)
        if known is None or known[0] != stamp:
            rule = _recorded(owned.id, path)
            known = self._rules[owned.id] = (stamp, rule)
        return known[1]


def _recorded(name: str, path: Path) -> Owned:
    """A collection's rule by its record; one that cannot be read counts as nobody's."""
    try:
        found = json.loads(path.read_text())
        return Owned(name, found.get("bdap:visibility", "project"), str(found.get("bdap:project") or ""))
    except (OSError, ValueError, AttributeError):
        return Owned(name, "project", "")


def _collection(owned: Owned) -> ReadCollection:
    return ReadCollection(owned.id, owned.visibility, owned.project)


def caller_token(request: Any, login: HubLogin) -> str:
    """The token with which the caller came, for asking the catalogue in their name."""
    header: str = request.headers.get("authorization", "")
    return header.partition(" ")[2].strip() if header else str(request.cookies.get(login.cookie, ""))
