"""Who somebody is: OpenID Connect with proven MFA, and the check of every id_token.

Decides nothing about what a person may use: that is `access`.
"""

from .authenticator import EULoginAuthenticator
from .config import configure
from .id_token import Expected, IdToken, LoginRefused, validate
from .kept import access_token

__all__ = ["EULoginAuthenticator", "Expected", "IdToken", "LoginRefused", "access_token", "configure", "validate"]
