"""Letters: as files, and through a real SMTP server of this test, whose certificate is verified."""

from __future__ import annotations

import asyncio
import ssl
import stat
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest

from bdap_hub import audit, database, identity
from bdap_hub.errors import BadRequest, BadSettings
from bdap_hub.identity import mail
from bdap_hub.identity.letters import Letters
from bdap_hub.identity.mail import Letter
from bdap_hub.identity.tables import Account
from bdap_hub.settings import MailSettings, Settings
from tests.certificates import write_certificate

LETTER = Letter("nora", "nora@example.eu", "You are in project forest", "Dear Nora,\n\nçà marche.\n.\nBye\n")


@dataclass
class Server:
    """A small SMTP server (RFC 5321, STARTTLS of RFC 3207, AUTH PLAIN of RFC 4954) that keeps what it is sent."""

    tls: ssl.SSLContext
    implicit: bool = False
    offers_tls: bool = True
    refuses: str = ""
    port: int = 0
    letters: list[EmailMessage] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        secure = self.implicit

        def say(line: str) -> None:
            writer.write(f"{line}\r\n".encode())

        say("220 test ESMTP")
        while line := (await reader.readline()).decode().strip():
            verb = line.split(" ")[0].upper()
            self.seen.append(f"{'tls' if secure else 'clear'} {verb}")
            if self.refuses == verb:
                say("535 no" if verb == "AUTH" else "550 no")
            elif verb == "EHLO":
                say("250-test")
                say("250-AUTH PLAIN") if secure else None
                say("250-STARTTLS") if self.offers_tls and not secure else None
                say("250 8BITMIME")
            elif verb == "STARTTLS":
                say("220 go")
                await writer.drain()
                try:
                    await writer.start_tls(self.tls)
                except (OSError, ConnectionError):
                    return  # the client does not trust us
                secure = True
            elif verb == "DATA":
                say("354 go")
                data = await reader.readuntil(b"\r\n.\r\n")
                self.letters.append(message_from_bytes(data.replace(b"\r\n..", b"\r\n.")[:-3], policy=policy.default))
                say("250 taken")
            elif verb == "QUIT":
                say("221 bye")
                break
            else:
                say("235 yes" if verb == "AUTH" else "250 yes")
        writer.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost and its key, good for an hour."""
    return write_certificate(tmp_path_factory.mktemp("tls"), "localhost")


@pytest.fixture
def server(certificate: tuple[Path, Path], request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server, in a thread of its own; `indirect` parameters change it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    made = Server(context, **getattr(request, "param", {}))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> Any:
        return await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context if made.implicit else None)

    listening = asyncio.run_coroutine_threadsafe(start(), loop).result(5)
    made.port = listening.sockets[0].getsockname()[1]
    yield made
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


def through(settings: Settings, server: Server, **more: Any) -> Settings:
    return settings.model_copy(update={"mail": MailSettings(host="localhost", port=server.port, **more)})


def trust(monkeypatch: pytest.MonkeyPatch, certificate: tuple[Path, Path]) -> None:
    """As an operator trusts a certificate authority of their own (OpenSSL's SSL_CERT_FILE)."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


def last_event(settings: Settings) -> audit.Event | None:
    return next(iter(audit.latest(database.connect(settings.database), 1)), None)


def test_without_a_server_a_letter_is_a_private_file(settings: Settings) -> None:
    store = database.connect(settings.database)
    assert mail.deliver(settings, store, [LETTER, replace(LETTER, to="zoe@example.eu")]) == 2
    first, _ = sorted((settings.var / "mail").iterdir())
    assert stat.S_IMODE(first.stat().st_mode) == 0o600 and first.suffix == ".eml"
    assert stat.S_IMODE(first.parent.stat().st_mode) == 0o700
    letter = message_from_bytes(first.read_bytes(), policy=policy.default)
    assert (letter["To"], letter["Subject"]) == ("nora@example.eu", "You are in project forest")
    assert letter["Auto-Submitted"] == "auto-generated" and letter["Message-ID"].endswith("@localhost>")
    assert letter.get_content_type() == "text/plain" and letter.get_content() == LETTER.text
    assert last_event(settings) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"to": "nora@example.eu\nBcc: all@example.eu"},
        {"to": "nora@example.eu, all@example.eu"},
        {"to": "Nora <nora@example.eu>"},
        {"to": "nora"},
        {"to": ""},
        {"subject": "Hello\r\nBcc: all@example.eu"},
        {"subject": "Hello\nX: y"},
    ],
)
def test_no_header_can_be_smuggled_in(settings: Settings, changes: dict[str, str]) -> None:
    store = database.connect(settings.database)
    assert mail.deliver(settings, store, [replace(LETTER, **changes), LETTER]) == 1  # the control goes out
    (written,) = (settings.var / "mail").iterdir()
    assert b"all@example.eu" not in written.read_bytes()
    event = last_event(settings)
    assert (event.person, event.action, event.outcome, event.reason) == ("nora", "mail", "refused", "mail-address")


def test_a_body_makes_no_header(settings: Settings) -> None:
    text = "Hello\n\nBcc: all@example.eu\n.\nQUIT\n"
    mail.deliver(settings, database.connect(settings.database), [replace(LETTER, text=text)])
    (written,) = (settings.var / "mail").iterdir()
    letter = message_from_bytes(written.read_bytes(), policy=policy.default)
    assert letter["Bcc"] is None and letter.get_content() == text


@pytest.mark.parametrize("server", [{}, {"implicit": True}], indirect=True, ids=["starttls", "tls"])
def test_sent_through_a_server_whose_certificate_is_verified(
    settings: Settings, server: Server, certificate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    security = "tls" if server.implicit else "starttls"
    tree, store = through(settings, server, security=security, user="hub"), database.connect(settings.database)
    (settings.var / "secrets/smtp-password").write_text("s3cret")
    assert mail.deliver(tree, store, [LETTER]) == 0  # nobody vouches for that certificate yet
    assert last_event(settings).reason == "mail-tls" and server.letters == []
    assert "clear AUTH" not in server.seen and "clear MAIL" not in server.seen
    trust(monkeypatch, certificate)
    assert mail.deliver(tree, store, [LETTER]) == 1
    (letter,) = server.letters
    assert letter["To"] == "nora@example.eu" and letter.get_content().splitlines() == LETTER.text.splitlines()
    assert "tls AUTH" in server.seen and "tls DATA" in server.seen
    other = tree.model_copy(update={"mail": tree.mail.model_copy(update={"host": "127.0.0.1"})})
    assert mail.deliver(other, store, [LETTER]) == 0  # the certificate is localhost's, not the address's
    assert len(server.letters) == 1


@pytest.mark.parametrize(
    ("server", "reason"),
    [
        ({"offers_tls": False}, "mail-tls"),  # stripped on the way: no letter in the clear
        ({"refuses": "AUTH"}, "mail-login"),
        ({"refuses": "RCPT"}, "mail-recipient"),
        ({"refuses": "DATA"}, "mail-server"),
    ],
    indirect=["server"],
)
def test_what_a_server_refuses_is_recorded(
    settings: Settings, server: Server, certificate: Any, monkeypatch: pytest.MonkeyPatch, reason: str
) -> None:
    trust(monkeypatch, certificate)
    (settings.var / "secrets/smtp-password").write_text("s3cret")
    assert mail.deliver(through(settings, server, user="hub"), database.connect(settings.database), [LETTER]) == 0
    event = last_event(settings)
    assert (event.action, event.outcome, event.reason) == ("mail", "refused", reason)
    assert server.letters == []


def test_a_server_in_the_clear_where_the_operator_says_so(settings: Settings, server: Server) -> None:
    tree = through(settings, server, security="none")
    assert mail.deliver(tree, database.connect(settings.database), [LETTER]) == 1
    assert len(server.letters) == 1


def test_the_letter_of_a_broken_dashboard_goes_through_a_server(settings: Settings, server: Server) -> None:
    tree, store = through(settings, server, security="none"), database.connect(settings.database)
    author = Account(name="ana", email="ana@example.eu", display_name="Ana", standing="approved")
    assert mail.deliver(tree, store, Letters(tree, store).broken(author, "agriculture/crops", "memory")) == 1
    (letter,) = server.letters
    assert letter["To"] == "ana@example.eu" and letter["Subject"] == "BDAP Hub: Dashboard agriculture/crops is broken"
    assert (
        "needed more memory" in letter.get_content()
        and "/services/dashboards/d/agriculture/crops" in letter.get_content()
    )
    (refused,) = Letters(tree, store).broken(author, "agriculture/crops", "git-refused")
    assert refused.subject.endswith("agriculture/crops was not published") and "may not publish it" in refused.text
    with pytest.raises(BadRequest, match="is no reason"):
        Letters(tree, store).broken(author, "agriculture/crops", "git")


def test_a_server_that_is_away_fails_nothing(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    tree = settings.model_copy(update={"mail": MailSettings(host="127.0.0.1", port=1)})
    assert mail.deliver(tree, database.connect(settings.database), [LETTER]) == 0
    assert last_event(settings).reason == "mail-unreachable"
    assert "nora" in caplog.text and "nora@example.eu" not in caplog.text


async def test_the_event_loop_does_not_wait(settings: Settings) -> None:
    silent = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)  # never says a word
    port = silent.sockets[0].getsockname()[1]
    tree = settings.model_copy(update={"mail": MailSettings(host="127.0.0.1", port=port, security="none")})
    begun = time.monotonic()
    mail.in_background(tree, database.connect(settings.database), [LETTER])
    await asyncio.sleep(0.2)
    assert time.monotonic() - begun < 5  # half of what a letter waits for
    silent.close()
    silent.close_clients()  # the letter's thread ends, too


def test_a_missing_password_stops_the_hub_at_start(settings: Settings) -> None:
    from traitlets.config import Config

    tree = settings.model_copy(update={"mail": MailSettings(host="mail.example.eu", user="hub")})
    with pytest.raises(BadSettings, match="smtp-password"):
        identity.configure(Config(), tree)
    (settings.var / "secrets/smtp-password").write_text("s3cret")
    identity.configure(Config(), tree)


@pytest.mark.parametrize("text", [None, "", " \n \n"])
def test_terms_without_text_stop_the_hub_at_start(settings: Settings, text: str | None) -> None:
    from traitlets.config import Config

    path = settings.var / "terms.txt"
    if text is not None:
        path.write_text(text)
    tree = settings.model_copy(update={"registration": settings.registration.model_copy(update={"terms": path})})
    with pytest.raises(BadSettings, match=r"terms\.txt"):
        identity.configure(Config(), tree)
    path.write_text("Be kind.")
    identity.configure(Config(), tree)
