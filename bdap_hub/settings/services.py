"""Where each service listens, and its limits."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from ..access import DashboardImage
from .hub import local
from .section import Bytes, Section

# The services that people's servers and dashboards call over the network.
SERVERS_USE = ("processing", "catalogue", "dashboards")
DASHBOARDS_USE = ("processing", "catalogue")


class ServiceSettings(Section):
    """Where one service listens. `bind` must be reachable from people's servers where they call it."""

    bind: str = "127.0.0.1"
    also_bind: str = Field("", description="A second address, for containers on a bridge that leads nowhere else.")
    port: int

    @property
    def url(self) -> str:
        """Address for server-side callers on this host."""
        return f"http://{local(self.bind)}:{self.port}"


class JobSettings(Section):
    """Batch jobs of the processing service."""

    runner: Literal["local", "htcondor"] = Field(
        "local", description="Where jobs run: in processes beside the service, or in the pool of `batch`."
    )
    workers: int = Field(
        1, ge=0, description="Jobs that run at once, or that are in the pool at once; 0: this service runs none."
    )
    memory_mb: int = Field(4096, ge=512, description="What a job's process may hold; beyond it the job fails.")
    hours: float = Field(24, gt=0, description="A job that runs longer fails.")
    nice: int = Field(10, ge=0, le=19, description="How far jobs stand back behind maps (as of nice).")
    most_mb: int = Field(2_000_000, description="A job that reads or holds more pixels (uncompressed) is refused.")
    quota_mb: int = Field(100_000, description="Results that a person may keep; beyond it no job is started.")
    queued: int = Field(100, description="Jobs of a person that may wait or run.")
    most: int = Field(1000, ge=1, description="Jobs that a person may have; beyond it no other is made.")
    keep_days: int = Field(
        0,
        ge=0,
        description="Results are deleted so many days after their job finished or was last changed, of which each job "
        "tells the moment (`expires`); 0: they are kept.",
    )


class UdfSettings(Section):
    """Code of people in process graphs (`run_udf`), in sandboxes of the Docker engine on the service's host."""

    workers: int = Field(0, ge=0, description="Sandboxes at once; 0: no code of people runs.")
    warm: int = Field(1, ge=0, description="Sandboxes that wait, started, for the next graph.")
    image: str = "bdap/udf:latest"
    memory: Bytes = Field("1G", description="Memory of a sandbox.")
    seconds: float = Field(30, gt=0, description="A call that takes longer ends its sandbox.")
    array_mb: int = Field(128, ge=1, le=1024, description="An array of more megabytes is neither sent nor taken.")
    idle_seconds: float = Field(120, gt=0, description="A graph's sandbox that nobody uses so long is thrown away.")


class BasemapSettings(Section):
    """A base map of others that maps may show by its name, such as a WMTS of the operator's."""

    name: str = Field(description="What people write: `bdap.Map(basemap=name)`.")
    title: str = ""
    url: str = Field(
        description="Address of its tiles with {z}, {x} and {y}, which people's browsers ask; of a WMTS by key and "
        "value with TileMatrix={z}&TileRow={y}&TileCol={x}."
    )
    attribution: str = ""
    max_zoom: int = Field(19, ge=0, le=30)

    @field_validator("url")
    @classmethod
    def _tiles(cls, url: str) -> str:
        if not all(place in url for place in ("{z}", "{x}", "{y}")) or urlsplit(url).scheme not in ("https", "http"):
            raise ValueError(f"{url!r:.80} is no https address of tiles with {{z}}, {{x}} and {{y}}")
        return url


class TableSettings(Section):
    """A table of PostGIS that maps may show. Its database is the operator's: callers never name one."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$", description="What people write: `map.add_table(name)`.")
    title: str = ""
    database_url: str = Field(
        description="Such as postgresql+psycopg://reader@db/regions: an account that may only read, its password in "
        "PostgreSQL's own password file."
    )
    table: str = Field(description="The table or view, with its schema: public.nuts.")
    geometry: str = Field("geom", description="Its column of geometries.")
    columns: tuple[str, ...] = Field((), description="The columns that people see as attributes.")
    visibility: Literal["public", "people", "project"] = "project"
    project: str = Field("", description="Whose members see it where its visibility is `project`.")


class ProcessingSettings(ServiceSettings):
    """The tile and value service."""

    port: int = 8021
    processes: int | None = Field(
        None,
        ge=0,
        description="Processes that draw tiles; by default one for each processor. 0 or 1: the service draws itself.",
    )
    threads: int = Field(4, description="Reads in parallel per tile.")
    max_items: int = Field(500, description="A graph that needs more items than this is refused, with the count.")
    tile_url_hours: float = Field(12, description="How long a signed tile URL is valid.")
    max_cube_mb: int = Field(512, description="An evaluation that would hold more pixels at once is refused.")
    decode_mb: int = Field(
        4096, description="An evaluation that would decode more is refused: zoomed out on files without overviews."
    )
    block_cache_mb: int = Field(512, description="Decoded blocks kept in memory, by all processes together.")
    tile_cache_mb: int = Field(64, description="Drawn tiles kept in memory; 0 draws each anew.")
    files_mb: int = Field(1000, description="What a person may upload to the service (/files) in all.")
    most_services: int = Field(1000, ge=1, description="Web services that a person may have.")
    most_processes: int = Field(500, ge=1, description="User-defined processes that a person may have.")
    stac_origins: tuple[str, ...] = Field(
        (),
        description="STAC APIs and documents that load_stac may ask besides the catalogue here, such as "
        "https://stac.example.org/api. Their files must lie on the store.",
    )
    queue: int = Field(256, description="Evaluations that may wait; beyond it callers are told to come back.")
    deadline: float = Field(60, gt=0, description="Seconds after which the evaluation of a tile or of values ends.")
    models: Path | None = Field(None, description="Folder of models (`<name>.onnx`) that every person may use by name.")
    basemaps: tuple[BasemapSettings, ...] = Field(
        (), description="Base maps of others besides our own (`offline`, countries and coasts)."
    )
    outlines: Path | None = Field(
        None,
        description="Finer outlines of countries for our own base map: a GeoJSON in degrees, or with the package "
        "pyogrio a GeoPackage or zip of Natural Earth's admin_0_countries. Without, those of 1:110m that come with us.",
    )
    tables: tuple[TableSettings, ...] = Field((), description="Tables of PostGIS that maps may show.")
    udf: UdfSettings = UdfSettings()
    model_mb: int = Field(200, description="A model of more megabytes is refused.")
    results: int = Field(1, ge=1, description="Results of POST /result that are evaluated at once.")
    result_deadline: float = Field(600, gt=0, description="Seconds after which the evaluation of POST /result ends.")
    jobs: JobSettings = JobSettings()
    result_mb: int = Field(2048, description="POST /result refuses what reads or holds more pixels (uncompressed).")


class CatalogueSettings(ServiceSettings):
    """The STAC service over `<var>/catalogue`."""

    port: int = 8022
    database_url: str = Field(
        "",
        description="PostgreSQL with PostGIS that keeps the items by pgstac, such as "
        "postgresql://bdap@db/catalogue; empty: SQLite in `<var>/catalogue`.",
    )


class DashboardImageSettings(Section):
    """An image that a dashboard's manifest may name, beside `dashboards.image`."""

    name: str = Field(pattern=r"^[a-z][a-z0-9]*([-.][a-z0-9]+)*$", max_length=65)
    reference: str = Field(description="What the Docker engine knows it by; it holds what bdap/dashboard holds.")
    projects: tuple[str, ...] = Field((), description="Whose dashboards may run in it; none named: all projects'.")

    def image(self) -> DashboardImage:
        """The same, as `access` knows it."""
        return DashboardImage(self.name, self.reference, self.projects)


class DashboardsSettings(ServiceSettings):
    """Publisher (on the hub's origin) and gateway (own origin, a sub-domain a dashboard)."""

    port: int = 8023
    gateway_bind: str = "127.0.0.1"
    gateway_port: int = 8030
    origin: str = Field("http://dashboards.localhost:8030", description="Dashboards are sub-domains of this.")
    network: str = Field("bdap-dashboards", description="Docker bridge of dashboards' containers.")
    nodes: tuple[str, ...] = Field(
        (), description="Further machines that run dashboards, as address:port of `bdap dashboards node serve` there."
    )
    node_hub: str = Field(
        "",
        description="This host's IP address as those machines see it: they listen to it alone, and the services that "
        "dashboards use listen there, too.",
    )
    image: str = "bdap/dashboard:latest"
    runtime: Literal["fork", "voila"] = Field(
        "fork", description="fork: executed once, a copy a visitor where the notebook allows it; voila: as plain Voilà."
    )
    visitors: int = Field(
        100, ge=1, description="Visitors of one release who have a process at once, beyond that they wait."
    )
    copies: int = Field(
        0,
        ge=0,
        le=9,
        description="Copies of one release at most, each on another machine as far as there are; 0: one for each "
        "machine (`nodes` and this host).",
    )
    visitors_per_copy: int = Field(
        50, ge=1, description="Where more look at a release than its copies are good for, a further one is started."
    )
    images: tuple[DashboardImageSettings, ...] = Field(
        (), description="Further images that a manifest may name: name, reference, and projects."
    )
    painter: str = Field(
        "bdap/painter:latest",
        description="Image that draws pictures of dashboards, where it is built (with engine=process: the host's "
        "Chromium); empty: none are drawn.",
    )
    memory: str = "1G"
    cpus: float = 1.0
    most_memory: Bytes = Field("4G", description="A manifest may ask for so much memory.")
    most_cpus: float = Field(4.0, gt=0, description="A manifest may ask for so many CPUs.")
    max_bundle_mb: int = 50
    git_hosts: tuple[str, ...] = Field(
        (),
        description="Hosts (with a port where it is not 443), such as gitlab.example.org, from whose repositories the "
        "service fetches dashboards over https; none: it asks no repository.",
    )
    git_ca: Path | None = Field(
        None,
        description="PEM file of the authorities that those hosts' certificates come from; by default the system's.",
    )
    script_origins: tuple[str, ...] = Field(
        (), description="Other origins dashboards may load scripts and styles from; none: their own only."
    )
    idle_timeout: int = Field(900, description="Seconds without visitors after which a container stops.")
    most_warm: int = Field(
        8, ge=0, description="So many dashboards may go on without visitors (`keep_warm`), the oldest first."
    )
    usage_days: int = Field(
        400, ge=1, description="Days for which a dashboard's visits, sessions, memory and starts are kept."
    )
    page_days: int = Field(
        30, ge=1, description="Days for which the page of a version that is not live is kept after somebody saw it."
    )
    message_mb: float = Field(16, gt=0, le=16, description="A larger message of a visitor's page is refused.")
    messages_per_second: float = Field(
        100, gt=0, description="Of one page; twenty seconds' worth may come at once, beyond that they wait."
    )
    upload_mb_per_second: float = Field(4, gt=0, description="The same, for what a visitor's page sends.")
    kernels_per_address: int = Field(
        50, ge=1, description="Kernels that pages of one address (or network of IPv6) may have at once."
    )
    kernels_per_person: int = Field(40, ge=1, description="Kernels that pages of one person may have at once.")
    socket_hours: float = Field(12, gt=0, description="A page's connection ends then; it connects anew.")

    share_link_days: int = Field(
        90, ge=1, description="Days that a link for people without an account counts, at most."
    )
    reserved_aliases: tuple[str, ...] = Field(
        ("admin", "api", "auth", "dashboards", "help", "hub", "login", "mail", "static", "status", "www"),
        description="Short names that no dashboard gets.",
    )
    anonymous_visitors: int = Field(
        500, ge=1, description="Visitors without an account at once per dashboard; others see a page that waits."
    )
    anonymous_opens: int = Field(
        120, ge=1, description="Dashboards opened in a minute without an account from one address; others wait."
    )

    @field_validator("node_hub")
    @classmethod
    def _one_address(cls, hub: str) -> str:
        try:
            return str(ip_address(hub)) if hub else ""
        except ValueError:
            raise ValueError(f"{hub!r:.80} is no IP address: nodes know this host by it alone") from None

    @field_validator("nodes")
    @classmethod
    def _addresses(cls, nodes: tuple[str, ...]) -> tuple[str, ...]:
        for node in nodes:
            host, _, port = node.rpartition(":")
            try:
                ip_address(host.strip("[]"))
            except ValueError:
                raise ValueError(f"{node!r:.80} is no address and port: write 192.0.2.11:7430") from None
            if not port.isdecimal() or not 0 < int(port) < 65536:
                raise ValueError(f"{node!r:.80} has no port: write {host or '192.0.2.11'}:7430")
        return nodes

    @field_validator("git_hosts")
    @classmethod
    def _plain_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            if not re.fullmatch(r"[a-z0-9.-]+(:[0-9]{1,5})?", host):
                raise ValueError(
                    f"{host!r:.80} is no host: write gitlab.example.org, in small letters, without https://"
                )
        return hosts

    def alias_address(self, alias: str) -> str:
        """Where a short name of a dashboard is asked for."""
        parts = urlsplit(self.origin)
        return f"{parts.scheme}://{alias}.{parts.netloc}/"

    def address(self, project: str, slug: str, version: int | None = None) -> str:
        """The public address of a dashboard, or of the preview of a version of it: its own origin."""
        parts, preview = urlsplit(self.origin), "" if version is None else f"--v{version}"
        return f"{parts.scheme}://{project}--{slug}{preview}.{parts.netloc}/"


class AdminSettings(ServiceSettings):
    """The admin panel."""

    port: int = 8024
