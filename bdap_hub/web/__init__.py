"""What the services' pages share: the application factory, login against the hub, templates, signed tokens."""

from .app import LOST, MOST_BYTES, create_service, lost_database, page
from .audit_request import client_address, note
from .forms import allow_form, form_of
from .login import PROVIDER, HubLogin, Principal
from .tokens import read_token, sign_token

__all__ = [
    "LOST",
    "MOST_BYTES",
    "PROVIDER",
    "HubLogin",
    "Principal",
    "allow_form",
    "client_address",
    "create_service",
    "form_of",
    "lost_database",
    "note",
    "page",
    "read_token",
    "sign_token",
]
