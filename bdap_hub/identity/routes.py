"""The hub's pages and API that are identity's own, beside the login itself: one line a module."""

from __future__ import annotations

from typing import Any

from . import back_channel, logins
from .approvals_page import RequestsHandler
from .client_key import ClientKeysHandler
from .hub_api import AccessTokenAPIHandler, LetterAPIHandler, SessionAPIHandler
from .registration import RegisterHandler
from .step_up import StepUpHandler

HANDLERS: list[tuple[str, Any]] = [
    (r"/oidc/jwks\.json", ClientKeysHandler),
    *logins.HANDLERS,
    *back_channel.HANDLERS,
    (r"/step-up", StepUpHandler),
    (r"/register", RegisterHandler),
    (r"/requests", RequestsHandler),
    (r"/api/bdap/sessions/([0-9a-f]{64})", SessionAPIHandler),
    (r"/api/bdap/access-token", AccessTokenAPIHandler),
    (r"/api/bdap/letters", LetterAPIHandler),
]
"""(path below /hub, tornado handler) of each; the authenticator hands them to JupyterHub."""
