"""Servers in containers: what runs is a SpawnPlan, and the engine carries it out; this file leads one start.

DockerSpawner gives the settings that operators and JupyterHub know; its calls of Docker and its waits are not used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dockerspawner import DockerSpawner
from traitlets import Any as AnyTrait
from traitlets import default

from ..access import Person, Policy, UseProject, decide
from ..errors import BdapError, NotFound, Unavailable
from ..telemetry import redact
from . import reasons, store, uids
from .choosing import Facts
from .engines import Engine, ImageMissing, State, engine_of
from .gpu_wait import WaitsForGpus
from .host import propagation_of
from .looks import looks_of
from .orphans import settled
from .plan import Choice, Site, SpawnPlan, container_name, plan
from .progress import Progress
from .recheck import Recheck, no_folder, readable, refused, sessions

STARTING = (
    Progress("queued", "Checking what you may start"),
    Progress("preparing", "Preparing your home folder"),
    Progress("starting", "Creating your container"),
    Progress("starting", "Starting JupyterLab"),
)
LOOK = 0.1  # seconds between two looks at a server that starts
THREADS = ThreadPoolExecutor(8, thread_name_prefix="plan")  # database and folders


class BdapDockerSpawner(WaitsForGpus, Recheck, DockerSpawner):  # type: ignore[misc]
    """One container a person: own uid, only their projects' folders, limits, no capabilities, no neighbours."""

    plan = AnyTrait(None, allow_none=True, help="The SpawnPlan of the running or starting server.")
    stage = 0
    engine_line = ""
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

    @default("object_name")
    def _object_name_default(self) -> str:
        return container_name(self.settings, self.user.name, self.name)

    async def start(self) -> tuple[str, int]:
        """Decide again, plan, create, start, and wait until the server listens."""
        self.stage, self.engine_line = 0, ""
        choice = self.decide()
        await self.begin()
        try:
            await settled(self.object_name)
            await self.engine.remove(self.object_name)  # what an earlier hub left behind; it may hold a GPU
            given = await self.gpus_for(choice)
            self.plan = await self._in_thread(self._make_plan, choice, self.person, self.policy, given)
            self.stage, limits = 2, self.plan.limits
            self.image, self.mem_limit, self.cpu_limit = self.plan.image, limits.memory, limits.cpus  # for `get_env`
            command = [*self.cmd, *self.get_args()]
            self.object_id = await self.engine.create(self.plan, command, self.get_env(), self.port)
            await self.engine.start(self.object_name)
            self.stage = 3
            found = await self._until_listening()
            await self._in_thread(self.remember)
            return found
        except ImageMissing as error:
            missing = f"The image {choice.image.name} is not built on this host. Ask the operator to run `make images`."
            self.log.warning("%s", error)
            raise readable(missing, "image", 503) from None
        except BdapError as error:
            raise refused(error) from None
        except OSError as error:
            raise refused(no_folder(error)) from error
        finally:
            await self.gpus_settled(choice)

    def _make_plan(self, choice: Choice, person: Person, policy: Policy, given: tuple[str, ...]) -> SpawnPlan:
        """Look up what the plan needs and make the folders that it mounts. Runs in a thread."""
        settings = self.settings
        first, database = settings.spawning.first_uid, sessions(settings.database)
        own = [p.name for p in policy.projects if p == choice.project or decide(policy, person, UseProject(p.name))]
        projects = {name: uids.gid_of(database, name, first) for name in own}
        uid = uids.uid_of(database, person.name, first)
        self.stage = 1
        gid = projects[choice.project.name]
        store.ensure_home(settings, person.name, uid, gid)
        store.ensure_names(settings, person.name, uid, projects, gid)
        store.ensure_store(settings, projects)
        site = Site(
            address=self.host_address,
            uid=uid,
            projects=projects,
            propagation=propagation_of(settings.store.data),
            hidden=store.hidden_collections(settings, policy, person),
            **self.gpu_facts(given),
        )
        return plan(settings, person, choice, site, self.name)

    async def stop(self, now: bool = False) -> None:
        """Ask it to end, and remove it; `now` kills it without asking."""
        if not now:
            await self.engine.stop(self.object_name)
        await self._remove()

    async def _remove(self) -> None:
        await self.engine.remove(self.object_name)
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
        words = self._ended(state)
        if words is not None:
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
        return Progress("queued", self.engine_line) if self.engine_line else STARTING[self.stage]

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

    async def _until_listening(self) -> tuple[str, int]:
        """Look often: JupyterHub's own look slows down to once in 5 s. It ends early if the server ended."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.http_timeout
        while loop.time() < deadline:
            state = await self.engine.state(self.object_name)
            self.engine_line = state.words
            if state.phase == "running" and (found := await self._listens()):
                return found
            if state.phase == "waiting":  # for a node or an image there: `start_timeout` bounds that
                deadline = loop.time() + self.http_timeout
            if not state.alive:
                await self._log_tail()
                await self._remove()
                raise readable(f"The server ended while it was starting: {state.words}. Try again.", "died", 503)
            await asyncio.sleep(LOOK)
        raise readable(f"The server did not answer within {self.http_timeout} s. Try again.", "silent", 503)

    async def _listens(self) -> tuple[str, int] | None:
        try:
            address = await self.engine.address(self.object_name, self.port)
            _, writer = await asyncio.wait_for(asyncio.open_connection(*address), 2)
            writer.close()
            return address
        except (OSError, NotFound):
            return None

    async def _log_tail(self) -> None:
        if text := await self.engine.logs(self.object_name):
            self.log.warning("Last lines of %s:\n%s", self.object_name, redact(text))

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(THREADS, function, *arguments)
