"""Where people find the platform, and where the hub and its proxy listen."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from .section import Section

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
        "by a certificate of the hub's own. Empty: yes with spawning.engine: docker, with swarm where "
        "spawning.swarm.node_port is set, else no.",
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
