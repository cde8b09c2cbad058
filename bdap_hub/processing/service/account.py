"""How people prove to this service who they are, and what it knows of them."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from fastapi import FastAPI, Request

from ...errors import NotAllowed, NotLoggedIn
from ...settings import Settings
from ...web import PROVIDER
from .room import Room


class CredentialsInvalid(NotAllowed):
    """Name and token do not belong together."""

    code = "CredentialsInvalid"


def add_account(app: FastAPI, prefix: str, room: Room) -> None:
    @app.get(f"{prefix}/credentials/basic")
    async def basic(request: Request) -> dict[str, Any]:
        """A hub token, sent as the password of its owner, is the token to go on with."""
        name, token = name_and_token(request.headers.get("authorization", ""))
        principal = await room.login.by_hub_token(token)
        if principal is None or principal.person.name != name:
            where = f"make one at {room.settings.hub.public_url}/hub/token"
            raise CredentialsInvalid("this is no token of that person", where)
        return {"access_token": token}

    if room.settings.identity.public_client_id:

        @app.get(f"{prefix}/credentials/oidc")
        async def oidc() -> dict[str, Any]:
            return {"providers": [provider(room.settings)]}

    @app.get(f"{prefix}/me")
    async def me(request: Request) -> dict[str, Any]:
        principal = await room.login.require(request)
        return {"user_id": principal.person.name, "name": principal.display_name or principal.person.name, "links": []}


def provider(settings: Settings) -> dict[str, Any]:
    """The login provider, and the client with which programs on people's own machines log in there."""
    identity = settings.identity
    grants = ["urn:ietf:params:oauth:grant-type:device_code+pkce", "refresh_token"]
    return {
        "id": PROVIDER,
        "issuer": identity.issuer,
        "title": settings.hub.platform_name,
        "description": "The login of the platform, with your second factor. Log in with a browser once before.",
        "scopes": [scope for scope in identity.scope if scope != "offline_access"],
        "default_clients": [{"id": identity.public_client_id, "grant_types": grants}],
        "links": [],
    }


def name_and_token(header: str) -> tuple[str, str]:
    """What an `Authorization: Basic` header says; NotLoggedIn where it is none."""
    scheme, _, value = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError
        name, colon, token = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (ValueError, binascii.Error):
        name = colon = token = ""
    if not (name and colon and token):
        raise NotLoggedIn("send your account name and a hub token by HTTP Basic authentication", "log in")
    return name, token
