"""How the platform's own registry knows the engine: by an account in a secret file, read anew for each pull."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

CREDENTIALS = "registry-credentials"  # user:password


@dataclass(frozen=True)
class Login:
    """`registry` as in spawning.registry; `secrets`: the folder of the install's secrets."""

    registry: str = ""
    secrets: Path = Path()

    def of(self, reference: str) -> dict[str, str] | None:
        """For docker-py, where `reference` is in that registry and there is an account; nobody else is shown it."""
        host, file = self.registry.partition("/")[0], self.secrets / CREDENTIALS
        if not host or not reference.startswith(f"{host}/") or not file.is_file():
            return None
        user, _, password = file.read_text().strip().partition(":")
        return {"username": user, "password": password}
