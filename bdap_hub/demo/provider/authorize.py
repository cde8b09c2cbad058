"""The authorisation: a code for an application that asks as it should, and a person who has proven themselves so."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from allauth.core.internal.httpkit import add_query_params, del_query_params
from allauth.idp.oidc.adapter import get_adapter
from allauth.idp.oidc.models import Client
from allauth.idp.oidc.views import AuthorizationView
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render

from .asked import Asked, NotUnderstood
from .proof import proof, remember_proof
from .sessions import answers_request, ask_for_login

AFTER_ENROLMENT = "bdap_after_enrolment"
# What is decided here; allauth understands the first otherwise, and refuses the second.
DECIDED_HERE = ("prompt", "claims")
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")


class Authorize(AuthorizationView):
    """allauth's authorisation, with what it leaves open closed: PKCE, exact redirect, two factors, acr, max_age."""

    http_method_names = ("get",)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """A code only for a known address, and only for a person who has used both factors."""
        if problem := _problem(request):
            return render(request, "idp/oidc/error.html", {"error": {"description": problem}}, status=400)
        try:
            asked = Asked.read(request.GET.dict())
        except NotUnderstood as refused:
            return _refuse(request, refused.error, refused.description)
        if not asked.possible:
            return _refuse(request, "unmet_authentication_requirements", "this acr is not to be had here")
        if leave := detour(request, asked):
            return _refuse(request, "login_required", "") if "none" in asked.prompt else leave()
        _drop_from_query(request, DECIDED_HERE)
        response = super().dispatch(request, *args, **kwargs)
        if code := _code_in(response):
            remember_proof(code, proof(request))
        return _with_issuer(response)


def _problem(request: HttpRequest) -> str:
    asked = request.GET
    client = Client.objects.filter(id=asked.get("client_id", "")).first()
    if client is None:
        return "The application is not known here."
    if asked.get("redirect_uri", "") not in client.get_redirect_uris():
        return "The application's return address is not the registered one."
    if asked.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(asked.get("code_challenge", "")):
        return "The application did not use PKCE with S256."
    if any(len(values) > 1 for _, values in asked.lists()):
        return "The application said one thing twice."
    return ""


def detour(request: HttpRequest, asked: Asked) -> Any:
    """None for a person who may have a code now, else what sends them to enrol, or to log in with both factors."""
    here = request.get_full_path()
    again = del_query_params(here, "prompt")

    def log_in() -> HttpResponse:
        ask_for_login(request)
        return redirect_to_login(again)

    if not request.user.is_authenticated:
        return log_in
    if not is_mfa_enabled(request.user, [Authenticator.Type.TOTP]):
        return lambda: _enrol(request, here)
    claims = proof(request)
    just_now = answers_request(request, claims["auth_time"])
    proven = "mfa" in claims["amr"] and asked.met_by(claims, request.user.get_username(), just_now)
    return log_in if not proven or asked.prompt & {"login", "select_account"} else None


def _enrol(request: HttpRequest, here: str) -> HttpResponse:
    request.session[AFTER_ENROLMENT] = here
    return redirect("mfa_activate_totp")


def _refuse(request: HttpRequest, error: str, description: str) -> HttpResponse:
    """Back to the application, whose address has been checked, with an error."""
    answer = {"error": error, "error_description": description, "state": request.GET.get("state", "")}
    answer["iss"] = get_adapter().get_issuer()
    location = add_query_params(request.GET["redirect_uri"], {name: value for name, value in answer.items() if value})
    return HttpResponse(status=302, headers={"Location": location})


def _with_issuer(response: HttpResponseBase) -> HttpResponseBase:
    """RFC 9207: every answer names its issuer."""
    location = response.headers.get("Location", "")
    if {"code", "error"} & set(parse_qs(urlsplit(location).query)):
        response.headers["Location"] = add_query_params(location, {"iss": get_adapter().get_issuer()})
    return response


def _drop_from_query(request: HttpRequest, names: tuple[str, ...]) -> None:
    kept = request.GET.copy()
    for name in names:
        kept.pop(name, None)
    request.GET = kept  # type: ignore[assignment]
    request.META["QUERY_STRING"] = kept.urlencode()


def _code_in(response: HttpResponseBase) -> str:
    query = parse_qs(urlsplit(response.headers.get("Location", "")).query)
    return query.get("code", [""])[0]
