"""Sessions at the provider, each with a `sid` that applications know it by."""

from __future__ import annotations

import secrets

from django.contrib.auth import logout
from django.http import HttpRequest

SID = "bdap_sid"


def sid_of(request: HttpRequest) -> str:
    """What applications know this session by; drawn when first asked for. Only for somebody who is logged in."""
    name, kept = request.user.get_username(), request.session.get(SID)
    if kept is None or kept[0] != name:
        kept = request.session[SID] = [name, secrets.token_urlsafe(16)]
    return str(kept[1])


def log_out_to_log_in(request: HttpRequest) -> None:
    """Forget the factors, so that they are asked for anew; the session's `sid` stays if the same person comes back."""
    kept = request.session.pop(SID, None)
    logout(request)
    if kept is not None:
        request.session[SID] = kept
