"""Who is let in on what terms, and how the platform writes to people."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from .section import Section


class RegistrationSettings(Section):
    """Who is let in at the first login, and on what terms."""

    required: bool | None = Field(
        None,
        description="A first login asks for a project; an admin or its lead approves. None: in production, yes; in the "
        "demo, no.",
    )
    auto_approve: bool = Field(
        True, description="Whom the provider puts in a project's or the admins' group is approved at each login."
    )
    terms: Path | None = Field(None, description="The terms of use, a text file, to be accepted with the request.")
    terms_version: str = Field("1", description="Who accepted an earlier version is asked again.")
    days: int = Field(365, gt=0, description="An approval lasts this long unless the approver says otherwise.")


class MailSettings(Section):
    """How the platform writes to people. Without a server, letters are files in `<var>/mail`."""

    host: str = Field("", description="SMTP server; empty: write files.")
    port: int = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = Field("", description="The password is the secret `smtp-password`.")
    sender: str = Field(
        "BDAP Hub <noreply@localhost>", pattern=r"^([^\r\n<>@]*<[^\s<>@]+@[^\s<>@]+>|[^\s<>@]+@[^\s<>@]+)$"
    )

    @model_validator(mode="after")
    def _private(self) -> Self:
        if self.user and self.security == "none":
            raise ValueError("user is set and security is 'none': the password would travel in the clear")
        return self
