"""Settings to JupyterHub's configuration, for the login."""

from __future__ import annotations

from typing import Any

from ..settings import Settings
from .authenticator import EULoginAuthenticator

COOKIE_DAYS = 1
REFRESH_SECONDS = 300


def configure(c: Any, settings: Settings) -> None:
    """Log in through the provider of `settings.identity`. BadSettings if the client's secret is missing.

    The key that encrypts people's authentication state (`c.CryptKeeper.keys`) is set by `bdap_hub.hub`.
    """
    identity, hub = settings.identity, f"{settings.hub.public_url.rstrip('/')}/hub"
    c.JupyterHub.authenticator_class = EULoginAuthenticator
    c.JupyterHub.cookie_max_age_days = COOKIE_DAYS
    authenticator = c.EULoginAuthenticator
    authenticator.issuer = identity.issuer
    authenticator.client_id = identity.client_id
    authenticator.client_secret = settings.secret("oidc-client-secret")
    authenticator.oauth_callback_url = f"{hub}/oauth_callback"
    authenticator.post_logout_url = f"{hub}/logout"
    authenticator.scope = list(identity.scope)
    authenticator.algorithms = list(identity.algorithms)
    authenticator.required_amr = list(identity.required_amr)
    authenticator.username_claim = identity.username_claim
    authenticator.display_name_claim = identity.display_name_claim
    authenticator.groups_claim = identity.groups_claim
    authenticator.admin_group = identity.admin_group
    authenticator.database_url = settings.database
    authenticator.manage_groups = True
    authenticator.enable_auth_state = True
    authenticator.auto_login = True
    authenticator.auth_refresh_age = REFRESH_SECONDS
    authenticator.refresh_pre_spawn = True
    # People are let in by check_allowed; this tells JupyterHub that the empty allow lists are meant.
    authenticator.any_allow_config = True
