"""Servers in containers: DockerSpawner by subclass. What runs is a SpawnPlan; this file only carries it out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from docker.errors import APIError, ImageNotFound
from dockerspawner import DockerSpawner
from traitlets import Any as AnyTrait
from traitlets import default

from ..access import Person, Policy, UseProject, decide
from ..errors import BdapError
from ..telemetry import redact
from . import docker_arguments, engine, store, uids
from .gpu_wait import WaitsForGpus
from .plan import Choice, Site, SpawnPlan, container_name, plan
from .recheck import Recheck, readable, refused, sessions

STARTING = (
    "Checking what you may start",
    "Preparing your home folder",
    "Creating your container",
    "Starting JupyterLab",
)


class BdapDockerSpawner(WaitsForGpus, Recheck, DockerSpawner):  # type: ignore[misc]
    """One container a person: own uid, only their projects' folders, limits, no capabilities, no neighbours."""

    plan = AnyTrait(None, allow_none=True, help="The SpawnPlan of the running or starting server.")
    stage = 0
    _own_timeout: int | None = None

    @default("remove")
    def _remove_default(self) -> bool:
        return True

    @default("cmd")
    def _cmd_default(self) -> list[str]:
        return ["jupyterhub-singleuser"]

    @default("use_internal_ip")
    def _internal_ip_default(self) -> bool:
        return True

    @default("pull_policy")
    def _pull_default(self) -> str:
        return "never"

    @default("network_name")
    def _network_default(self) -> str:
        return self.settings.spawning.network

    @default("allowed_images")
    def _allowed_images_default(self) -> Any:
        return lambda spawner: {choice.image.name: choice.image.reference for choice in spawner.choices}

    @property
    def executor(self) -> ThreadPoolExecutor:
        """A few threads: one person's slow start does not hold up everybody's."""
        cls = BdapDockerSpawner
        if cls._executor is None:
            cls._executor = ThreadPoolExecutor(4, thread_name_prefix="docker")
        return cls._executor

    @property
    def client(self) -> Any:
        """The calling thread's client."""
        return engine.client()

    @default("object_name")
    def _object_name_default(self) -> str:
        return container_name(self.settings, self.user.name, self.name)

    async def start(self) -> tuple[str, int]:
        """Decide again, plan, create, start, and wait until the server listens."""
        self.stage = 0
        choice = self.decide()
        try:
            if choice.image.gpu and await self.get_object():
                await self.remove_object()  # what an earlier hub left behind holds a GPU
            given = await self.gpus_for(choice)
            self.plan = await self._in_thread(self._make_plan, choice, self.person, self.policy, given)
            self.stage = 2
            limits = self.plan.limits
            self.image, self.mem_limit, self.cpu_limit = self.plan.image, limits.memory, limits.cpus
            ip, port = await super().start()
        except BdapError as error:
            raise refused(error) from None
        except ImageNotFound:
            missing = f"The image {choice.image.name} is not built on this host. Ask the operator to run `make images`."
            raise readable(missing, "image", 503) from None
        finally:
            await self.gpus_settled(choice)
        self.stage = 3
        await self._until_listening(ip, port)
        return ip, port

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
            propagation=engine.propagation_of(settings.store.data),
            hidden=store.hidden_collections(settings, policy, person),
            **self.gpu_facts(given),
        )
        return plan(settings, person, choice, site, self.name)

    async def check_allowed(self, image: str) -> str:
        """The plan's image, whatever was asked: `decide` has refused all that is not allowed."""
        return str(self.plan.image)

    async def create_object(self) -> Any:
        """Create the container that the plan describes."""
        command = await self.get_command()
        arguments = docker_arguments.create(self.plan, command, self.get_env(), self.port)
        host = docker_arguments.host_config(self.plan)
        arguments["host_config"] = engine.client().create_host_config(**host)
        return await self.docker("create_container", **arguments)

    async def remove_object(self) -> None:
        """Remove the container, also one that still runs because an earlier hub lost sight of it."""
        try:
            await self.docker("remove_container", self.object_id, v=True, force=True)
        except APIError as error:
            if error.status_code not in (404, 409):  # gone, or going
                raise

    async def stop(self, now: bool = False) -> None:
        """Ask it to end, and remove it; `now` kills it without asking."""
        await (self.remove_object() if now else super().stop())
        if self.pool.mine(self.object_name):
            await self.pool.tidy()

    async def poll(self) -> Any:
        """None while it runs. A container that ended is logged and removed, so that nothing is left behind."""
        status = await super().poll()
        if status is not None and self.object_id:
            await self._log_tail()
            await self.remove_object()
            self.object_id = ""
        if status is None and self.server and not self.server.ip and not self._start_pending:
            await self.remove_object()  # JupyterHub would wait a minute for an address that it never learned
            status = "the hub ended during its start"
        if status is not None and self.pool.mine(self.object_name):
            await self.pool.tidy()
        if status is None and self.gpu_overdue:
            self.log.info("The time of %s's GPU is over", self.user.name)
            await self.stop()
            return "the time of its GPU is over"
        return status

    def run_pre_spawn_hook(self) -> Any:
        """JupyterHub ends a start after `start_timeout`: the time in line for a GPU comes on top."""
        if self._own_timeout is None:
            self._own_timeout = self.start_timeout
        asked = (self.user_options or {}).get("image")
        wanted = [choice.image for choice in self.choices if asked in (None, choice.image.name)]
        gpu = bool(wanted) and all(image.gpu for image in wanted)
        self.start_timeout = self._own_timeout + (int(60 * self.settings.spawning.gpu_wait_minutes) if gpu else 0)
        return super().run_pre_spawn_hook()

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What happens now, for the page that waits; a sign of life every 2 s, by which one knows that it is open."""
        shown, silent = "", 0
        self.watch()
        try:
            while True:
                message = self.gpu_line or STARTING[self.stage]
                event: dict[str, Any] = {"progress": 10 + 25 * self.stage}
                if message != shown or silent >= 10:
                    yield event if message == shown else {**event, "message": message}
                    shown, silent = message, 0
                silent += 1
                await asyncio.sleep(0.2)
        finally:
            self.leave()

    async def _until_listening(self, ip: str, port: int) -> None:
        """Look often: JupyterHub's own look slows down to once in 5 s. It ends early if the container died."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self.http_timeout
        while loop.time() < deadline:
            try:
                _, writer = await asyncio.wait_for(asyncio.open_connection(ip, port), 2)
                writer.close()
                return
            except OSError:
                await asyncio.sleep(0.2)
            if await self.poll() is not None:
                raise readable("The server ended while it was starting. Try again.", "died", 503)

    async def _log_tail(self) -> None:
        try:
            text = await self.docker("logs", self.object_id, tail=15)
        except APIError:
            return
        self.log.warning("Last lines of %s:\n%s", self.object_name, redact(text.decode(errors="replace")))

    async def _in_thread(self, function: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.executor, function, *arguments)
