"""The public proxy's command line, in one place for the demo, for systemd (`bdap serve proxy`) and for tests.

It is a process of its own: the hub may be restarted while people work.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import certificates
from .settings import Settings

BY_ADDRESS = Path(__file__).parent / "proxy_tls.cjs"
INSTALLED = Path(__file__).parent.parent / "var/node/node_modules/.bin/configurable-http-proxy"

IDLE_SECONDS = 330
"""How long a browser's connection may rest: longer than browsers let theirs, so that none is closed just as it is used,
which would fail whatever is no plain GET."""


def command(settings: Settings) -> list[str]:
    """How it is started; $BDAP_PROXY_COMMAND says where it is, if not where the demo installs it."""
    hub = settings.hub
    return [
        *os.environ.get("BDAP_PROXY_COMMAND", str(INSTALLED)).split(),
        *("--ip", hub.bind, "--port", str(hub.public_port)),
        *("--api-ip", "127.0.0.1", "--api-port", str(hub.proxy_api_port)),
        *("--error-target", f"{hub.api_url}/hub/error"),
        *("--keep-alive-timeout", str(IDLE_SECONDS * 1000)),
        *(["--host-routing"] if hub.has_subdomains else []),
        *(_tls(settings) if hub.internal_ssl else []),
    ]


def _tls(settings: Settings) -> list[str]:
    """To the hub and to servers it goes with a certificate, and its own API wants one."""
    certificates.ensure(settings)
    options: list[str] = []
    for side, name in (("api", "proxy-api"), ("client", "proxy-client")):
        key, certificate = certificates.files(settings, name)
        options += [f"--{side}-ssl-key", key, f"--{side}-ssl-cert", certificate]
        options += [f"--{side}-ssl-ca", certificates.trusted(settings, f"{name}-ca")]
        options += [f"--{side}-ssl-request-cert", f"--{side}-ssl-reject-unauthorized"]
    return options


def environment(settings: Settings) -> dict[str, str]:
    """The token by which it knows the hub, and how it looks at certificates."""
    found = {"CONFIGPROXY_AUTH_TOKEN": settings.secret("proxy-auth-token")}
    return found | ({"NODE_OPTIONS": f"--require={BY_ADDRESS}"} if settings.hub.internal_ssl else {})


def run(settings: Settings) -> None:
    """Become the proxy."""
    whole = command(settings)
    os.execvpe(whole[0], whole, {**os.environ, **environment(settings)})  # noqa: S606  no shell
