"""Starts the demo's OpenID provider."""

from __future__ import annotations

from ... import telemetry
from ...settings import Settings
from . import conf


def main(settings: Settings) -> None:
    """Serve until stopped, at the issuer's port on 127.0.0.1. BadSettings in production or off loopback."""
    _, port = conf.check(settings)
    import uvicorn

    telemetry.set_up()
    # No access log: an authorisation's address holds state and nonce.
    uvicorn.run(application(settings), host="127.0.0.1", port=port, access_log=False, log_config=None, lifespan="off")


def application(settings: Settings):  # type: ignore[no-untyped-def]
    """The ASGI application, its database ready. One for each process: Django's settings are global."""
    conf.set_up(settings)
    from django.core.asgi import get_asgi_application

    from . import tables

    tables.ensure(settings)
    return get_asgi_application()
