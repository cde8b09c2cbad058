"""The error tree of the platform: what a person may read, the HTTP status, and what to do about it.

BdapError
├── BadRequest        400  something sent is wrong: names the value and the remedy
├── NotLoggedIn       401  no valid session or token
├── NotAllowed        403  known person, refused: carries the decision's reason
│   ├── StepUp        403  a stronger or fresher login is missing: carries the address where one gets it
│   └── TokenInvalid  403  an access token of the provider that is not, or no longer, good here
├── NotFound          404  no such thing, or one may not know that it exists
├── Conflict          409  the thing is in another state than the request needs
├── TooMuch           413  larger than a stated limit
├── Busy              429  try again in `retry_after` seconds
├── Unavailable       503  a part the request needs is down
└── BadSettings       500  the operator's settings are wrong; stops the start
"""

from __future__ import annotations


class BdapError(Exception):
    """A failure with a public sentence (`message`), never holding a secret or a stack, and a `remedy`."""

    status = 500
    code = "Internal"

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def public(self) -> dict[str, str]:
        """The body sent to clients; `code` and `message` as the openEO API names them."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy}


class BadRequest(BdapError):
    status = 400
    code = "BadRequest"


class NotLoggedIn(BdapError):
    status = 401
    code = "AuthenticationRequired"


class NotAllowed(BdapError):
    status = 403
    code = "PermissionsInsufficient"


class StepUp(NotAllowed):
    """`address` is the page that asks for the missing login, and leads back from there."""

    code = "StepUpRequired"

    def __init__(self, message: str, remedy: str, address: str) -> None:
        super().__init__(message, remedy)
        self.address = address

    def public(self) -> dict[str, str]:
        """With the address as `step_up`."""
        return {**super().public(), "step_up": self.address}


class TokenInvalid(NotAllowed):
    """openEO's clients get themselves a new token when they read this code."""

    code = "TokenInvalid"


class NotFound(BdapError):
    status = 404
    code = "NotFound"


class Conflict(BdapError):
    status = 409
    code = "Conflict"


class TooMuch(BdapError):
    status = 413
    code = "TooLarge"


class Busy(BdapError):
    status = 429
    code = "Busy"

    def __init__(self, message: str, remedy: str = "", retry_after: int = 1) -> None:
        super().__init__(message, remedy)
        self.retry_after = retry_after


class Unavailable(BdapError):
    status = 503
    code = "Unavailable"


class BadSettings(BdapError):
    code = "BadSettings"
