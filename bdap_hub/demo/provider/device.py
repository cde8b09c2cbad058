"""The device flow (RFC 8628) for programs on people's own machines: PKCE always, and both factors in the browser."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from typing import Any

from allauth.idp.oidc.internal.oauthlib.request_validator import OAuthLibRequestValidator
from allauth.idp.oidc.models import Client
from allauth.idp.oidc.views import DeviceAuthorizationView, DeviceCodeView
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from oauthlib.oauth2.rfc8628.grant_types import DeviceCodeGrant

from .asked import Asked
from .authorize import CHALLENGE, detour
from .conf import DEVICE_SECONDS
from .proof import fingerprint, proof, remember_proof

GRANT: str = Client.GrantType.DEVICE_CODE.value
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")


class DeviceCode(DeviceCodeView):
    """allauth's, with the challenge (RFC 7636) kept that the token request has to answer."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A code to show to the person, and one to ask with; refused without a challenge."""
        challenge = request.POST.get("code_challenge", "")
        if request.POST.get("code_challenge_method") != "S256" or not CHALLENGE.fullmatch(challenge):
            return _refused("the application did not use PKCE with S256")
        response = super().post(request, *args, **kwargs)
        if response.status_code == 200:
            code = json.loads(response.content)["device_code"]
            cache.set(_key(code), challenge, timeout=DEVICE_SECONDS)
        return response


class DeviceAuthorization(DeviceAuthorizationView):
    """allauth's pages, for a person who has used both factors; what they proved is kept beside the code."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """First the login, then the code, then the question whether this program may."""
        if leave := detour(request, Asked()):
            return leave()
        return super().dispatch(request, *args, **kwargs)

    def _dispatch_authorization(
        self, request: HttpRequest, user_code: str, device_code: str, client: Client
    ) -> HttpResponse:
        if request.method == "POST":
            remember_proof(device_code, proof(request), DEVICE_SECONDS)
        response: HttpResponse = super()._dispatch_authorization(request, user_code, device_code, client)
        return response


def _granted_before(self: Any, client_id: str, code: str, request: Any, *args: Any, **kwargs: Any) -> str | None:
    """oauthlib 4 asks whether the person has agreed. allauth has looked before, and then named them in the request."""
    return DeviceCodeGrant.DEVICE_CODE_AUTHORIZED if getattr(request, "user", None) is not None else None


def _rotates(self: Any, request: Any) -> bool:
    """Not for programs: openEO's client goes on all day with the refresh token that it began with."""
    return bool(request.client.type != Client.Type.PUBLIC)


OAuthLibRequestValidator.rotate_refresh_token = _rotates
if not hasattr(OAuthLibRequestValidator, "validate_device_code"):  # allauth 65.21 was written for oauthlib 3
    OAuthLibRequestValidator.validate_device_code = _granted_before


def refusal(request: HttpRequest) -> HttpResponse | None:
    """Why a token request by device code is refused before it is looked at further: no answer to the challenge."""
    challenge = str(cache.get(_key(request.POST.get("device_code", ""))) or "")
    verifier = request.POST.get("code_verifier", "")
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    if not _VERIFIER.fullmatch(verifier) or not challenge or not hmac.compare_digest(digest, challenge):
        return _refused("the code_verifier does not answer the challenge", "invalid_grant")
    return None


def _key(code: str) -> str:
    return f"bdap.device.{fingerprint(code)}"


def _refused(sentence: str, error: str = "invalid_request") -> HttpResponse:
    return JsonResponse({"error": error, "error_description": sentence}, status=400)
