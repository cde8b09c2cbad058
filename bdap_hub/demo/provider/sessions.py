"""Sessions at the provider, each with a `sid` that applications know it by; they are told when it ends."""

from __future__ import annotations

import secrets
import time
from typing import Any

from allauth.idp.oidc.models import Token
from django.contrib.auth import logout
from django.contrib.auth.signals import user_logged_out
from django.dispatch import receiver
from django.http import HttpRequest

from .backchannel import tell_later

SID = "bdap_sid"
ASKED = "bdap_asked"
GO_ON_SECONDS = 60


def sid_of(request: HttpRequest) -> str:
    """What applications know this session by; drawn when first asked for. Only for somebody who is logged in."""
    name, kept = request.user.get_username(), request.session.get(SID)
    if kept is not None and kept[0] != name:
        _ended(*kept)
        kept = None
    if kept is None:
        kept = request.session[SID] = [name, secrets.token_urlsafe(16)]
    return str(kept[1])


def ask_for_login(request: HttpRequest) -> None:
    """Forget the factors, so that they are asked for anew; the session's `sid` stays if the same person comes back."""
    kept = request.session.pop(SID, None)
    logout(request)
    if kept is not None:
        request.session[SID] = kept
    request.session[ASKED] = int(time.time())


def answers_request(request: HttpRequest, auth_time: int) -> bool:
    """Whether the login of that time was asked for by `ask_for_login`, and is no older than it takes to go on."""
    asked = request.session.pop(ASKED, None)
    return asked is not None and auth_time >= asked and time.time() - auth_time < GO_ON_SECONDS


def end_tokens(sid: str) -> None:
    """Take back all tokens of a session."""
    Token.objects.filter(data__proof__sid=sid).delete()


@receiver(user_logged_out)
def _logged_out(request: HttpRequest, **_: Any) -> None:
    if kept := request.session.get(SID):
        _ended(*kept)


def _ended(name: str, sid: str) -> None:
    end_tokens(sid)
    tell_later(name, sid)
