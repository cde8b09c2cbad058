"""Letters to people: plain text, through SMTP, or as files in `<var>/mail` where no server is named.

A letter that cannot be sent is logged and recorded; nothing waits for it and nothing fails with it.
"""

from __future__ import annotations

import logging
import os
import secrets
import smtplib
import ssl
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from functools import cache
from typing import Any

from sqlalchemy.orm import sessionmaker

from .. import audit
from ..errors import BadSettings
from ..settings import MailSettings, Settings

TIMEOUT_SECONDS = 20
PASSWORD = "smtp-password"  # noqa: S105  a secret's name
_log = logging.getLogger(__name__)
# What went wrong, most particular first; anything else is `mail-failed`.
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (ssl.SSLError, "mail-tls"),
    (smtplib.SMTPNotSupportedError, "mail-tls"),
    (smtplib.SMTPAuthenticationError, "mail-login"),
    (smtplib.SMTPRecipientsRefused, "mail-recipient"),
    (smtplib.SMTPException, "mail-server"),
    (OSError, "mail-unreachable"),
    (BadSettings, "mail-settings"),
    (ValueError, "mail-address"),
    (MessageError, "mail-address"),
)


@dataclass(frozen=True)
class Letter:
    """A letter to the account `person` at the address `to`. `text` is plain, with lines as they shall stand."""

    person: str
    to: str
    subject: str
    text: str


def message(settings: Settings, letter: Letter) -> EmailMessage:
    """The letter as it travels; ValueError or MessageError if an address or the subject could be read as headers."""
    made = EmailMessage()
    made["From"] = settings.mail.sender
    made["To"] = Address(addr_spec=letter.to)
    made["Subject"] = letter.subject
    made["Date"] = format_datetime(datetime.now(UTC))
    made["Message-ID"] = make_msgid(domain=settings.mail.sender.rpartition("@")[2].rstrip(">"))
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(letter.text)
    return made


def deliver(settings: Settings, store: sessionmaker[Any], letters: Iterable[Letter]) -> int:
    """Send each letter, waiting for the server; how many went out. Never raises: a failure is logged and recorded."""
    sent = 0
    for letter in letters:
        try:
            _send(settings, message(settings, letter))
            sent += 1
        except Exception as error:  # whatever it is, the decision that the letter tells of stands
            reason = next((code for kind, code in _REASONS if isinstance(error, kind)), "mail-failed")
            _log.warning("a letter to %s was not sent (%s): %s", letter.person, reason, type(error).__name__)
            audit.record(
                store, person=letter.person, action="mail", subject=letter.subject, allowed=False, reason=reason
            )
    return sent


def in_background(settings: Settings, store: sessionmaker[Any], letters: Iterable[Letter]) -> None:
    """`deliver` later: the hub's event loop does not wait for it."""
    if waiting := tuple(letters):
        later(deliver, settings, store, waiting)


def later(work: Callable[..., object], *arguments: object) -> None:
    """Do this in the one thread that all letters share, so that a slow server holds up nothing else."""
    _thread().submit(work, *arguments).add_done_callback(_report)


def check(settings: Settings) -> None:
    """BadSettings where the server wants a password that is not there."""
    if settings.mail.host and settings.mail.user:
        settings.secret(PASSWORD)


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "letters")


def _report(done: Future[object]) -> None:
    if error := done.exception():
        _log.error("letters were not written: %s", error)


def _send(settings: Settings, letter: EmailMessage) -> None:
    if not settings.mail.host:
        return _write(settings, letter)
    with _connected(settings.mail) as server:
        if settings.mail.user:
            server.login(settings.mail.user, settings.secret(PASSWORD))
        server.send_message(letter)


def _connected(mail: MailSettings) -> smtplib.SMTP:
    """A connection to the server, its certificate verified unless `security` is none."""
    if mail.security == "tls":
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=TIMEOUT_SECONDS, context=ssl.create_default_context())
    server = smtplib.SMTP(mail.host, mail.port, timeout=TIMEOUT_SECONDS)
    if mail.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server


def _write(settings: Settings, letter: EmailMessage) -> None:
    folder = settings.var / "mail"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}.eml"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(letter.as_bytes())
