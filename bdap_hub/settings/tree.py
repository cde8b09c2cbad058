"""The tree of all sections, its sources, and what must agree between them."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from ..access import Policy, Size
from ..errors import BadSettings
from ..units import bytes_of
from .batch import BatchSettings
from .hub import HubSettings
from .identity import IdentitySettings
from .projects import ImageSettings, ProjectSettings, SizeSettings, shared_group, unmet
from .registration import MailSettings, RegistrationSettings
from .services import AdminSettings, CatalogueSettings, DashboardsSettings, ProcessingSettings
from .spawning import BuilderSettings, SpawningSettings
from .store import StoreSettings

DRAWN = ("signing", "hub-crypt-key", "proxy-auth-token", "service-")
"""How the names of secrets begin that are drawn here; others are what somebody else chose."""
SHORTEST = 32
"""Characters that a secret has at least which is drawn here."""


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
    database_url: str = Field(
        "", description="SQLAlchemy URL, such as postgresql+psycopg://bdap@db/bdap; empty: SQLite in `var`."
    )
    hub: HubSettings = HubSettings()
    # A factory, so that a preset can tell what was given from what is default.
    identity: IdentitySettings = Field(default_factory=IdentitySettings)
    registration: RegistrationSettings = RegistrationSettings()
    mail: MailSettings = MailSettings()
    spawning: SpawningSettings = SpawningSettings()
    builder: BuilderSettings = BuilderSettings()
    store: StoreSettings = StoreSettings()
    processing: ProcessingSettings = ProcessingSettings()
    batch: BatchSettings = BatchSettings()
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
    sizes: tuple[SizeSettings, ...] = Field(
        (), description="Sizes of servers; none: one of spawning.memory and spawning.cpus."
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
        sizes = [size.name for size in self.policy_sizes]
        for project in self.projects:
            if sentence := unmet(project, known, sizes, self.store.mount):
                raise ValueError(sentence)
        levels = {level.name for level in self.identity.levels}
        demands = {p.name: p.requires for p in self.projects} | {i.name: i.requires for i in self.images}
        for name, demand in demands.items():
            if demand.level and demand.level not in levels:
                raise ValueError(f"{name} requires the level {demand.level!r}; known: {sorted(levels)}")
        self._groups_apart()
        if self.hub.internal_ssl is None:
            self.hub = self.hub.model_copy(update={"internal_ssl": self.spawning.certifies})
        if self.hub.has_subdomains and urlsplit(self.dashboards.origin).hostname == self.hub.host:
            raise ValueError(
                f"dashboards.origin is {self.dashboards.origin!r}, under which people's servers have their names: give "
                "dashboards a host of their own, or set hub.subdomains to false"
            )
        self._batch_known()
        if self.registration.required is None:
            required = {"required": self.environment == "production"}
            self.registration = self.registration.model_copy(update=required)
        if self.environment == "production":
            for name, url in (
                ("identity.issuer", self.identity.issuer),
                ("hub.public_url", self.hub.public_url),
            ):
                if urlsplit(url).scheme != "https":
                    raise ValueError(f"{name} is {url!r}; production needs https")
        return self

    def _batch_known(self) -> None:
        if self.processing.jobs.runner == "htcondor":
            for name in ("collector", "domain"):
                if not getattr(self.batch, name):
                    raise ValueError(f"processing.jobs.runner is 'htcondor' and batch.{name} is empty: name the pool")

    def _groups_apart(self) -> None:
        for project in self.projects:
            others = [other for other in self.projects if other is not project]
            if sentence := shared_group(project, others, self.identity.admin_group):
                raise ValueError(sentence)

    @property
    def install_id(self) -> str:
        """12 hex digits that tell this install's containers from another's on the same engine (label bdap.hub)."""
        return hashlib.sha256(str(self.var.resolve()).encode()).hexdigest()[:12]

    @property
    def database(self) -> str:
        """SQLAlchemy URL of the platform's own state."""
        return self.database_url or f"sqlite:///{self.var.resolve() / 'bdap.sqlite'}"

    @property
    def policy_sizes(self) -> tuple[Size, ...]:
        """The sizes of servers; one of spawning.memory and spawning.cpus where none are stated."""
        plain = Size(cpus=self.spawning.cpus, memory=bytes_of(self.spawning.memory))
        return tuple(one.size() for one in self.sizes) or (plain,)

    def policy(self, gpus: int = 0) -> Policy:
        """What these settings alone say; `entitlements.policy` adds the database's projects.

        `gpus` counts those found on this host where settings say nothing.
        """
        return Policy(
            projects=tuple(one.project() for one in self.projects),
            images=tuple(one.image() for one in self.images),
            admin_group=self.identity.admin_group,
            gpus=gpus if self.spawning.gpu_count is None else self.spawning.gpu_count,
            levels=tuple(level.name for level in self.identity.levels),
            actions={action: demand.requirement() for action, demand in self.identity.step_up.items()},
            sizes=self.policy_sizes,
            mount=self.store.mount,
            today=datetime.now(UTC).date(),
            dashboard_images=tuple(one.image() for one in self.dashboards.images),
        )

    def secret(self, name: str) -> str:
        """The per-install secret of that name, from a file of mode 600 in `<var>/secrets`."""
        path = self.var / "secrets" / name
        if not path.is_file():
            raise BadSettings(f"the secret {name!r} is missing", f"put it in {path} with mode 600, or run `make demo`")
        found, drawn = path.read_text().strip(), name.startswith(DRAWN)
        if len(found) < (least := SHORTEST if drawn else 1):  # whoever guesses it may be the hub, or anybody
            anew = f"draw one, and start all parts anew: `openssl rand -hex -out {path} 32`"
            sentence = f"the secret {name!r} has {len(found)} characters; it needs {least} or more"
            raise BadSettings(sentence, anew if drawn else f"put what you were given in {path}")
        return found


def load(**overrides: object) -> Settings:
    """Settings from file and environment; BadSettings with one clear line where they are wrong."""
    try:
        return Settings(**overrides)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        given = f"{first['input']!r} is unknown; " if first["type"] == "literal_error" else ""
        sentence = f"{where}: {given}{first['msg'].removeprefix('Value error, ')}"
        raise BadSettings(sentence, "correct it in bdap.yaml or the BDAP_* environment") from None
