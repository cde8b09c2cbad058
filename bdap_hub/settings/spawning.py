"""People's servers: the engine they run on, their limits, GPUs and network; and how their images are built."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from .section import Bytes, Section

Engine = Literal["docker", "swarm", "process"]


class GpuSettings(Section):
    """A GPU, or a MIG instance, that the driver is not asked about. `id` as it names it: GPU-…, MIG-…, or an index."""

    id: str = Field(pattern=r"^[A-Za-z0-9:./-]+$")
    model: str = ""
    memory: str = Field("", description="Such as 80G.")
    shares: int | None = Field(None, ge=1, description="Servers at once; None: spawning.gpu_shares.")


# Told apart by their form, so that an error is about the one that was meant.
Gpus = Annotated[
    Annotated[int, Field(ge=0), Tag("number")] | Annotated[tuple[GpuSettings, ...], Tag("list")],
    Discriminator(lambda given: "list" if isinstance(given, list | tuple) else "number"),
]


class WarmSettings(Section):
    """Containers that are started ahead and wait for somebody: of each image that can, as many as surges need."""

    least: int = Field(1, ge=0, description="So many wait of each image, however seldom it is started.")
    most: int = Field(4, ge=0, description="So many at most of each image; 0: none wait.")
    keep_free: Bytes = Field("2G", description="None wait while the host has less memory left.")
    patience: float = Field(2.0, gt=0, description="Seconds after which a claim is given up for a cold start.")


class SwarmSettings(Section):
    """With engine: swarm, where the nodes are many."""

    address: str = Field("", description="This host as the nodes reach it; hub.api_bind and the services' bind, too.")
    label: str = Field(
        "bdap.servers=true",
        pattern=r"^[^=\s]+=[^=\s]+$",
        description="Servers run only on nodes with this label: give it to a node once it is prepared.",
    )
    node_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Where root's part listens on each machine (`bdap node files`); 0: there is none.",
    )
    images: dict[str, dict[str, str]] = Field(
        {}, description="Further labels that a node must have, by image: `train: {disk: ssd}`."
    )


class SpawningSettings(Section):
    """How people's servers run."""

    engine: Engine = Field("docker", description="docker: this host; swarm: many hosts; process: without isolation.")
    swarm: SwarmSettings = SwarmSettings()
    network: str = Field(
        "bdap-servers",
        description="Docker bridge of people's servers, no traffic between them; not with engine: swarm.",
    )
    egress: Literal["all", "none"] | tuple[IPv4Network, ...] = Field(
        "all", description="Where servers may connect to outside this host: `all`, `none`, or a list of networks."
    )
    memory: str = "2G"
    cpus: float = 1.0
    pids: int = 512
    first_uid: int = Field(20000, description="People get uids from here up, kept for good.")
    gpus: Gpus | None = Field(
        None, description="GPUs of this host: how many, or a list of id, model, memory, shares; None: ask the driver."
    )
    gpu_shares: int = Field(1, ge=1, description="Servers that hold one GPU at the same time; 1: each has its own.")
    gpu_hours: float = Field(24, ge=0, description="A server with a GPU is stopped after so long; 0: no end.")
    gpu_notice_minutes: float = Field(30, ge=0, description="So long before the end the person's home page warns.")
    gpu_wait_minutes: float = Field(
        15, ge=0, description="Who finds no free GPU waits in line so long at most; 0: is refused at once."
    )
    node: str = Field("local", description="This host's name in the list of GPUs; keep it while servers run.")
    idle_timeout: int = Field(
        3600,
        ge=0,
        description="Seconds in which nobody uses a server and nothing in it computes, after which it stops; 0: never.",
    )
    server_hours: float = Field(0, ge=0, description="A server is stopped after so long, whatever it does; 0: no end.")
    named_servers: int = Field(
        3, ge=0, description="Servers with a name that a person may have beside the default one; 0: none."
    )
    warm: WarmSettings = WarmSettings()
    node_socket: Path = Field(
        Path("/run/bdap-node/socket"),
        description="With engine: docker, where a hub that is not root finds root's part (`bdap node serve`).",
    )
    skeleton: Path | None = Field(None, description="Folder whose files a new home starts with.")
    home_quota: str = Field(
        "",
        pattern=r"^([0-9.]+[KMGTkmgt]?)?$",
        description="What a home may hold, such as 10G; empty: no limit. The file system enforces it where it counts "
        "by project (ext4 or XFS with prjquota); elsewhere people are told.",
    )
    gitlab: str = Field(
        "",
        pattern=r"^(https?://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~-]+)*/?)?$",
        description="Address of the GitLab that JupyterLab's GitLab panel shows, such as https://gitlab.example.org, "
        "which servers must reach (`egress`); empty: no panel.",
    )
    registry: str = Field(
        "",
        pattern=r"^([a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*)?$",
        description="Where `bdap images push` pushes to: host:port/path of a private registry.",
    )

    @property
    def certifies(self) -> bool:
        """Whether servers can be given certificates: on many machines root's part does that."""
        return self.engine == "docker" or (self.engine == "swarm" and self.swarm.node_port > 0)

    @property
    def gpu_count(self) -> int | None:
        """How many GPUs are stated here; None where the driver is asked."""
        return len(self.gpus) if isinstance(self.gpus, tuple) else self.gpus

    @model_validator(mode="after")
    def _gpus_apart(self) -> Self:
        ids = [one.id for one in self.gpus] if isinstance(self.gpus, tuple) else []
        if twice := sorted({one for one in ids if ids.count(one) > 1}):
            raise ValueError(f"gpus names {twice[0]!r} twice")
        return self

    @field_validator("egress", mode="before")
    @classmethod
    def _networks(cls, given: Any) -> Any:
        """One sentence for all that it may be, not one for each."""
        if given in ("all", "none"):
            return given
        try:
            return tuple(IPv4Network(one) for one in ([given] if isinstance(given, str) else given))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{error}: write all, none, or a list of networks such as [192.0.2.0/24]") from None


class BuilderSettings(Section):
    """How projects' own images are built: by their recipes, in a container without a network of its own."""

    registries: tuple[str, ...] = Field(
        ("deb.debian.org", "pypi.org", "files.pythonhosted.org"),
        description="Hosts that recipes may fetch packages from: http on port 80, https on 443, or host:port.",
    )
    index: str = Field(
        "https://pypi.org/simple",
        pattern=r"^https://[^\s'\"\\]+$",
        description="Where packages that a dashboard's manifest requires come from; its host is one of registries.",
    )
    memory: str = "4G"
    cpus: float = 2.0
    pids: int = 1024
    minutes: float = Field(30, gt=0, description="A build that takes longer is stopped.")
    context_mb: int = Field(50, gt=0, description="A recipe's files together, at most.")
    disk_mb: int = Field(20000, gt=0, description="What a build may write at most; it is stopped beyond that.")


def bridge_interface(network: str) -> str:
    """The host's interface of a Docker network of ours. It follows from the name: rules hold when one is made anew."""
    return network if len(network) <= 15 else f"bdap-{hashlib.sha256(network.encode()).hexdigest()[:10]}"
