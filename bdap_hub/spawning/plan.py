"""From a wish (person, project, image) to a SpawnPlan: everything a container is made of, as plain data.

PURE: no I/O, no framework. What the engine must look up first comes in as a `Site`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..access import Image, Person, Policy, Project, Requirement, Size, UseImage, decide, role_in
from ..errors import BadRequest
from ..settings import SERVERS_USE, Settings
from .names import safe_name, server_name
from .store.mounts import LABEL, Mount, Propagation, held_places, written

RUNTIME = "/tmp/jupyter-runtime"  # noqa: S108  the container's own: nobody else is in there
STANDARD = Size()
SWARMS_NETWORK = "bridge"  # each node's own: see engines/swarm_setup.py
OPTIONS = frozenset({"project", "image", "size"})


@dataclass(frozen=True)
class Choice:
    """One thing a person may start; after a stronger or fresher login where `step_up` says so.

    `sizes` are those one can choose from, `size` is the one chosen: at first the first.
    """

    project: Project
    image: Image
    step_up: Requirement | None = None
    size: Size = STANDARD
    sizes: tuple[Size, ...] = ()


@dataclass(frozen=True)
class Limits:
    """What a server may use: bytes of memory (swap included), CPUs, processes and threads."""

    memory: int
    cpus: float
    pids: int


@dataclass(frozen=True)
class Placement:
    """Where a server may run: on `node` ('': on any) that has all these labels. One host alone is the place for all."""

    node: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Site:
    """What was looked up on this host before planning.

    `address`: this host as seen from servers. `hidden`: collections whose folder this person must not read.
    `projects`: gid of each project the person is in. `gpus`: ids of the GPUs set aside for this server, `cdi`: the
    engine's own names of them where it hands them out by CDI, `gpu_until`: when the server must end because of them,
    `node`: where they are.
    `image`: the exact content of a pinned image, as the engine calls it. `granted`: folders of the store beyond the
    projects' own, `groups`: the gids that they need. `store_lost`: it does not answer, and comes into the running
    server later.
    """

    address: str
    uid: int
    projects: Mapping[str, int]
    propagation: Propagation = "rprivate"
    hidden: tuple[str, ...] = ()
    gpus: tuple[str, ...] = ()
    cdi: tuple[str, ...] = ()
    gpu_until: str = ""
    node: str = ""
    image: str = ""
    granted: tuple[Mount, ...] = ()
    groups: tuple[int, ...] = ()
    store_lost: bool = False
    credentials: tuple[Mount, ...] = ()


@dataclass(frozen=True)
class SpawnPlan:
    """A container, described whole. Equal plans make equal containers."""

    image: str
    name: str
    hostname: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    working_dir: str
    mounts: tuple[Mount, ...]
    limits: Limits
    gpus: tuple[str, ...]
    network: str
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    cap_drop: tuple[str, ...] = ("ALL",)
    security_options: tuple[str, ...] = ("no-new-privileges:true",)
    umask: str = field(default="002")
    cdi: tuple[str, ...] = ()
    placement: Placement = Placement()


def choices(policy: Policy, person: Person) -> tuple[Choice, ...]:
    """All that `person` may start, be it after another login, in the operator's order; access decides each."""
    return tuple(
        Choice(project, image, decision.step_up, *_sizes(policy, project))
        for project in policy.projects
        if role_in(project, person.groups)  # the others are refused below one by one: this is for speed alone
        for name in project.images
        if (image := policy.image(name)) and (decision := decide(policy, person, UseImage(project.name, name))).entitled
    )


def _sizes(policy: Policy, project: Project) -> tuple[Size, tuple[Size, ...]]:
    sizes = policy.sizes_of(project)
    return sizes[0], sizes


def wish(options: Mapping[str, object], possible: tuple[Choice, ...]) -> tuple[str, str, str]:
    """(project, image, size) that untrusted `options` ask for; the only choice where they ask for nothing.

    The size may be left out, as ''. BadRequest says what is missing or malformed. Whether it is allowed is not decided
    here.
    """
    if unknown := sorted(str(key)[:40] for key in set(options) - OPTIONS):
        raise BadRequest(f"unknown options {unknown}", "send only 'project', 'image' and 'size'")
    project, image, size = options.get("project"), options.get("image"), options.get("size", "")
    if not isinstance(size, str):
        raise BadRequest("'size' must be text", "choose one on the start page, or leave it out")
    if not project and not image:
        if len(possible) == 1:
            return possible[0].project.name, possible[0].image.name, size
        offered = ", ".join(f"{c.project.name}/{c.image.name}" for c in possible) or "nothing"
        raise BadRequest("no project and image were chosen", f"choose one of: {offered}")
    if not isinstance(project, str) or not isinstance(image, str):
        raise BadRequest("'project' and 'image' must both be given, as text", "choose both on the start page")
    return project, image, size


def container_name(settings: Settings, person: str, server: str = "") -> str:
    """The name on the engine of a person's container: of the default server, or of one with a name."""
    return f"bdap-{settings.install_id}-{server_name(person, server)}"


def plan(settings: Settings, person: Person, choice: Choice, site: Site, server: str = "") -> SpawnPlan:
    """The container of `person` in a project's image. The caller has asked access already."""
    safe = safe_name(person.name)
    install = settings.install_id
    home = f"/home/{safe}"
    project, store = choice.project.name, _store(settings, choice, site)
    return SpawnPlan(
        image=site.image or choice.image.reference,
        name=container_name(settings, person.name, server),
        hostname="-".join(filter(None, (project, safe, server)))[:63].rstrip("-"),
        uid=site.uid,
        gid=site.projects[project],
        groups=tuple(sorted({*site.groups, *(gid for name, gid in site.projects.items() if name != project)})),
        working_dir=home,
        mounts=(
            Mount(f"{settings.var.resolve()}/homes/{safe}", home, read_only=False),
            Mount(f"{settings.var.resolve()}/names/{safe}", "/var/lib/extrausers"),
            *(held_places(settings, store) if site.store_lost else store),
            *site.credentials,
        ),
        limits=Limits(choice.size.memory, choice.size.cpus, settings.spawning.pids),
        gpus=site.gpus,
        network=SWARMS_NETWORK if settings.spawning.engine == "swarm" else settings.spawning.network,
        environment={
            "HOME": home,
            "USER": safe,
            # of this server alone: the home is that of all servers of the person
            "JUPYTER_RUNTIME_DIR": RUNTIME,
            **environment(settings, project, site.address, settings.store.mount),
            **({"BDAP_GITLAB_URL": gitlab} if (gitlab := settings.spawning.gitlab) else {}),
            **({"BDAP_GPU_UNTIL": site.gpu_until} if site.gpu_until else {}),
        },
        labels={
            "bdap.hub": install,
            "bdap.kind": "server",
            "bdap.person": safe,
            "bdap.server": server,
            "bdap.project": project,
            "bdap.image": choice.image.name,
            "bdap.size": choice.size.name,
            "bdap.gpus": ",".join(site.gpus),
            LABEL: written(store),
        },
        cdi=site.cdi,
        placement=_placement(settings, choice, site),
    )


def _placement(settings: Settings, choice: Choice, site: Site) -> Placement:
    if settings.spawning.engine != "swarm":
        return Placement()
    swarm = settings.spawning.swarm
    key, _, value = swarm.label.partition("=")
    return Placement(site.node, {key: value, **swarm.images.get(choice.image.name, {})})


def _store(settings: Settings, choice: Choice, site: Site) -> tuple[Mount, ...]:
    """The data, the chosen project's folder to write in, other own projects to read, what is granted; nothing else."""
    eos, chosen = settings.store.mount.rstrip("/"), choice.project.name
    mounts = (
        Mount(str(settings.store.data), f"{eos}/data", propagation=site.propagation),
        *(_hidden(settings, choice.project, name, f"{eos}/data/{name}") for name in site.hidden),
        *(
            Mount(f"{settings.store.projects}/{name}", f"{eos}/projects/{name}", name != chosen, site.propagation)
            for name in sorted(site.projects)
        ),
    )
    found = {mount.target: mount for mount in mounts}
    found |= {one.target: one for one in site.granted if not (one.read_only and one.target in found)}
    return tuple(found.values())


def _hidden(settings: Settings, project: Project, name: str, target: str) -> Mount:
    """An empty folder; with the way to it, where the project may write below what is hidden."""
    below = any(grant.write and grant.path.startswith(f"{target}/") for grant in project.store)
    return Mount(f"{settings.var.resolve()}/{f'covers/{project.name}/{name}' if below else 'empty'}", target)


def environment(settings: Settings, project: str, address: str, store: str) -> dict[str, str]:
    """Where a server finds the platform. `address` is this host as the server sees it."""
    return {
        "BDAP_PROJECT": project,
        "BDAP_STORE": store,
        **{
            f"BDAP_{name.upper()}_URL": f"http://{address}:{getattr(settings, name).port}/services/{name}"
            for name in SERVERS_USE
        },
    }
