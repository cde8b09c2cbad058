"""Each person's server at an origin of its own, <person>.<host>, and the hub's pages at the host itself, nowhere else.

Imported by bdap_hub.hub only.
"""

from __future__ import annotations

import re
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.proxy import ConfigurableHTTPProxy
from jupyterhub.utils import subdomain_hook_idna
from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher, Rule
from tornado.web import RequestHandler

from .settings import Settings

# What programs ask for, be it by another name of this host: people's servers use its address on their network.
FOR_PROGRAMS = re.compile(r"(api|health|metrics|error|static|bdap|logo)(/|$)")


def configure(c: Any, settings: Settings) -> None:
    """JupyterHub's own sub-domains, where the settings have them."""
    hub = settings.hub
    if not hub.has_subdomains:
        return
    c.JupyterHub.subdomain_host = hub.public_url.rstrip("/")
    c.JupyterHub.subdomain_hook = partial(domain_of, taken=frozenset({urlsplit(settings.dashboards.origin).hostname}))
    c.JupyterHub.cookie_host_prefix_enabled = bool(hub.cookie_prefix)


def domain_of(name: str, domain: str, kind: str, taken: frozenset[str | None] = frozenset()) -> str:
    """The host of a person's server; services are ours, and stay at the hub's own. Nobody gets one that is `taken`.

    >>> domain_of("ana", "hub.example.org", "user")
    'ana.hub.example.org'
    >>> domain_of("processing", "hub.example.org", "service")
    'hub.example.org'
    >>> domain_of("dashboards", "hub.example.org", "user", frozenset({"dashboards.hub.example.org"}))
    'u-dashboar--40dfa7a.hub.example.org'
    """
    if kind != "user":
        return domain
    found = str(subdomain_hook_idna(name, domain, kind))
    # A stand-in with a hash. No account's name has a slash, so that nobody else has the same.
    return str(subdomain_hook_idna(f"{name}/", domain, kind)) if found.lower() in taken else found


class BdapProxy(ConfigurableHTTPProxy):  # type: ignore[misc]
    """JupyterHub's proxy. What no server answers it leads to the hub, under every name; pages go on to the hub's own.

    A page at another host would have neither the hub's cookies nor the address that a login comes back to.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.app.observe(self._pages_at_one_host, "handlers")

    def _pages_at_one_host(self, change: Any) -> None:
        if public := self.app.subdomain_host:
            change.new.insert(0, Rule(PageElsewhere(public, self.hub.base_url), ToTheHub, {"public": public}))


class PageElsewhere(Matcher):
    """A page of the hub's that is asked for at another host than the hub's."""

    def __init__(self, public: str, base_url: str) -> None:
        self.host, self.base_url = urlsplit(public).hostname, base_url

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """{} where this is one, None where the usual handlers answer."""
        page = request.path.startswith(self.base_url) and request.method in ("GET", "HEAD")
        below = request.path.removeprefix(self.base_url)
        return {} if page and request.host_name != self.host and not FOR_PROGRAMS.match(below) else None


class ToTheHub(RequestHandler):
    """Leads there."""

    def initialize(self, public: str) -> None:
        """`public`: the hub's address, without its path."""
        self.public = public

    def get(self, *_: str) -> None:
        """The same page at the hub's host."""
        self.redirect(f"{self.public}{self.request.uri}")

    head = get
