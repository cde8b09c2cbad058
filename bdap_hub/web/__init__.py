"""What the services' pages share: the application factory, login against the hub, templates, signed tokens."""

from .app import create_service, page
from .audit_request import client_address, note
from .login import PROVIDER, HubLogin, Principal
from .tokens import read_token, sign_token

__all__ = [
    "PROVIDER",
    "HubLogin",
    "Principal",
    "client_address",
    "create_service",
    "note",
    "page",
    "read_token",
    "sign_token",
]
