"""The token endpoint: what a login proved goes with its tokens, and a code that comes twice takes them back."""

from __future__ import annotations

import json
from typing import Any

from allauth.core import context
from allauth.idp.oidc.internal.oauthlib.utils import get_validator_context
from allauth.idp.oidc.models import Token
from allauth.idp.oidc.views import TokenView
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from . import device
from .proof import fingerprint, proof_of

OFFLINE = "offline_access"


class Tokens(TokenView):
    """allauth's token endpoint; refresh tokens only where asked for, by the scope `offline_access`."""

    def post(self, request: HttpRequest) -> HttpResponse:
        """Issue tokens; each remembers how its person logged in, and the code that it came of."""
        if request.POST.get("grant_type") == device.GRANT and (refused := device.refusal(request)):
            return refused
        with transaction.atomic():
            response = super().post(request)
            if response.status_code == 200:
                response.content = json.dumps(_kept(json.loads(response.content)))
            elif request.POST.get("grant_type") == "authorization_code":
                # A code known to have been redeemed has been stolen, now or then (RFC 6749 section 4.1.2).
                Token.objects.filter(data__code=fingerprint(request.POST.get("code", ""))).delete()
        return response


def proof_behind_request() -> dict[str, Any]:
    """The claims amr, acr, auth_time and sid of the login behind the token request in hand."""
    return dict(_origin()["proof"])


def _origin() -> dict[str, Any]:
    request = context.request
    if request.POST.get("grant_type") == "refresh_token":
        used = get_validator_context().refresh_token
        return {name: used.data[name] for name in ("proof", "code")}
    code = request.POST.get("device_code" if request.POST.get("grant_type") == device.GRANT else "code", "")
    return {"proof": proof_of(code), "code": fingerprint(code)}


def _kept(issued: dict[str, Any]) -> dict[str, Any]:
    origin = _origin()
    for name in ("access_token", "refresh_token"):
        for token in Token.objects.by_value(issued.get(name, "")):
            token.data = {**(token.data or {}), **origin}
            token.save()
    if OFFLINE not in issued.get("scope", "").split():
        Token.objects.by_value(issued.pop("refresh_token", "")).delete()
        issued.pop("refresh_expires_in", None)
    return issued
