"""The provider's pages that are ours: the guarded authorisation, enrolment, home, style sheets."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from allauth.account.internal.flows.login import record_authentication
from allauth.core.internal.httpkit import del_query_params
from allauth.idp.oidc.models import Client
from allauth.idp.oidc.views import AuthorizationView
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.views import ActivateTOTPView
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.views import redirect_to_login
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from ... import web
from .adapters import proof, remember_proof

STYLES = {
    "bdap.css": Path(web.__file__).parent / "static" / "bdap.css",
    "provider.css": Path(__file__).parent / "static" / "provider.css",
}
AFTER_ENROLMENT = "bdap_after_enrolment"
# The clock's resolution and a person's walk through two pages: a max_age below this can never be met.
SHORTEST_MAX_AGE = 10
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class Authorize(AuthorizationView):
    """allauth's authorisation, with what it leaves open closed: PKCE, exact redirect, two factors, max_age."""

    http_method_names = ("get",)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """A code only for a known address, and only for a person who has used both factors."""
        if problem := _problem(request):
            return render(request, "idp/oidc/error.html", {"error": {"description": problem}}, status=400)
        if request.user.is_authenticated and (detour := _detour(request)):
            return detour
        response = super().dispatch(request, *args, **kwargs)
        if code := _code_in(response):
            remember_proof(code, proof(request))
        return response


class Enrol(ActivateTOTPView):
    """Show the QR code once, at the first login; the code entered here counts as this login's second factor."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Only for those who have no authenticator yet."""
        if request.user.is_authenticated and is_mfa_enabled(request.user, [Authenticator.Type.TOTP]):
            return redirect("home")
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep the secret, then go on to where the person wanted to go."""
        response = super().form_valid(form)
        kept = Authenticator.objects.get(user=self.request.user, type=Authenticator.Type.TOTP)
        # Checked a second time through the authenticator, which marks the code as used.
        if kept.wrap().validate_code(form.cleaned_data["code"]):
            record_authentication(self.request, self.request.user, method="mfa", id=kept.pk, type=kept.type)
        return response

    def get_success_url(self) -> str:
        """The authorisation that sent the person here."""
        return str(self.request.session.pop(AFTER_ENROLMENT, reverse("home")))


def home(request: HttpRequest) -> HttpResponse:
    """Who is logged in here, and the way to the platform."""
    return render(request, "provider/home.html", {"proof": proof(request)})


def style(request: HttpRequest, name: str) -> HttpResponse:
    """A style sheet: the platform's own, and the little that only these pages need."""
    if name not in STYLES:
        raise Http404
    return HttpResponse(STYLES[name].read_bytes(), content_type="text/css", headers={"Cache-Control": "max-age=300"})


def nothing(request: HttpRequest, **kwargs: Any) -> HttpResponse:
    """Parts of allauth that we do not offer."""
    raise Http404


def platform(request: HttpRequest) -> dict[str, str]:
    """What every template knows: the platform's name and address."""
    return {"platform_name": settings.BDAP.hub.platform_name, "hub": settings.BDAP.hub.public_url}


def _problem(request: HttpRequest) -> str:
    asked = request.GET
    client = Client.objects.filter(id=asked.get("client_id", "")).first()
    if client is None:
        return "The application is not known here."
    if asked.get("redirect_uri", "") not in client.get_redirect_uris():
        return "The application's return address is not the registered one."
    if asked.get("code_challenge_method") != "S256" or not _CHALLENGE.fullmatch(asked.get("code_challenge", "")):
        return "The application did not use PKCE with S256."
    return ""


def _detour(request: HttpRequest) -> HttpResponseBase | None:
    """Where a person goes before they get a code: to enrol, or to log in again with both factors."""
    claims, asked, here = proof(request), request.GET, request.get_full_path()
    enrolled = is_mfa_enabled(request.user, [Authenticator.Type.TOTP])
    if not enrolled:
        request.session[AFTER_ENROLMENT] = here
        return redirect("mfa_activate_totp")
    prompted = "login" in asked.get("prompt", "").split()
    if "mfa" in claims["amr"] and not prompted and not _too_old(asked.get("max_age", ""), claims["auth_time"]):
        return None
    logout(request)
    return redirect_to_login(del_query_params(here, "prompt") if prompted else here)


def _too_old(max_age: str, auth_time: int) -> bool:
    return max_age.isdecimal() and time.time() - auth_time > max(int(max_age), SHORTEST_MAX_AGE)


def _code_in(response: HttpResponseBase) -> str:
    query = parse_qs(urlsplit(response.headers.get("Location", "")).query)
    return query.get("code", [""])[0]
