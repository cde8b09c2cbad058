"""How long somebody keeps what they hold without a yes of the provider, and whether its answers come in time."""

from __future__ import annotations

import logging
import time

from sqlalchemy.orm import sessionmaker

from ..settings import IdentitySettings
from . import people, sessions
from .id_token import LoginRefused
from .tables import Account, aware

log = logging.getLogger(__name__)
LATE_AGAIN_SECONDS = 60.0
"""Of late answers, one is told of in so long."""


def age(account: Account) -> float:
    """Seconds since the provider last said yes."""
    checked = aware(account.checked)
    return time.time() - checked.timestamp() if checked else float("inf")


class Patience:
    """One per hub. Whatever is borne raises nothing; LoginRefused once it has lasted too long."""

    def __init__(self, identity: IdentitySettings, store: sessionmaker) -> None:  # type: ignore[type-arg]
        self.identity, self.store = identity, store
        self._told_late = float("-inf")

    def silent(self, account: Account) -> None:
        """The provider does not answer. Counted from when it first did not: a hub that was down asked nobody."""
        self._bear(people.unanswered(self.store, account.name), self.identity.provider_grace, "has not answered")

    def unproven(self, account: Account, *, logged_out: bool) -> None:
        """Nothing is left that the provider could be asked with; `logged_out`: because all logins were ended.

        The shorter patience with those counts from the logout: some providers can never be asked again.
        """
        people.answered(self.store, account)
        lasted, what = age(account), "has not confirmed your login"
        self._bear(lasted, self.identity.unproven_hours * 3600, what, "not-confirmed")
        if logged_out:
            lasted = min(lasted, sessions.since_last_end(self.store, account.name))
            self._bear(lasted, self.identity.logged_out_hours * 3600, what, "not-confirmed")

    def answered(self, account: Account) -> None:
        """It has said yes or no to somebody who was `account` before; a warning where that was almost too late."""
        latest = self.identity.revocation_seconds - 2 * self.identity.cache_seconds
        late = account.unanswered is None and age(account) > latest
        if late and time.monotonic() > self._told_late + LATE_AGAIN_SECONDS:
            self._told_late = time.monotonic()
            log.warning(
                "the login provider's answer about %s came %.1f s after the one before: identity.revocation_seconds "
                "(%g) may have been exceeded. The hub was not running, or the provider is too slow for so many people",
                account.name,
                age(account),
                self.identity.revocation_seconds,
            )

    def _bear(self, lasted: float, patience: float, what: str, reason: str = "provider-down") -> None:
        if lasted >= patience:
            raise LoginRefused(reason, f"the login provider {what} for too long")
