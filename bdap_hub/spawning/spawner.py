"""Servers in containers: what runs is a SpawnPlan, and the engine carries it out; this file leads one start.

DockerSpawner gives the settings that operators and JupyterHub know; its calls of Docker and its waits are not used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dockerspawner import DockerSpawner
from traitlets import Any as AnyTrait
from traitlets import default

from ..access import Image, Person, Policy, UseImage, UseProject, decide
from ..errors import BdapError, NotAllowed, NotFound, Unavailable
from ..telemetry import redact
from . import grants, uids, warm
from .certified import Certified
from .engines import Engine, ImageMissing, State, engine_of
from .gpu.wait import WaitsForGpus
from .images import pulls
from .laps import Laps
from .lifecycle import reasons
from .lifecycle.orphans import settled
from .page.choosing import Facts
from .page.looks import looks_of
from .page.progress import Progress
from .plan import Choice, Site, SpawnPlan, container_name, plan
from .recheck import ANOTHER_IMAGE, Recheck, no_folder, readable, refused, sessions
from .store import folders as store
from .store.credentials import HasCredentials, mounts_of
from .store.home_quota import Homes, homes_of
from .store.start import UsesStore

STARTING = (
    Progress("queued", "Checking what you may start"),
    Progress("preparing", "Preparing your home folder"),
    Progress("starting", "Creating your container"),
    Progress("starting", "Starting JupyterLab"),
)
PLACES = 3  # machines that are tried
LOOK = 1.0  # seconds between two questions to the engine about a server that starts
CLAIMED, COLD = 0.05, 0.25  # seconds within which none listens
OFTEN, SELDOM = 0.01, 0.2  # seconds between two knocks at its door: the longer it takes, the fewer
THREADS = ThreadPoolExecutor(8, thread_name_prefix="plan")  # database and folders


class BdapDockerSpawner(WaitsForGpus, UsesStore, HasCredentials, Recheck, Certified, DockerSpawner):  # type: ignore[misc]
    """One container a person: own uid, only their projects' folders, limits, no capabilities, no neighbours."""

    plan = AnyTrait(None, allow_none=True, help="The SpawnPlan of the running or starting server.")
    stage = 0
    engine_line = ""
    pulling: Progress | None = None
    _own_timeout: int | None = None

    @default("remove")
    def _remove_default(self) -> bool:
        return True

    @default("cmd")
    def _cmd_default(self) -> list[str]:
        return ["jupyterhub-singleuser"]

    @default("allowed_images")
    def _allowed_images_default(self) -> Any:
        return lambda spawner: {choice.image.name: choice.image.reference for choice in spawner.choices}

    @property
    def engine(self) -> Engine:
        """What runs the servers."""
        return engine_of(self.settings)

    async def look(self, references: set[str]) -> tuple[Mapping[str, Facts], str]:
        """As the engine knows it."""
        return await looks_of(self.settings).at(references, self.policy.sizes)

    @property
    def homes(self) -> Homes:
        """What people's homes hold."""
        return homes_of(self.settings)

    @property
    def _pulls(self) -> pulls.Pulls:
        return pulls.pulls_of(self.settings)

    @default("object_name")
    def _object_name_default(self) -> str:
        return container_name(self.settings, self.user.name, self.name)

    async def start(self) -> tuple[str, int]:
        """Decide again, plan, create, start, and wait until the server listens."""
        self.stage, self.engine_line, self.pulling, self.page_left = 0, "", None, None
        lap = Laps()
        self.begun()
        choice = self.decide()
        await self.begin()
        lap("decide")
        try:
            await settled(self.object_name)
            await self.engine.remove(self.object_name)  # what an earlier hub left behind; it may hold a GPU
            given = await self.gpus_for(choice)
            image = await self._pinned(choice)
            self.plan = await self._make_plan(choice, self.person, self.policy, given, image)
            lap("plan")
            self.stage, limits = 2, self.plan.limits
            self.image, self.mem_limit, self.cpu_limit = self.plan.image, limits.memory, limits.cpus  # for `get_env`
            command = [*self.cmd, *self.get_args()]
            if claimed := await self._claim(command):
                lap("claim")
            else:
                await self._create(command, choice.image.title)
                lap("create")
                await self.engine.start(self.object_name)
                await self.certify()
                lap("start")
            self.stage = 3
            address = await self._until_listening(claimed)
            lap("listen")
            self.store_settled()
            self.credentials_renewed()
            self.homes.measure(self.user.name)
            await self._in_thread(self.remember)
            lap("remember")
            self.log.info("%s listens after %s", self.object_name, lap)
            return address
        except ImageMissing as error:
            self.log.warning("%s", error)
            raise readable(missing(choice.image), "image", 503) from None
        except NotAllowed as error:
            self.record_refusal(error)
            raise refused(error) from None
        except BdapError as error:
            raise refused(error) from None
        except OSError as error:
            raise refused(no_folder(error)) from error
        finally:
            await self.gpus_settled(choice)

    async def _claim(self, command: list[str]) -> bool:
        """Whether a container that waited has become this server."""
        return await warm.pool_of(self.settings).claim(self.plan, command, self.get_env(), self.files_at)

    async def _create(self, command: list[str], title: str) -> None:
        """Make the container; its image is pulled where it is missing."""
        arguments = self.plan, command, {**self.get_env(), **self.waits}, self.port
        for _ in range(PLACES):  # after a pull another machine may be the best one
            try:
                self.object_id = await self.engine.create(*arguments)
                return
            except ImageMissing as error:
                await self._pulls.have(self.plan.image, title, self._tell, error.node)
                self._tell(None)
        self.object_id = await self.engine.create(*arguments)

    def _tell(self, pulling: Progress | None) -> None:
        self.pulling = pulling

    async def _pinned(self, choice: Choice) -> str:
        """What the engine calls the exact content of a pinned image; '' for one that is not."""
        digest, name = await grants.pinned(self.policy, choice, self.engine.has_image)
        wanted = UseImage(choice.project.name, choice.image.name, choice.size.name, digest)
        if not (now := decide(self.policy, self.person, wanted)).entitled:
            raise NotAllowed(now.reason, ANOTHER_IMAGE)
        return name

    async def _make_plan(
        self, choice: Choice, person: Person, policy: Policy, given: tuple[str, ...], image: str = ""
    ) -> SpawnPlan:
        """Look up what the plan needs and make the folders that it mounts."""
        first, database = self.settings.spawning.first_uid, sessions(self.settings.database)

        def gids(names: Iterable[str]) -> dict[str, int]:
            return {name: uids.gid_of(database, name, first) for name in names}

        def prepare() -> tuple[int, dict[str, int]]:
            own = [p.name for p in policy.projects if p == choice.project or decide(policy, person, UseProject(p.name))]
            projects, uid = gids(own), uids.uid_of(database, person.name, first)
            self.stage = 1
            store.ensure_home(self.settings, person.name, uid, projects[choice.project.name])
            store.ensure_places(self.settings)
            return uid, projects

        uid, projects = await self._in_thread(prepare)
        await self.homes.limited(person.name, uid)
        await self.credentials_ready(uid, projects[choice.project.name])
        found = await self.store_facts(choice, person, policy, projects)
        others = await self._in_thread(gids, found.projects)
        names, gid = projects | others, projects[choice.project.name]
        await self._in_thread(store.ensure_names, self.settings, person.name, uid, names, gid)
        site = Site(
            address=self.host_address,
            uid=uid,
            projects=projects,
            propagation=found.propagation,
            hidden=found.hidden,
            store_lost=found.lost,
            credentials=mounts_of(self.settings, self.object_name, uid),
            image=image,
            granted=found.granted,
            groups=tuple(gid for name, gid in others.items() if name not in projects),
            **self.gpu_facts(given),
        )
        return plan(self.settings, person, choice, site, self.name)

    async def stop(self, now: bool = False) -> None:
        """Ask it to end, and remove it; `now` kills it without asking."""
        if not now:
            await self.engine.stop(self.object_name)
        await self._remove()

    async def _remove(self) -> None:
        await self.engine.remove(self.object_name)
        self.credentials_gone()
        self.object_id = ""
        if self.pool.mine(self.object_name):
            await self.pool.tidy()

    async def poll(self) -> str | None:
        """None while it runs. What has ended is logged and removed, so that nothing is left behind."""
        try:
            state = await self.engine.state(self.object_name)
        except Unavailable as error:
            self.log.warning("Nothing is known of %s, which counts as running: %s", self.object_name, error)
            return None
        if self._start_pending and state.alive:
            return None
        if self.gpu_overdue and state.alive:
            self.log.info("The time of %s's GPU is over", self.user.name)
            await self.tell_end(reasons.GPU_TIME)
            await self.stop()
            return "the time of its GPU is over"
        if state.phase == "running":
            self.credentials_renewed()
            self.homes.measure(self.user.name)
        words = self._ended(state)
        if words is not None:
            self.log.warning("The server %s is gone: %s", self.object_name, words)
            if state.phase != "absent":
                await self._log_tail()
            if sentence := self._sentence(state):
                await self.tell_end(sentence)
            await self._remove()
        return words

    def _ended(self, state: State) -> str | None:
        """Why it counts as ended; None: it does not."""
        if state.phase != "running":
            return state.words or "it did not start"
        if self.server and not self.server.ip and not self._start_pending:
            return "the hub ended during its start"  # JupyterHub would wait a minute for an address it never learned
        return None

    def _sentence(self, state: State) -> str:
        """What its person is told; '' where they read that the start failed, or ended it themselves."""
        if self._start_pending or not self.server:
            return ""
        if not self.server.ip:
            return "" if self._began else reasons.HUB_ENDED
        if state.moved:
            return reasons.moved(state.words)
        memory = self.plan.limits.memory if self.plan else 0
        return reasons.ended(state.phase, state.exit_code, state.out_of_memory, memory)

    def run_pre_spawn_hook(self) -> Any:
        """JupyterHub ends a start after `start_timeout`: the time in line for a GPU comes on top."""
        if self._own_timeout is None:
            self._own_timeout = self.start_timeout
        asked = (self.user_options or {}).get("image")
        wanted = [choice.image for choice in self.choices if asked in (None, choice.image.name)]
        gpu = bool(wanted) and all(image.gpu for image in wanted)
        self.start_timeout = self._own_timeout + (int(60 * self.settings.spawning.gpu_wait_minutes) if gpu else 0)
        return super().run_pre_spawn_hook()

    def now(self) -> Progress:
        """The line for a GPU, what the engine waits for, or the step of the start."""
        if self.gpu_line:
            return Progress("queued", self.gpu_line)
        if self.pulling:
            return self.pulling
        if self.engine_line:
            return Progress("queued", self.engine_line)
        return Progress(STARTING[self.stage].stage, self.store_line) if self.store_line else STARTING[self.stage]

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What happens now, for the page that waits; a sign of life every 2 s, by which one knows that it is open."""
        shown, silent = None, 0
        self.watch()
        try:
            while True:
                now = self.now()
                if now != shown or silent >= 10:
                    event = now.event()
                    if now == shown:
                        event.pop("message")
                    yield event
                    shown, silent = now, 0
                silent += 1
                await asyncio.sleep(0.2)
        finally:
            self.leave()

    async def _until_listening(self, claimed: bool) -> tuple[str, int]:
        """Knock often, at first; ask the engine now and then whether the server still runs."""
        loop, address = asyncio.get_running_loop(), None
        begun = loop.time()
        await asyncio.sleep(CLAIMED if claimed else COLD)
        deadline, look = begun + self.http_timeout, begun
        while (now := loop.time()) < deadline:
            if now >= look:
                state, look = await self.engine.state(self.object_name), now + LOOK
                self.engine_line = state.words
                if state.phase == "waiting":  # for a node or an image there: `start_timeout` bounds that
                    deadline = now + self.http_timeout
                if not state.alive:
                    await self._log_tail()
                    await self._remove()
                    raise readable(f"The server ended while it was starting: {state.words}. Try again.", "died", 503)
                if address is None and state.phase == "running" and (address := await self._address()) and not claimed:
                    await self.engine.hold(self.object_name, self.plan.limits)
            if address and await listens(*address):
                return address
            await asyncio.sleep(min(SELDOM, max(OFTEN, (now - begun) / 20)))
        raise readable(f"The server did not answer within {self.http_timeout} s. Try again.", "silent", 503)

    async def _address(self) -> tuple[str, int] | None:
        try:
            return await self.engine.address(self.object_name, self.port)
        except NotFound:
            return None

    async def _log_tail(self) -> None:
        if text := await self.engine.logs(self.object_name):
            self.log.warning("Last lines of %s:\n%s", self.object_name, redact(text))

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(THREADS, function, *arguments)


def missing(image: Image) -> str:
    """What people read where the image cannot be had; the log says why."""
    if pulls.registry_of(image.reference):
        return f"The image {image.name} could not be pulled from {pulls.registry_of(image.reference)}. Try again later."
    return f"The image {image.name} is not built on this host. Ask the operator to run `make images`."


async def listens(ip: str, port: int) -> bool:
    """Whether somebody does."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(ip, port), 2)
        writer.close()
    except OSError:
        return False
    return True
