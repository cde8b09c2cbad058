"""How we prove to the provider that we are its client: RFC 6749 section 2.3.1, and RFC 7523 for signed assertions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from .discovery import Metadata


@dataclass(frozen=True)
class ClientAuth:
    """The method and its secret. `auto` is client_secret_basic, or client_secret_post where only that is offered."""

    method: str
    client_id: str
    secret: str

    def apply(self, metadata: Metadata) -> tuple[dict[str, str], dict[str, Any]]:
        """(form fields, options of the HTTP request) that authenticate one call of the token endpoint."""
        method = self.method
        if method == "auto":
            method = "client_secret_basic" if metadata.basic_auth else "client_secret_post"
        if method == "client_secret_basic":  # both parts are form-encoded first
            return {}, {"auth_username": quote(self.client_id), "auth_password": quote(self.secret, safe="")}
        return {"client_id": self.client_id, "client_secret": self.secret}, {}
