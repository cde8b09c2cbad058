"""Servers in containers: DockerSpawner by subclass. What runs is a SpawnPlan; this file only carries it out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

from docker.errors import APIError, ImageNotFound
from dockerspawner import DockerSpawner
from traitlets import Any as AnyTrait
from traitlets import default

from ..access import Person, Policy, UseProject, decide
from ..errors import BdapError
from ..telemetry import redact
from . import docker_arguments, engine, gpus, store, uids
from .plan import Choice, Site, SpawnPlan, container_name, plan
from .recheck import Recheck, readable, refused, sessions

STARTING = (
    "Checking what you may start",
    "Preparing your home folder",
    "Creating your container",
    "Starting JupyterLab",
)


class BdapDockerSpawner(Recheck, DockerSpawner):  # type: ignore[misc]
    """One container a person: own uid, only their projects' folders, limits, no capabilities, no neighbours."""

    plan = AnyTrait(None, allow_none=True, help="The SpawnPlan of the running or starting server.")
    stage = 0
    _gpu_lock = asyncio.Lock()

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
        return container_name(self.settings, self.user.name)

    async def start(self) -> tuple[str, int]:
        """Decide again, plan, create, start, and wait until the server listens."""
        self.stage = 0
        choice = self.decide()
        try:
            # two starts at once must not be given the same GPU
            async with self._gpu_lock if choice.image.gpu else nullcontext():
                self.plan = await self._in_thread(self._make_plan, choice, self.person, self.policy)
                self.stage = 2
                limits = self.plan.limits
                self.image, self.mem_limit, self.cpu_limit = self.plan.image, limits.memory, limits.cpus
                ip, port = await super().start()
        except BdapError as error:
            raise refused(error) from None
        except ImageNotFound:
            missing = f"The image {choice.image.name} is not built on this host. Ask the operator to run `make images`."
            raise readable(missing, "image", 503) from None
        self.stage = 3
        await self._until_listening(ip, port)
        return ip, port

    def _make_plan(self, choice: Choice, person: Person, policy: Policy) -> SpawnPlan:
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
        label = f"bdap.hub={settings.install_id}"
        site = Site(
            address=self.host_address,
            uid=uid,
            projects=projects,
            propagation=engine.propagation_of(settings.store.data),
            hidden=store.hidden_collections(settings, policy, person),
            gpus=gpus.free(settings, gpus.held(label)) if choice.image.gpu else (),
        )
        return plan(settings, person, choice, site)

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
        if now:
            return await self.remove_object()
        await super().stop()

    async def poll(self) -> Any:
        """None while it runs. A container that ended is logged and removed, so that nothing is left behind."""
        status = await super().poll()
        if status is not None and self.object_id:
            await self._log_tail()
            await self.remove_object()
            self.object_id = ""
        return status

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """What happens now, for the page that waits."""
        shown = -1
        while True:
            if self.stage != shown:
                shown = self.stage
                yield {"progress": 10 + 25 * shown, "message": STARTING[shown]}
            await asyncio.sleep(0.2)

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
