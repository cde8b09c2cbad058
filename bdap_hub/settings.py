"""THE settings tree: bdap.yaml + BDAP_* environment (BDAP_HUB__PORT=8000). No knob is declared twice.

Secrets never stand here: they are files of mode 600 in `<var>/secrets`, read by `Settings.secret(name)`.
"""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Network, ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Discriminator, Field, Tag, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from .access import Policy, Size, two_factors
from .errors import BadSettings
from .project_settings import (
    Bytes,
    ImageSettings,
    ProjectSettings,
    RequirementSettings,
    Section,
    SizeSettings,
    shared_group,
    unmet,
)
from .units import bytes_of

Engine = Literal["docker", "swarm", "process"]
# The services that people's servers and dashboards call over the network.
SERVERS_USE = ("processing", "catalogue", "dashboards")
DASHBOARDS_USE = ("processing", "catalogue")
ANYWHERE = ("0.0.0.0", "::", "")  # noqa: S104  compared with, never bound


class HubSettings(Section):
    """The address people open, and where the hub and its proxy listen."""

    public_url: str = Field("http://localhost:8000", description="What people type; no trailing slash.")
    subdomains: bool | None = Field(
        None,
        description="Each person's server has an origin of its own, <person>.<host of public_url>. Empty: yes where "
        "that host is a name, no where it is an IP address, under which there are no names.",
    )
    bind: str = Field("127.0.0.1", description="Address the public proxy listens on.")
    port: int | None = Field(None, description="Port it listens on; empty: that of public_url.")
    api_bind: str = Field("127.0.0.1", description="Address the hub's API listens on, also for containers.")
    api_port: int = 8081
    proxy_api_port: int = 8091
    internal_ssl: bool | None = Field(
        None,
        description="Hub, proxy, people's servers and the services' way to the hub speak TLS, each proving who it is "
        "by a certificate of the hub's own. Empty: yes with spawning.engine: docker, else no.",
    )
    platform_name: str = "BDAP Hub"

    @property
    def fronts(self) -> int:
        """How many reverse proxies stand before the hub's own: one where people type https, for ours speaks http."""
        return int(urlsplit(self.public_url).scheme == "https")

    @property
    def public_port(self) -> int:
        """The port that the public proxy listens on."""
        public = urlsplit(self.public_url)
        return self.port or public.port or (443 if public.scheme == "https" else 80)

    @property
    def api_url(self) -> str:
        """Where callers on this host reach the hub's API."""
        return f"{self.scheme}://{local(self.api_bind)}:{self.api_port}"

    @property
    def scheme(self) -> str:
        """What the hub's API, the proxy's and people's servers speak."""
        return "https" if self.internal_ssl else "http"

    @property
    def host(self) -> str:
        """The host of public_url, without its port."""
        return urlsplit(self.public_url).hostname or ""

    @property
    def has_subdomains(self) -> bool:
        """Whether each person's server has an origin of its own."""
        return not _is_address(self.host) if self.subdomains is None else self.subdomains

    @property
    def cookie_prefix(self) -> str:
        """What the names of login cookies begin with. `__Host-`: no page of another host, or one below, can set them.

        Only https has such cookies. They lie on the path `/`: with people's servers on the hub's own host, these would
        be sent them.
        """
        return "__Host-" if self.has_subdomains and urlsplit(self.public_url).scheme == "https" else ""

    @model_validator(mode="after")
    def _names(self) -> Self:
        if self.subdomains and _is_address(self.host):
            raise ValueError(
                f"subdomains is true, and public_url {self.public_url!r} has an IP address for its host: give the hub "
                "a name, or leave subdomains empty"
            )
        return self


def local(bind: str) -> str:
    """How this host calls what listens on `bind`."""
    return "127.0.0.1" if bind in ANYWHERE else bind


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class LevelSettings(Section):
    """An assurance level: proven by any of `acr`, by all methods of any combination in `amr`, or by `two_kinds`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    acr: tuple[str, ...] = Field((), description="Values of the claim acr, each of which proves the level.")
    amr: tuple[tuple[str, ...], ...] = Field((), description="Combinations of methods in the claim amr (RFC 8176).")
    two_kinds: bool = Field(False, description="Methods of two kinds (knowledge, possession, inherence) prove it too.")

    @model_validator(mode="after")
    def _provable(self) -> Self:
        if not (self.acr or self.amr or self.two_kinds) or () in self.amr or "" in self.acr:
            raise ValueError(f"level {self.name}: nothing proves it; name acr values or amr combinations")
        for value in self.acr:
            if value.lower() in SINGLE_FACTOR or value.lower().endswith(("/loa/basic", "/loa/low")):
                raise ValueError(f"level {self.name}: acr {value!r} says that one factor was enough")
        for methods in self.amr:
            if not two_factors(methods):
                raise ValueError(
                    f"level {self.name}: amr {list(methods)} is one factor; name methods of two kinds, or add 'mfa'"
                )
        return self


# Values of acr that promise no second factor: REFEDS, SAML's names for passwords, and Keycloak's first two levels.
SINGLE_FACTOR = frozenset(
    {
        "0",
        "1",
        "https://refeds.org/profile/sfa",
        "urn:oasis:names:tc:saml:2.0:ac:classes:unspecified",
        "urn:oasis:names:tc:saml:2.0:ac:classes:password",
        "urn:oasis:names:tc:saml:2.0:ac:classes:passwordprotectedtransport",
    }
)
# `none` and HS* are no signatures that only the provider can make.
ALGORITHMS = tuple(f"{family}{bits}" for family in ("PS", "RS", "ES") for bits in (512, 384, 256))
REFEDS_MFA = "https://refeds.org/profile/mfa"
EU_LOGIN = "https://ecas.ec.europa.eu"
# What differs between providers; what is given in bdap.yaml goes before. See docs/how-to/eu-login.md for the sources.
PRESETS: dict[str, dict[str, Any]] = {
    "generic": {},
    "keycloak": {
        "scope": ["openid", "profile", "email"],
        "username_claim": "preferred_username",
        "levels": [{"name": "mfa", "acr": ["mfa"], "amr": [["mfa"]], "two_kinds": True}],
    },
    "eulogin": {
        "issuer": f"{EU_LOGIN}/cas/oauth2",
        "client_authentication": "client_secret_jwt",
        "assertion_audience": "token_endpoint",
        "scope": ["openid", "email", "hr"],
        "algorithms": ["PS512"],
        "claims_from": "id_token",
        "groups_claim": f"{EU_LOGIN}/claims/groups",
        "levels": [
            {"name": "mfa", "acr": [f"{EU_LOGIN}/loa/medium", f"{EU_LOGIN}/loa/high"]},
            {"name": "high", "acr": [f"{EU_LOGIN}/loa/high"]},
        ],
        "ask": "acr_values",
    },
}
Action = Literal["administer", "publish-public", "gpu"]


class IdentitySettings(Section):
    """The OpenID provider, what we demand of it, and how long a login counts."""

    preset: Literal["generic", "eulogin", "keycloak"] = Field(
        "generic", description="Defaults for a provider; whatever else is given here goes before."
    )
    issuer: str = "http://localhost:8010"
    client_id: str = "bdap-hub"
    client_authentication: Literal[
        "auto", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"
    ] = Field("auto", description="How we prove who we are; auto: by secret, as the provider's discovery offers.")
    assertion_audience: Literal["issuer", "token_endpoint"] = Field(
        "issuer", description="Whom the assertions of client_secret_jwt and private_key_jwt name."
    )
    assertion_algorithm: str = Field(
        "", description="How they are signed, if the provider wants one; empty: the strongest that both sides offer."
    )
    scope: tuple[str, ...] = ("openid", "profile", "email", "groups")
    algorithms: tuple[str, ...] = Field(
        ("PS512", "PS256", "RS256", "ES256"), description=f"Accepted signatures of tokens, of {', '.join(ALGORITHMS)}."
    )
    claims_from: Literal["id_token", "userinfo", "both"] = Field(
        "both", description="Where names and groups come from; both: UserInfo where it states them, else the id_token."
    )
    username_claim: str = Field("sub", description="Names the account at the first login; `sub` keys it ever after.")
    display_name_claim: str = "name"
    email_claim: str = "email"
    groups_claim: str = "groups"
    admin_group: str = "bdap-admins"
    levels: tuple[LevelSettings, ...] = Field(
        (LevelSettings(name="mfa", acr=(REFEDS_MFA,), amr=(("mfa",),), two_kinds=True),),
        description="Assurance levels, lowest first; the first is what every login must prove.",
    )
    ask: Literal["claims", "acr_values", "nothing"] = Field(
        "claims", description="How a level's acr is asked for: as an essential claim, as acr_values, or not at all."
    )
    step_up: dict[Action, RequirementSettings] = Field(
        {}, description="What an action demands of the login: administer, publish-public, gpu."
    )
    session_hours: float = Field(12, gt=0, description="A login lasts this long at most.")
    revocation_seconds: float = Field(
        300, ge=4, description="Somebody whom the provider no longer lets in has lost everything after this long."
    )
    provider_grace: float = Field(
        3600, ge=0, description="Seconds for which logins, servers and tokens outlive a provider that does not answer."
    )
    unproven_hours: float = Field(
        24, gt=0, description="Servers and tokens end when the provider has not confirmed their owner for this long."
    )
    logged_out_hours: float = Field(
        1,
        gt=0,
        description="Servers and tokens of somebody who has logged out everywhere end when the provider has not "
        "confirmed them for this long since.",
    )

    @property
    def recheck_seconds(self) -> float:
        """A yes of the provider serves this long. With the sweeper's pace and the caches it stays within the bound."""
        return self.revocation_seconds / 2

    @property
    def sweep_seconds(self) -> float:
        """The pace at which everybody who is logged in, or has a server or a token, is looked at."""
        return self.revocation_seconds / 4

    @property
    def cache_seconds(self) -> float:
        """Services remember the hub's answers this long."""
        return min(30.0, self.revocation_seconds / 10)

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: Any) -> Any:
        if not isinstance(given, dict) or given.get("preset", "generic") not in PRESETS:
            return given
        return {**PRESETS[given.get("preset", "generic")], **given}

    @model_validator(mode="after")
    def _strong(self) -> Self:
        for name in self.algorithms:
            if name.lower() == "none" or name.upper().startswith("HS"):
                raise ValueError(f"algorithms may not contain {name!r}: it does not prove who signed")
            if name not in ALGORITHMS:
                raise ValueError(f"algorithms contains {name!r}; known: {', '.join(ALGORITHMS)}")
        if not self.algorithms:
            raise ValueError("algorithms is empty: no id_token could be trusted")
        if not self.levels:
            raise ValueError("levels is empty: MFA would not be proven")
        if self.preset == "eulogin" and self.client_authentication in ("client_secret_basic", "client_secret_post"):
            raise ValueError(
                f"client_authentication is {self.client_authentication!r}, which EU Login refuses; "
                "use client_secret_jwt or private_key_jwt"
            )
        if "openid" not in self.scope:
            raise ValueError("scope lacks 'openid': the provider would not say who somebody is")
        names = [level.name for level in self.levels]
        if len(set(names)) < len(names):
            raise ValueError(f"levels names one level twice: {names}")
        for action, demand in self.step_up.items():
            if demand.level and demand.level not in names:
                raise ValueError(f"step_up.{action} demands the level {demand.level!r}; known: {names}")
        return self


class RegistrationSettings(Section):
    """Who is let in at the first login, and on what terms."""

    required: bool | None = Field(
        None,
        description="A first login asks for a project; an admin or its lead approves. None: in production, yes; in the "
        "demo, no.",
    )
    auto_approve: bool = Field(
        True, description="Whom the provider puts in a project's or the admins' group is approved at each login."
    )
    terms: Path | None = Field(None, description="The terms of use, a text file, to be accepted with the request.")
    terms_version: str = Field("1", description="Who accepted an earlier version is asked again.")
    days: int = Field(365, gt=0, description="An approval lasts this long unless the approver says otherwise.")


class MailSettings(Section):
    """How the platform writes to people. Without a server, letters are files in `<var>/mail`."""

    host: str = Field("", description="SMTP server; empty: write files.")
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = Field("", description="The password is the secret `smtp-password`.")
    sender: str = Field(
        "BDAP Hub <noreply@localhost>", pattern=r"^([^\r\n<>@]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$"
    )

    @model_validator(mode="after")
    def _private(self) -> Self:
        if self.user and self.security == "none":
            raise ValueError("user is set and security is 'none': the password would travel in the clear")
        return self


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
    skeleton: Path | None = Field(None, description="Folder whose files a new home starts with.")
    home_quota: str = Field(
        "",
        pattern=r"^([0-9.]+[KMGTkmgt]?)?$",
        description="What a home may hold, such as 10G; empty: no limit. The file system enforces it where it counts "
        "by project (ext4 or XFS with prjquota); elsewhere people are told.",
    )
    registry: str = Field(
        "",
        pattern=r"^([a-z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*)?$",
        description="Where `bdap images push` pushes to: host:port/path of a private registry.",
    )

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
    memory: str = "4G"
    cpus: float = 2.0
    pids: int = 1024
    minutes: float = Field(30, gt=0, description="A build that takes longer is stopped.")
    context_mb: int = Field(50, gt=0, description="A recipe's files together, at most.")
    disk_mb: int = Field(20000, gt=0, description="What a build may write at most; it is stopped beyond that.")


@lru_cache
def _resolved(path: Path) -> Path:
    """Without links, looked at once: a store that hangs does not hold up whoever only plans."""
    return path.resolve()


class StoreSettings(Section):
    """The big store. On hosts it lies at `root`; notebooks and STAC hrefs name it by `mount`."""

    root: Path = Field(Path("var/store"), description="Holds data/ and projects/.")
    data_root: Path | None = Field(None, description="Where the imagery lies, if not in <root>/data.")
    mount: str = "/eos"
    file_system: str = Field(
        "",
        pattern=r"^[a-z0-9._]*$",
        description="Type of the file system that must be mounted there, such as fuse or nfs4: where it is not, the "
        "store counts as lost. Empty: a plain folder.",
    )
    look_seconds: float = Field(10, gt=0, description="So often the hub looks whether the store answers.")
    patience: float = Field(5, gt=0, description="A store that does not answer within so many seconds is lost.")
    remount: tuple[str, ...] = Field(
        (), description="Command that mounts a lost store again, such as [systemctl, restart, eos.mount]; empty: wait."
    )
    credentials: tuple[Literal["oauth2", "kerberos"], ...] = Field(
        (), description="What servers get to prove to the store who their person is, as EOS's client expects it."
    )
    oauth_url: str = Field("", description="With oauth2: where the store asks about a token (`oauth2:<token>:<url>`).")
    kerberos_command: tuple[str, ...] = Field(
        (), description="With kerberos: command that prints the ticket cache of {person}, whose uid is {uid}."
    )
    credentials_minutes: float = Field(30, gt=0, description="So often a ticket cache is renewed in running servers.")
    credentials_folder: Path = Field(Path("/run/bdap"), description="Where they lie on the host: a tmpfs.")

    @model_validator(mode="after")
    def _credentials(self) -> Self:
        if "oauth2" in self.credentials and not self.oauth_url:
            raise ValueError("credentials names oauth2 and oauth_url is empty: the store would not know whom to ask")
        if "kerberos" in self.credentials and not self.kerberos_command:
            raise ValueError("credentials names kerberos and kerberos_command is empty: nothing makes the tickets")
        return self

    @property
    def data(self) -> Path:
        """The host's folder that people see, read-only, as <mount>/data."""
        return _resolved((self.data_root or self.root / "data").absolute())

    @property
    def projects(self) -> Path:
        """The host's folder of the projects' own folders, seen as <mount>/projects/<project>."""
        return _resolved((self.root / "projects").absolute())

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
        return f"http://{local(self.bind)}:{self.port}"


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
            self.hub = self.hub.model_copy(update={"internal_ssl": self.spawning.engine == "docker"})
        if self.hub.has_subdomains and urlsplit(self.dashboards.origin).hostname == self.hub.host:
            raise ValueError(
                f"dashboards.origin is {self.dashboards.origin!r}, under which people's servers have their names: give "
                "dashboards a host of their own, or set hub.subdomains to false"
            )
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
        )

    def secret(self, name: str) -> str:
        """The per-install secret of that name, from a file of mode 600 in `<var>/secrets`."""
        path = self.var / "secrets" / name
        if not path.is_file():
            raise BadSettings(f"the secret {name!r} is missing", f"put it in {path} with mode 600, or run `make demo`")
        return path.read_text().strip()


def bridge_interface(network: str) -> str:
    """The host's interface of a Docker network of ours. It follows from the name: rules hold when one is made anew."""
    return network if len(network) <= 15 else f"bdap-{hashlib.sha256(network.encode()).hexdigest()[:10]}"


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
