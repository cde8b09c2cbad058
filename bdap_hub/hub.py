"""Composes the hub: the settings tree becomes JupyterHub's configuration, one small function a subject.

Imported by jupyterhub_config.py only; no room imports it.
"""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path
from typing import Any

from jupyterhub.handlers.static import CacheControlStaticFilesHandler
from tornado.web import RedirectHandler

from . import certificates, entitlements, identity, subdomains, telemetry
from .access import Person, decides_on_members
from .database import shared
from .errors import BadSettings
from .settings import SERVERS_USE, ServiceSettings, Settings, local
from .spawning import ahead, hardening
from .spawning.engines import engine_of, now
from .spawning.engines.client import client
from .spawning.lifecycle import keeper
from .spawning.page import handlers as spawn_pages
from .spawning.page import servers
from .spawning.page.progress import STEPS
from .spawning.process import WARNING, BdapProcessSpawner
from .spawning.spawner import BdapDockerSpawner
from .spawning.store import home_quota
from .spawning.store import watch as store_watch

WEB = Path(__file__).parent / "web"
EVERYBODYS = SERVERS_USE
SERVICES = (*EVERYBODYS, "admin")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def configure(c: Any, settings: Settings) -> None:
    """Everything JupyterHub needs to know. BadSettings where settings contradict each other or a secret is missing."""
    logs(c, settings)
    addresses(c, settings)
    subdomains.configure(c, settings)
    state(c, settings)
    proxy(c, settings)
    pages(c, settings)
    identity.configure(c, settings)
    spawner(c, settings)
    services(c, settings)
    roles(c, settings)
    keeper.start(settings)
    store_watch.start(settings)


def logs(c: Any, settings: Settings) -> None:
    """What the hub, its libraries and we log in its process goes through the redacting filter, at every level."""
    c.JupyterHub.logging_config = telemetry.hub_logging()


def addresses(c: Any, settings: Settings) -> None:
    """Where people, proxy and services find the hub."""
    hub = settings.hub
    c.JupyterHub.bind_url = f"http://{hub.bind}:{hub.public_port}"
    c.JupyterHub.public_url = f"{hub.public_url.rstrip('/')}/"
    c.JupyterHub.hub_bind_url = f"{hub.scheme}://{hub.api_bind}:{hub.api_port}"
    c.JupyterHub.hub_connect_url = hub.api_url
    c.JupyterHub.default_url = "/hub/home"


def state(c: Any, settings: Settings) -> None:
    """What survives a restart: the database, the cookies' secret, the key of people's authentication state."""
    var = settings.var.resolve()
    c.JupyterHub.db_url = settings.database_url or f"sqlite:///{var / 'hub.sqlite'}"
    c.JupyterHub.cookie_secret_file = str(var / "secrets" / "hub-cookie-secret")
    # containers outlive the hub; plain processes would be left behind by nobody's will
    c.JupyterHub.cleanup_servers = settings.spawning.engine == "process"
    # any high-entropy text serves as key
    c.CryptKeeper.keys = [hashlib.sha256(settings.secret("hub-crypt-key").encode()).digest()]


def proxy(c: Any, settings: Settings) -> None:
    """The proxy is a process of its own: the hub may be restarted while people work."""
    c.JupyterHub.proxy_class = subdomains.BdapProxy
    c.JupyterHub.cleanup_proxy = False
    c.ConfigurableHTTPProxy.should_start = False
    c.ConfigurableHTTPProxy.auth_token = settings.secret("proxy-auth-token")
    c.ConfigurableHTTPProxy.api_url = f"{settings.hub.scheme}://127.0.0.1:{settings.hub.proxy_api_port}"


def pages(c: Any, settings: Settings) -> None:
    """The hub's pages in the platform's look, with its style sheets."""
    c.JupyterHub.template_paths = [str(WEB / "hub_templates")]
    c.JupyterHub.template_vars = {
        "platform": settings.hub.platform_name,
        "progress_steps": STEPS,
        "servers": lambda user: lambda: servers.rows(user),
        "home_use": lambda user: lambda: home_quota.homes_of(settings).uses.get(user.name),
        "store_notice": lambda user: lambda: store_watch.watch_of(settings).notice(*servers.names(user)),
        "decides_members": lambda user: user is not None and _decides(settings, user),
        "platform_admin": lambda user: (
            user is not None and settings.identity.admin_group in {group.name for group in user.groups}
        ),
    }
    c.EULoginAuthenticator.further_handlers = spawn_pages.HANDLERS
    # Deprecated in favour of services, but the login page must look right before any service runs.
    static = {"path": str(WEB / "static")}
    processing = f"{settings.hub.public_url}/services/processing/.well-known/openeo"
    c.JupyterHub.extra_handlers = [
        (r"/bdap/([a-z]+\.(?:css|js))", CacheControlStaticFilesHandler, static),
        (r"/\.well-known/openeo", RedirectHandler, {"url": processing, "permanent": False}),
    ]


def spawner(c: Any, settings: Settings) -> None:
    """How people's servers run. With Docker this makes their network."""
    docker = settings.spawning.engine != "process"
    host = _servers_host(settings) if docker else local(settings.hub.api_bind)
    chosen = BdapDockerSpawner if docker else BdapProcessSpawner
    c.JupyterHub.spawner_class = chosen
    chosen_config = c[chosen.__name__]
    chosen_config.settings = settings
    chosen_config.host_address = host
    if docker:
        chosen_config.access_token_of = identity.access_token
    if docker:
        BdapDockerSpawner.pool_of(settings).look()  # GPUs whose container is gone are free again
        ahead.begin(settings, host)
    if not docker:
        logging.getLogger(__name__).warning(WARNING)
        chosen_config.term_timeout = 1  # of somebody locked out; everybody else's server is interrupted first
    # A server believes the hub's answer of who somebody is for so long (0 would be for ever), not for five minutes.
    c.Spawner.args = [
        f"--HubOAuth.cache_max_age={max(1, int(settings.identity.cache_seconds))}",
        # JupyterHub's part of a server writes the session cookie's value to the server's log, as information.
        "--Application.logging_config={'loggers': {'tornado.application': {'level': 'WARNING'}}}",
    ]
    c.JupyterHub.allow_named_servers = settings.spawning.named_servers > 0
    c.JupyterHub.named_server_limit_per_user = settings.spawning.named_servers
    c.Spawner.hub_connect_url = f"{settings.hub.scheme}://{host}:{settings.hub.api_port}"
    if settings.hub.internal_ssl:
        certificates.ensure(settings, [f"IP:{host}"])
        c.JupyterHub.internal_ssl = True
        c.JupyterHub.internal_certs_location = str(certificates.folder(settings))
    c.Spawner.default_url = "/lab"
    c.Spawner.http_timeout = 60
    c.Spawner.start_timeout = 120
    c.Spawner.poll_interval = 30
    c.Spawner.consecutive_failure_limit = 0  # five failed starts are no reason to stop the hub
    c.Spawner.server_token_scopes = [
        "users:activity!user",
        "access:servers!server",
        *(f"access:services!service={name}" for name in EVERYBODYS),
    ]


def services(c: Any, settings: Settings) -> None:
    """Our services behind the hub's proxy."""
    c.JupyterHub.services = [_service(settings, name) for name in SERVICES]
    c.JupyterHub.trust_user_provided_tokens = True  # ours are random: hashed once at a request, not 16,384 times
    if settings.environment == "demo":  # for scripts; see demo.json
        c.JupyterHub.services.append({"name": "demo", "api_token": settings.secret("service-demo"), "display": False})


def _service(settings: Settings, name: str) -> dict[str, Any]:
    section: ServiceSettings = getattr(settings, name)
    # The panel asks the dashboards service in its visitor's name.
    further = ["access:services!service=dashboards"] if name == "admin" else []
    return {
        "name": name,
        "url": section.url,
        "api_token": settings.secret(f"service-{name}"),
        "oauth_client_id": f"service-{name}",
        "oauth_redirect_uri": f"{settings.hub.public_url.rstrip('/')}/services/{name}/oauth_callback",
        "oauth_client_allowed_scopes": further,
        "oauth_no_confirm": True,
        "timeout": 1,  # seconds; a service that is not up yet does not hold up the hub
        "display": False,  # our own header links to them
    }


def roles(c: Any, settings: Settings) -> None:
    """Who may what on the hub's own API: least for each, nothing by default."""
    who = ["read:users:name", "read:users:groups"]
    c.JupyterHub.load_roles = [
        # Everybody may knock at every service; `access` decides there, and a refusal is read and recorded.
        {"name": "user", "scopes": ["self", *(f"access:services!service={name}" for name in SERVICES)]},
        {"name": "service-reader", "scopes": who, "services": list(EVERYBODYS)},
        {
            "name": "admin-panel",
            "scopes": [
                *who,
                "list:users",
                "read:users",
                "read:users:activity",
                "read:servers",
                "delete:servers",
                "list:groups",
                "read:groups",
            ],
            "services": ["admin"],
        },
    ]
    if settings.environment == "demo":
        scopes = [*who, "list:users", "read:servers", "read:users:activity", "read:hub"]
        c.JupyterHub.load_roles.append({"name": "demo-scripts", "scopes": scopes, "services": ["demo"]})


def _servers_host(settings: Settings) -> str:
    """This host as containers see it: the gateway of their network, or its address in the nodes' network.

    The hub's API must listen there.
    """
    hardening.check(client().info())
    labels, network = {"bdap.hub": settings.install_id}, settings.spawning.network
    gateway = now(lambda: engine_of(settings).prepare(network, labels)) or settings.spawning.swarm.address
    if not gateway:
        raise BadSettings("spawning.swarm.address is empty", "set it to the address at which nodes reach this host")
    listening = {"hub.api_bind": settings.hub.api_bind}
    listening |= {f"{name}.bind": getattr(settings, name).bind for name in EVERYBODYS}
    for name, bind in listening.items():
        if bind in LOOPBACK:
            raise BadSettings(
                f"{name} is {bind!r}, which containers cannot reach",
                f"set it to {gateway}, this host as they see it",
            )
    return gateway


def _decides(settings: Settings, user: Any) -> bool:
    """Whether a user of the hub decides about a project's members."""
    return decides_on_members(
        entitlements.policy(settings, shared(settings.database)),
        Person(user.name, frozenset(group.name for group in user.groups)),
    )
