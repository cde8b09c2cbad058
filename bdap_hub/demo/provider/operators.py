"""What the operators of a provider do, to try out revocation: lock people out, change groups, end sessions.

Works on the provider's database, whether it runs or not. One process does this for one install: Django is global.
"""

from __future__ import annotations

from typing import Any

from ...errors import BadRequest, NotFound
from ...settings import Settings
from . import conf


def disable(settings: Settings, name: str) -> bool:
    """Lock somebody out and end their sessions; whether the hub has been told at once."""
    person = _person(settings, name)
    person.is_active = False
    person.save()
    return end_sessions(settings, name)


def enable(settings: Settings, name: str) -> None:
    """Let somebody in again, with the password and authenticator they had."""
    person = _person(settings, name)
    person.is_active = True
    person.save()


def end_sessions(settings: Settings, name: str) -> bool:
    """End somebody's sessions and tokens; whether the hub has been told at once (by back-channel logout)."""
    person = _person(settings, name)
    from allauth.idp.oidc.models import Token
    from django.contrib.sessions.models import Session

    from .backchannel import tell

    for session in Session.objects.iterator():
        if session.get_decoded().get("_auth_user_id") == str(person.pk):
            session.delete()
    told = tell(name)  # before its tokens are worth nothing: the hub shall hear of it, not stumble over it
    Token.objects.filter(user=person).delete()
    return told


def change_groups(settings: Settings, name: str, changes: tuple[str, ...]) -> list[str]:
    """Add (+GROUP) and remove (-GROUP); all groups afterwards. The hub finds out by asking."""
    person = _person(settings, name)
    from django.contrib.auth.models import Group

    for change in changes:
        sign, group = change[:1], change[1:]
        if sign not in ("+", "-") or not group:
            raise BadRequest(f"{change!r} is no change of groups", "write +GROUP to add, -GROUP to remove")
    for change in changes:
        known, _ = Group.objects.get_or_create(name=change[1:])
        (person.groups.add if change[0] == "+" else person.groups.remove)(known)
    return sorted(person.groups.values_list("name", flat=True))


def _person(settings: Settings, name: str) -> Any:
    if not (settings.var / "provider" / "provider.sqlite").exists():
        raise NotFound(f"there is no login provider in {settings.var}", "start the demo once")
    conf.set_up(settings)
    from django.contrib.auth.models import User

    person = User.objects.filter(username=name).first()
    if person is None:
        raise NotFound(f"the login provider knows no {name!r}", "see the accounts in demo.json")
    return person
