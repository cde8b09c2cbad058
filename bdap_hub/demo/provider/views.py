"""The provider's pages that are ours: enrolment, home, style sheets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.views import ActivateTOTPView
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse

from ... import web
from .authorize import AFTER_ENROLMENT
from .proof import proof

STYLES = {
    "bdap.css": Path(web.__file__).parent / "static" / "bdap.css",
    "provider.css": Path(__file__).parent / "static" / "provider.css",
}


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


def platform(request: HttpRequest) -> dict[str, str]:
    """What every template knows: the platform's name and address."""
    return {"platform_name": settings.BDAP.hub.platform_name, "hub": settings.BDAP.hub.public_url}
