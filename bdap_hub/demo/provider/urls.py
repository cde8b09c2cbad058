"""The provider's addresses: log in, second factor, enrolment, log out, and OpenID Connect. Nothing else of allauth."""

from __future__ import annotations

from allauth.account import views as account
from allauth.mfa.base import views as mfa
from django.urls import include, path

from . import views
from .authorize import Authorize
from .device import DeviceAuthorization, DeviceCode
from .logout import Logout
from .tokens import Tokens

urlpatterns = [
    path("", views.home, name="home"),
    path("static/<str:name>", views.style, name="style"),
    path("login/", account.login, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
    path("second-factor/", mfa.authenticate, name="mfa_authenticate"),
    path("enrol/", views.Enrol.as_view(), name="mfa_activate_totp"),
    path("identity/o/authorize", Authorize.as_view()),
    path("identity/o/api/token", Tokens.as_view()),
    path("identity/o/logout", Logout.as_view()),
    path("identity/o/device", DeviceAuthorization.as_view()),
    path("identity/o/api/device/code", DeviceCode.as_view()),
    path("", include("allauth.idp.urls")),
]
