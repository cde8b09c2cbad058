"""OpenID Connect RP-Initiated Logout 1.0: ends one session, and never the person's others."""

from __future__ import annotations

from typing import Any

from allauth.idp.oidc.views import LogoutView
from django.http import HttpResponse

from .sessions import end_tokens, sid_of


class Logout(LogoutView):
    """allauth's page, which asks the person first."""

    def _handle(self, form: Any, op_logout: bool) -> HttpResponse:
        if self.request.user.is_authenticated:
            end_tokens(sid_of(self.request))
        form.cleaned_data["client"] = None  # it would take the tokens of the person's other sessions, too
        return super()._handle(form, op_logout)
