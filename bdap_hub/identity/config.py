"""Settings to JupyterHub's configuration, for the login."""

from __future__ import annotations

from typing import Any

from ..settings import Settings
from . import mail, registration
from .authenticator import EULoginAuthenticator
from .client_auth import ClientAuth


def configure(c: Any, settings: Settings) -> None:
    """Log in through the provider of `settings.identity`. BadSettings if a secret or the terms of use are missing.

    The key that encrypts people's authentication state (`c.CryptKeeper.keys`) is set by `bdap_hub.hub`.
    """
    identity = settings.identity
    c.JupyterHub.authenticator_class = EULoginAuthenticator
    days = identity.session_hours / 24
    c.JupyterHub.cookie_max_age_days = days
    # Secure is JupyterHub's doing where the public address is https; so is __Host-, see HubSettings.cookie_prefix.
    options = {"expires_days": days, "samesite": "Lax"}
    c.JupyterHub.tornado_settings = {
        "cookie_options": options,
        # this one JupyterHub would send without TLS too, and a session's identifier can be read from it
        "xsrf_cookie_kwargs": {**options, "secure": settings.hub.public_url.startswith("https:")},
    }
    authenticator = c.EULoginAuthenticator
    authenticator.settings = settings
    authenticator.client_id = identity.client_id
    ClientAuth.from_settings(settings)  # now, so that a missing secret stops the start
    registration.terms(settings)
    mail.check(settings)
    authenticator.oauth_callback_url = f"{settings.hub.public_url.rstrip('/')}/hub/oauth_callback"
    authenticator.scope = list(identity.scope)
    authenticator.username_claim = identity.username_claim
    authenticator.manage_groups = True
    authenticator.enable_auth_state = True
    authenticator.auto_login = True
    authenticator.auth_refresh_strict = True
    authenticator.refresh_pre_spawn = True
    # People are let in by check_allowed; this tells JupyterHub that the empty allow lists are meant.
    authenticator.any_allow_config = True
