"""The provider's database: migrated when needed, with our client and the demo's accounts in it. Idempotent."""

from __future__ import annotations

import os
from pathlib import Path

from ...settings import Settings
from .accounts import Account, read_accounts
from .conf import SCOPES


def ensure(settings: Settings) -> None:
    """Bring the database to where this version needs it. Django has to be set up."""
    _migrate(settings.var / "provider")
    _ensure_client(settings)
    _ensure_public_client(settings)
    for account in read_accounts(settings):
        _ensure_account(account)


def _migrate(folder: Path) -> None:
    import allauth
    import django
    from django.core.management import call_command

    stamp, version = folder / "migrated", f"django {django.__version__}, allauth {allauth.__version__}"
    if stamp.exists() and stamp.read_text() == version and (folder / "provider.sqlite").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    os.close(os.open(folder / "provider.sqlite", os.O_CREAT, 0o600))
    call_command("migrate", verbosity=0, interactive=False)
    stamp.write_text(version)


def _ensure_client(settings: Settings) -> None:
    from allauth.idp.oidc.models import Client
    from django.contrib.auth.hashers import make_password

    from .hashers import RandomSecretHasher

    client = Client.objects.filter(id=settings.identity.client_id).first() or Client(id=settings.identity.client_id)
    client.name, client.type, client.skip_consent = settings.hub.platform_name, Client.Type.CONFIDENTIAL, True
    client.set_scopes(list(SCOPES))
    client.set_grant_types([Client.GrantType.AUTHORIZATION_CODE, Client.GrantType.REFRESH_TOKEN])
    client.set_redirect_uris([f"{settings.hub.public_url}/hub/oauth_callback"])
    client.set_post_logout_redirect_uris([f"{settings.hub.public_url}/hub/logout"])
    client.secret = make_password(settings.secret("oidc-client-secret"), hasher=RandomSecretHasher.algorithm)
    client.save()


def _ensure_public_client(settings: Settings) -> None:
    """For programs on people's own machines: no secret, no address to return to, and people are asked."""
    from allauth.idp.oidc.models import Client

    name = settings.identity.public_client_id
    if not name:
        return
    client = Client.objects.filter(id=name).first() or Client(id=name)
    client.name, client.type = f"a program for {settings.hub.platform_name}", Client.Type.PUBLIC
    client.skip_consent = False
    client.set_scopes(list(SCOPES))
    client.set_grant_types([Client.GrantType.DEVICE_CODE, Client.GrantType.REFRESH_TOKEN])
    client.set_redirect_uris([])
    client.save()


def _ensure_account(account: Account) -> None:
    """Create what is missing. A password or an authenticator that is there stays; name and groups follow the file."""
    from allauth.account.models import EmailAddress
    from allauth.mfa.models import Authenticator
    from allauth.mfa.utils import encrypt
    from django.contrib.auth.models import Group, User

    user, created = User.objects.get_or_create(username=account.name)
    if created:
        user.set_password(account.password)
    user.first_name, _, user.last_name = account.full_name.partition(" ")
    user.email = f"{account.name}@demo.invalid"
    user.save()
    EmailAddress.objects.get_or_create(user=user, email=user.email, defaults={"primary": True, "verified": True})
    user.groups.set([Group.objects.get_or_create(name=name)[0] for name in account.groups])
    totp = Authenticator.Type.TOTP
    if account.totp_secret and not Authenticator.objects.filter(user=user, type=totp).exists():
        Authenticator.objects.create(user=user, type=totp, data={"secret": encrypt(account.totp_secret)})
