"""What our provider says of a person, and of itself: allauth's adapters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.idp.oidc.adapter import DefaultOIDCAdapter
from allauth.idp.oidc.models import Token
from django.conf import settings
from django.contrib.auth import get_user_model
from django.http import HttpRequest

from .asked import MFA
from .conf import SCOPES
from .device import GRANT
from .tokens import proof_behind_request


class AccountAdapter(DefaultAccountAdapter):
    """Accounts come from `provision` alone."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        """Never."""
        return False


class OIDCAdapter(DefaultOIDCAdapter):
    """`sub` is the login name, `groups` a list; `amr` says how the person proved themselves in this login."""

    def get_issuer(self) -> str:
        """As the settings name it, whatever the request's Host header says."""
        return str(settings.BDAP.identity.issuer)

    def get_user_sub(self, client: Any, user: Any) -> str:
        """The login name, which never changes."""
        return str(user.get_username())

    def get_user_by_sub(self, client: Any, sub: str) -> Any:
        """The active person of that name, or None."""
        return get_user_model().objects.filter(username=sub, is_active=True).first()

    def get_claims(self, purpose: Any, user: Any, client: Any, scopes: Iterable[str], **kwargs: Any) -> dict[str, Any]:
        """The standard claims and, with the scope `groups`, the person's groups as of now."""
        scopes = list(scopes)
        claims = super().get_claims(purpose, user, client, scopes, **kwargs)
        if "groups" in scopes:
            claims["groups"] = sorted(user.groups.values_list("name", flat=True))
        return claims

    def populate_id_token(self, id_token: dict[str, Any], client: Any, scopes: Iterable[str], **kwargs: Any) -> None:
        """amr, acr, auth_time and sid of the login behind the code, or behind the refresh token."""
        id_token.update(proof_behind_request(), aud=client.id)

    def populate_server_metadata(self, data: dict[str, Any]) -> None:
        """Only what our client may really use."""
        data["scopes_supported"] = list(SCOPES)
        data["response_types_supported"] = ["code"]
        data["grant_types_supported"] = ["authorization_code", "refresh_token", GRANT]
        data["token_endpoint_auth_methods_supported"] = ["client_secret_basic", "client_secret_post"]
        data["acr_values_supported"] = [MFA]
        data["prompt_values_supported"] = ["none", "login", "select_account"]
        data["claims_parameter_supported"] = True
        data["request_parameter_supported"] = data["request_uri_parameter_supported"] = False
        data["authorization_response_iss_parameter_supported"] = True
        data["claims_supported"] = ["sub", "name", "email", "groups", "acr", "amr", "auth_time", "sid"]
        data["backchannel_logout_supported"] = data["backchannel_logout_session_supported"] = True

    def is_introspection_allowed(self, token: Any, *, caller_client: Any) -> bool:
        """The platform alone asks, and about access tokens alone."""
        ours = caller_client.id == settings.BDAP.identity.client_id
        return bool(ours and token.type == Token.Type.ACCESS_TOKEN)

    def populate_introspection_response(self, *, response: dict[str, Any], token: Any) -> None:
        """With how the person logged in (RFC 9470)."""
        response.update((token.data or {}).get("proof", {}))
