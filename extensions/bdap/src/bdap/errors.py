"""What can go wrong, as sentences: the cause, and what to do about it. Never holds a token."""

from __future__ import annotations


class BdapError(Exception):
    """A failure that says its cause (`message`) and what to do next (`remedy`)."""

    def __init__(self, message: str, remedy: str = "", code: str = "", status: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.code = code
        self.status = status

    def __str__(self) -> str:
        return f"{self.message}\nWhat to do: {self.remedy}" if self.remedy else self.message

    def _render_traceback_(self) -> list[str]:
        """IPython shows these lines instead of a long traceback through this library."""
        return [f"{type(self).__name__}: {self}"]


class NotConfigured(BdapError):
    """An address or a token is missing in the environment."""


class NotReachable(BdapError):
    """A service of the platform does not answer."""


class ServiceError(BdapError):
    """A service answered with an error; its own message and remedy are passed on."""


class BadCube(BdapError):
    """An operation on a cube makes no sense: the message names it."""
