"""THE settings tree: bdap.yaml + BDAP_* environment (BDAP_HUB__PORT=8000). No knob is declared twice.

Secrets never stand here: they are files of mode 600 in `<var>/secrets`, read by `Settings.secret(name)`.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from .access import Image, Policy, Project
from .errors import BadSettings

Engine = Literal["docker", "process"]


class Section(BaseModel):
    """A part of the tree: unknown names are refused, so that a typing error never passes silently."""

    model_config = ConfigDict(extra="forbid")


class HubSettings(Section):
    """The address people open, and where the hub and its proxy listen."""

    public_url: str = Field("http://127.0.0.1:8000", description="What people type; no trailing slash.")
    bind: str = Field("127.0.0.1", description="Address the public proxy listens on.")
    api_bind: str = Field("127.0.0.1", description="Address the hub's API listens on, also for containers.")
    api_port: int = 8081
    proxy_api_port: int = 8091
    platform_name: str = "BDAP Hub"


class IdentitySettings(Section):
    """The OpenID provider and what we demand of it."""

    issuer: str = "http://localhost:8010"
    client_id: str = "bdap-hub"
    username_claim: str = Field("sub", description="Immutable claim that keys the account.")
    display_name_claim: str = "name"
    groups_claim: str = "groups"
    admin_group: str = "bdap-admins"
    scope: tuple[str, ...] = ("openid", "profile", "email", "groups")
    algorithms: tuple[str, ...] = ("PS512", "PS256", "RS256", "ES256")
    required_amr: tuple[str, ...] = Field(("mfa",), description="All of these must stand in the amr claim.")


class ImageSettings(Section):
    """A notebook image. `reference` is what the Docker engine knows it by."""

    name: str
    title: str
    reference: str
    description: str = ""
    gpu: bool = False


class ProjectSettings(Section):
    """A project; its members are those whom the provider puts in `group`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=32)
    title: str
    group: str
    images: tuple[str, ...] = ("lab",)


class SpawningSettings(Section):
    """How people's servers run."""

    engine: Engine = "docker"
    network: str = Field("bdap-servers", description="Docker bridge of people's servers, no traffic between them.")
    memory: str = "2G"
    cpus: float = 1.0
    pids: int = 512
    first_uid: int = Field(20000, description="People get uids from here up, kept for good.")
    gpus: int | None = Field(None, description="GPUs of this host; None: look for them at start.")
    idle_timeout: int = Field(3600, description="Seconds without activity after which a server stops.")
    skeleton: Path | None = Field(None, description="Folder whose files a new home starts with.")


class StoreSettings(Section):
    """The big store. On hosts it lies at `root`; notebooks and STAC hrefs name it by `mount`."""

    root: Path = Field(Path("var/store"), description="Holds data/ and projects/.")
    data_root: Path | None = Field(None, description="Where the imagery lies, if not in <root>/data.")
    mount: str = "/eos"

    @property
    def data(self) -> Path:
        """The host's folder that people see, read-only, as <mount>/data."""
        return (self.data_root or self.root / "data").resolve()

    @property
    def projects(self) -> Path:
        """The host's folder of the projects' own folders, seen as <mount>/projects/<project>."""
        return (self.root / "projects").resolve()

    def path_of(self, href: str) -> Path:
        """The host's path of a href such as /eos/data/x.tif; ValueError if it leaves the store.

        Members write in their project's folder: a link there leads to no other project's.
        """
        for name, folder in (("data", self.data), ("projects", self.projects)):
            prefix = f"{self.mount.rstrip('/')}/{name}/"
            if href.startswith(prefix):
                path = (folder / href[len(prefix) :]).resolve()
                own = folder / href[len(prefix) :].partition("/")[0] if name == "projects" else folder
                if path.is_relative_to(folder) and path.is_relative_to(own.resolve()):
                    return path
                raise ValueError(f"{href!r} leaves the store")
        raise ValueError(f"{href!r} is not under {self.mount}/data or {self.mount}/projects")

    def href_of(self, path: Path) -> str:
        """The href of a file on the host, such as /eos/data/x.tif; ValueError if it is not in the store."""
        for name, folder in (("data", self.data), ("projects", self.projects)):
            if (resolved := path.resolve()).is_relative_to(folder):
                return f"{self.mount.rstrip('/')}/{name}/{resolved.relative_to(folder).as_posix()}"
        raise ValueError(f"{path} is not in the store ({self.data} or {self.projects})")


class ServiceSettings(Section):
    """Where one service listens. `bind` must be reachable from people's servers where they call it."""

    bind: str = "127.0.0.1"
    also_bind: str = Field("", description="A second address, for containers on a bridge that leads nowhere else.")
    port: int

    @property
    def url(self) -> str:
        """Address for server-side callers on this host."""
        return f"http://{self.bind}:{self.port}"


class ProcessingSettings(ServiceSettings):
    """The tile and value service."""

    port: int = 8021
    threads: int = Field(4, description="Reads in parallel per tile.")
    max_items: int = Field(500, description="A graph that needs more items than this is refused, with the count.")
    tile_url_hours: float = Field(12, description="How long a signed tile URL is valid.")
    max_cube_mb: int = Field(512, description="An evaluation that would hold more pixels at once is refused.")
    block_cache_mb: int = Field(512, description="Decoded blocks kept in memory, shared by all evaluations.")
    tile_cache_mb: int = Field(64, description="Drawn tiles kept in memory; 0 draws each anew.")
    queue: int = Field(256, description="Evaluations that may wait; beyond it callers are told to come back.")


class CatalogueSettings(ServiceSettings):
    """The STAC service over `<var>/catalogue`."""

    port: int = 8022


class DashboardsSettings(ServiceSettings):
    """Publisher (on the hub's origin) and gateway (own origin, a sub-domain a dashboard)."""

    port: int = 8023
    gateway_bind: str = "127.0.0.1"
    gateway_port: int = 8030
    origin: str = Field("http://dashboards.localhost:8030", description="Dashboards are sub-domains of this.")
    network: str = Field("bdap-dashboards", description="Docker bridge of dashboards' containers.")
    image: str = "bdap/dashboard:latest"
    memory: str = "1G"
    cpus: float = 1.0
    max_bundle_mb: int = 50
    script_origins: tuple[str, ...] = Field(
        (), description="Other origins dashboards may load scripts and styles from; none: their own only."
    )
    idle_timeout: int = Field(900, description="Seconds without visitors after which a container stops.")

    def address(self, project: str, slug: str) -> str:
        """The public address of a dashboard: its own origin."""
        parts = urlsplit(self.origin)
        return f"{parts.scheme}://{project}--{slug}.{parts.netloc}/"


class AdminSettings(ServiceSettings):
    """The admin panel."""

    port: int = 8024


class Settings(BaseSettings):
    """The whole tree. Read from bdap.yaml (or $BDAP_CONFIG), overridden by BDAP_* variables."""

    model_config = SettingsConfigDict(
        env_prefix="BDAP_",
        env_nested_delimiter="__",
        extra="ignore",
        nested_model_default_partial_update=True,
    )

    environment: Literal["demo", "production"] = Field(
        "production", description="Production refuses http, the embedded provider and the demo's token."
    )
    var: Path = Field(Path("var"), description="State, logs and secrets of this install.")
    database_url: str = Field("", description="SQLAlchemy URL; empty: SQLite in `var`.")
    hub: HubSettings = HubSettings()
    identity: IdentitySettings = IdentitySettings()
    spawning: SpawningSettings = SpawningSettings()
    store: StoreSettings = StoreSettings()
    processing: ProcessingSettings = ProcessingSettings()
    catalogue: CatalogueSettings = CatalogueSettings()
    dashboards: DashboardsSettings = DashboardsSettings()
    admin: AdminSettings = AdminSettings()
    images: tuple[ImageSettings, ...] = (
        ImageSettings(
            name="lab",
            title="JupyterLab",
            reference="bdap/lab:latest",
            description="Notebooks with maps, charts and the processing library.",
        ),
        ImageSettings(
            name="gpu",
            title="JupyterLab with GPU",
            reference="bdap/gpu:latest",
            description="The same with CUDA libraries, PyTorch and JAX.",
            gpu=True,
        ),
    )
    projects: tuple[ProjectSettings, ...] = ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """First given arguments, then the environment, then the file."""
        file = YamlConfigSettingsSource(settings_cls, yaml_file=os.environ.get("BDAP_CONFIG", "bdap.yaml"))
        return init_settings, env_settings, file

    @model_validator(mode="after")
    def _agree(self) -> Self:
        known = {image.name for image in self.images}
        for project in self.projects:
            if unknown := set(project.images) - known:
                raise ValueError(f"project {project.name} names the images {sorted(unknown)}; known: {sorted(known)}")
        if "none" in {a.lower() for a in self.identity.algorithms}:
            raise ValueError("identity.algorithms may not contain 'none': it turns the signature check off")
        if not self.identity.required_amr:
            raise ValueError("identity.required_amr may not be empty: MFA would not be proven")
        if self.environment == "production":
            for name, url in (
                ("identity.issuer", self.identity.issuer),
                ("hub.public_url", self.hub.public_url),
            ):
                if urlsplit(url).scheme != "https":
                    raise ValueError(f"{name} is {url!r}; production needs https")
        return self

    @property
    def install_id(self) -> str:
        """12 hex digits that tell this install's containers from another's on the same engine (label bdap.hub)."""
        return hashlib.sha256(str(self.var.resolve()).encode()).hexdigest()[:12]

    @property
    def database(self) -> str:
        """SQLAlchemy URL of the platform's own state."""
        return self.database_url or f"sqlite:///{self.var.resolve() / 'bdap.sqlite'}"

    def policy(self, gpus: int = 0) -> Policy:
        """What access decides by. `gpus` counts those found on this host where settings say nothing."""
        return Policy(
            projects=tuple(Project(name=p.name, title=p.title, group=p.group, images=p.images) for p in self.projects),
            images=tuple(
                Image(name=i.name, reference=i.reference, title=i.title, description=i.description, gpu=i.gpu)
                for i in self.images
            ),
            admin_group=self.identity.admin_group,
            gpus=gpus if self.spawning.gpus is None else self.spawning.gpus,
        )

    def secret(self, name: str) -> str:
        """The per-install secret of that name, from a file of mode 600 in `<var>/secrets`."""
        path = self.var / "secrets" / name
        if not path.is_file():
            raise BadSettings(f"the secret {name!r} is missing", f"put it in {path} with mode 600, or run `make demo`")
        return path.read_text().strip()


def load(**overrides: object) -> Settings:
    """Settings from file and environment; BadSettings with one clear line where they are wrong."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise BadSettings(f"{where}: {first['msg']}", "correct it in bdap.yaml or the BDAP_* environment") from None
