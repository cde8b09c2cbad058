"""The Django project of the demo's provider: its settings as a function of ours."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from ...errors import BadSettings
from ...settings import Settings
from .accounts import TOTP_ISSUER

HERE = Path(__file__).parent
LOOPBACK = ("localhost", "127.0.0.1", "::1")
SCOPES = ("openid", "profile", "email", "groups", "offline_access")
CODE_SECONDS = 60
ACCESS_SECONDS = 600
SESSION_SECONDS = 8 * 3600
DEVICE_SECONDS = 300


def check(settings: Settings) -> tuple[str, int]:
    """Host and port of the issuer; BadSettings in production, and for an issuer that is not on this machine."""
    if settings.environment == "production":
        raise BadSettings(
            "the demo's login provider does not start in production", "point identity.issuer to EU Login or your own"
        )
    parts = urlsplit(settings.identity.issuer)
    if parts.scheme != "http" or parts.hostname not in LOOPBACK or parts.path:
        raise BadSettings(
            f"identity.issuer is {settings.identity.issuer!r}; the demo's login provider listens on loopback only",
            "use for instance http://localhost:8010",
        )
    return str(parts.hostname), parts.port or 80


def set_up(settings: Settings) -> None:
    """Configure Django for this process, once."""
    import django
    from django.conf import settings as django_settings

    if not django_settings.configured:
        django_settings.configure(**django_project(settings))
        django.setup()


def django_project(settings: Settings) -> dict[str, Any]:
    """Django's and allauth's settings."""
    host, _ = check(settings)
    folder = settings.var.resolve() / "provider"
    return {
        "BDAP": settings,
        "DEBUG": False,
        "SECRET_KEY": hmac.new(settings.secret("signing").encode(), b"demo provider", hashlib.sha256).hexdigest(),
        "ALLOWED_HOSTS": [host],
        "ROOT_URLCONF": "bdap_hub.demo.provider.urls",
        "DATABASES": {"default": _database(folder / "provider.sqlite")},
        "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
        "CACHES": {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
        "PASSWORD_HASHERS": [
            "django.contrib.auth.hashers.ScryptPasswordHasher",
            "bdap_hub.demo.provider.hashers.RandomSecretHasher",
        ],
        "AUTHENTICATION_BACKENDS": ["allauth.account.auth_backends.AuthenticationBackend"],
        "EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend",
        "USE_TZ": True,
        **_apps(),
        **_cookies(),
        **_headers(settings),
        **_allauth(folder),
    }


def _database(path: Path) -> dict[str, Any]:
    # A transaction that reads first and writes then would fail, not wait, beside another that does the same.
    options = {"transaction_mode": "IMMEDIATE", "timeout": 20}
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(path), "OPTIONS": options}


def _apps() -> dict[str, Any]:
    contexts = ("request", "auth", "messages")
    return {
        "INSTALLED_APPS": [
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
            "allauth",
            "allauth.account",
            "allauth.mfa",
            "allauth.idp.oidc",
        ],
        "MIDDLEWARE": [
            "django.middleware.security.SecurityMiddleware",
            "django.middleware.csp.ContentSecurityPolicyMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
            "allauth.account.middleware.AccountMiddleware",
        ],
        "TEMPLATES": [
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "DIRS": [HERE / "templates"],
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.template.context_processors.request",
                        *(f"django.contrib.{c}.context_processors.{c}" for c in contexts[1:]),
                        "bdap_hub.demo.provider.views.platform",
                    ]
                },
            }
        ],
    }


def _cookies() -> dict[str, Any]:
    # A browser sends localhost's cookies to every port, so the names must be ours alone.
    return {
        "SESSION_COOKIE_NAME": "bdap_demo_provider",
        "SESSION_COOKIE_AGE": SESSION_SECONDS,
        "SESSION_EXPIRE_AT_BROWSER_CLOSE": True,
        "CSRF_COOKIE_NAME": "bdap_demo_provider_csrf",
        "CSRF_COOKIE_HTTPONLY": True,
    }


def _headers(settings: Settings) -> dict[str, Any]:
    # Browsers apply form-action to the whole chain of redirects after a form: to the hub, a server or a dashboard.
    hub, dashboards = urlsplit(settings.hub.public_url), urlsplit(settings.dashboards.origin)
    below = [f"{one.scheme}://*.{one.netloc}" for one in ([hub] if settings.hub.has_subdomains else []) + [dashboards]]
    then = ["'self'", settings.hub.public_url, *below]
    return {
        "X_FRAME_OPTIONS": "DENY",
        "SECURE_CSP": {
            "default-src": ["'self'"],
            "img-src": ["'self'", "data:"],
            "form-action": then,
            "base-uri": ["'self'"],
            "object-src": ["'none'"],
            "frame-ancestors": ["'none'"],
        },
    }


def _allauth(folder: Path) -> dict[str, Any]:
    return {
        "LOGIN_URL": "account_login",
        "LOGIN_REDIRECT_URL": "/",
        "ACCOUNT_LOGOUT_REDIRECT_URL": "/",
        "ACCOUNT_ADAPTER": "bdap_hub.demo.provider.adapters.AccountAdapter",
        "ACCOUNT_LOGIN_METHODS": {"username"},
        "ACCOUNT_EMAIL_VERIFICATION": "none",
        "ACCOUNT_SESSION_REMEMBER": False,
        # Everybody comes from the one loopback address, so that what counts is the tries for an account.
        "ACCOUNT_RATE_LIMITS": {"login": "600/m/ip", "login_failed": "200/m/ip,5/300s/key"},
        "MFA_SUPPORTED_TYPES": ["totp"],
        "MFA_TOTP_ISSUER": TOTP_ISSUER,
        # A used code is remembered for one period only: a wider tolerance would let it be used twice.
        "MFA_TOTP_TOLERANCE": 0,
        # Nobody can remove a second factor here (there is no such page), so adding the first needs no second password.
        "MFA_REAUTHENTICATION_REQUIRED": False,
        "MFA_ALLOW_UNVERIFIED_EMAIL": True,
        "IDP_OIDC_ADAPTER": "bdap_hub.demo.provider.adapters.OIDCAdapter",
        "IDP_OIDC_PRIVATE_KEY": signing_key(folder / "signing-key.pem"),
        "IDP_OIDC_AUTHORIZATION_CODE_EXPIRES_IN": CODE_SECONDS,
        "IDP_OIDC_ACCESS_TOKEN_EXPIRES_IN": ACCESS_SECONDS,
        "IDP_OIDC_REFRESH_TOKEN_EXPIRES_IN": SESSION_SECONDS,
        "IDP_OIDC_DEVICE_CODE_EXPIRES_IN": DEVICE_SECONDS,
        "IDP_OIDC_USER_CODE_FORMAT": {"numeric": False, "dashed": True, "length": 8},
        # The platform asks about the tokens of the programs' client; see adapters.py.
        "IDP_OIDC_INTROSPECTION_ENABLED": True,
        "IDP_OIDC_INTROSPECTION_CROSS_CLIENT_ALLOWED": True,
        # One hub asks for everybody, and everybody comes from the loopback address; a code has 20^8 possible values.
        "IDP_OIDC_RATE_LIMITS": {
            "introspect_ip": "6000/m/ip",
            "introspect_client": "6000/m/key",
            "device_user_code": "60/m/ip",
        },
    }


def signing_key(path: Path) -> str:
    """The RSA key that signs id_tokens, drawn at the first start and kept with mode 600."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        pem = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(pem)
    return path.read_text()
