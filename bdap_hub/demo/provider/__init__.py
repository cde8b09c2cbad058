"""The demo's OpenID provider on django-allauth: password and TOTP, on the loopback interface only.

Stands in for EU Login on one machine; refuses to start in production. Django is imported when it starts, not before.
"""

from .accounts import Account, provision
from .operators import change_groups, disable, enable, end_sessions
from .server import main

__all__ = ["Account", "change_groups", "disable", "enable", "end_sessions", "main", "provision"]
