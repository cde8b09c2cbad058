"""Logs of our services and of the hub: secrets are cut out before anything is written."""

from __future__ import annotations

import logging
import re
import sys
import threading
from types import TracebackType
from typing import Any

LONGEST = 16_384  # characters of a record; nobody outside makes our logs longer
CUT = "[redacted]"

# Where a name may begin: not inside a word, but after %3F, %26 and %22 (?, & and " in URLs within URLs).
_BEGIN = r"(?:(?<![A-Za-z0-9])|(?<=%3F)|(?<=%26)|(?<=%22)|(?<=%27)|(?<=%253F)|(?<=%2526)|(?<=%2522))"
# Names of secrets wherever they stand, also with something before them (JUPYTERHUB_API_TOKEN, hub-cookie-secret).
_NAME = (
    r"(?:[a-z0-9_.-]{0,40}(?:token|secret|passw(?:or)?d|passphrase|assertion|verifier|xsrf|csrf|session[_-]?id|"
    r"session[_-]?state|token[_-]?hint|cookie[_-]?id|api[_-]?key|crypt[_-]?key|private[_-]?key|credentials?)"
    r"|csrfmiddlewaretoken|saml(?:request|response)|sessionid|(?:user|device)_code|recovery[_-]codes?|bdap-login-[\w-]+)"
)
# Words that are secret as a parameter's name only: code=…, "state": …; never "exit code: 1", "state: ready".
_WORD = r"(?:code|state|nonce|ticket|sig|otp|totp|auth|jti|sid)"
_QUOTE = r"(?:%22|%27|%2522|\\?[\"'])"
_RANDOM = r"(?=[^\s&\"']{0,64}\d|[^\s&\"']{16})"  # has a digit, or is long: not "ready", not "NotAllowed"
_VALUE = r"(?!\[?redacted\])(?:(?!%26|%2526|%22|%2522|%23)[^\s&\"'<>,;(){}\]\\])+"
# Between name and value of JSON or a dictionary; the value may be first in a list of bytes, as tornado keeps arguments.
_COLON = rf"{_QUOTE}(?:\s|%20)*(?::|%3A|%253A)(?:\s|%20|\+)*\[?\s*b?{_QUOTE}"

_RULES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, flags), replacement)
    for pattern, flags, replacement in (
        (r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL, CUT),
        (r"otpauth(?::|%3A)[^\s\"'<>]+", re.I, f"otpauth:{CUT}"),
        # JSON Web Tokens, and what else is JSON in base64url
        (r"\beyJ[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)*", 0, CUT),
        # headers: "Cookie": "…" of a dump, (b'cookie', b'…') of a raw list, Cookie: … of a plain line
        (
            r"((?:proxy-)?authorization|(?:set-)?cookie|x-[xc]srf-?token|x-api-key)(\\?[\"']\s*[:,]\s*b?)(\\?[\"'])"
            r"(?:\\.|(?!\3).)*(?:\3|$)",
            re.I | re.M,
            rf"\1\2\3{CUT}\3",
        ),
        (r"\b((?:proxy-)?authorization|(?:set-)?cookie|x-[xc]srf-?token|x-api-key)(:\s+)[^\r\n]+", re.I, rf"\1\2{CUT}"),
        # what JupyterHub's XSRF tokens are bound to: a session's cookie, and more
        (r"\bb'[0-9a-f]{32}:[^']*'", 0, CUT),
        # tornado's signed values: a cookie
        (r"\b2\|1:\d\|[^\s;,\"'\\]+", 0, CUT),
        (r"\b(bearer|token|basic|negotiate)(\s+|%20)(?=\S{0,64}\d|\S{20})[A-Za-z0-9._~+/=-]{8,}", re.I, rf"\1\2{CUT}"),
        # JupyterHub names what a protection token is bound to: the session cookie's value
        (
            r"(xsrf (?:cookie for|id mismatch) )b?(?:'[^']*'|\"[^\"]*\")(?: != b?(?:'[^']*'|\"[^\"]*\"))?",
            re.I,
            rf"\1{CUT}",
        ),
        # a password in an address: scheme://user:password@host
        (r"(://[^/\s:@\"']*):[^/\s@\"']+@", 0, rf"\1:{CUT}@"),
        # name=value of queries, forms and cookies, also percent-encoded; cookies may be quoted
        (rf"{_BEGIN}({_NAME})(\s?=\s?|%3D|%253D)(\[?b?{_QUOTE}?){_VALUE}", re.I, rf"\1\2\3{CUT}"),
        (rf"((?:[?&]|%3F|%26|%253F|%2526){_WORD}(?:=|%3D|%253D)){_VALUE}", re.I, rf"\1{CUT}"),
        (rf"{_BEGIN}({_WORD}(?:=|%3D|%253D){_QUOTE}?){_RANDOM}{_VALUE}(?<=\S{{10}})", re.I, rf"\1{CUT}"),
        # "name": "value" of JSON and of Python's dictionaries, also percent-encoded
        (rf"{_BEGIN}({_NAME}{_COLON}){_VALUE}", re.I, rf"\1{CUT}"),
        (rf"{_BEGIN}({_WORD}{_COLON}){_RANDOM}{_VALUE}", re.I, rf"\1{CUT}"),
        # name: value of plain text
        (rf"{_BEGIN}((?:{_NAME}|code|state|nonce):\s*){_RANDOM}{_VALUE}(?<=\S{{12}})", re.I, rf"\1{CUT}"),
    )
)
_BRACES = re.compile(r"\{(?:[^{}]|\{[^{}]*\})*\}")
_CLAIM = re.compile(
    r"\\?[\"'](?:iss|sub|aud|azp|exp|iat|nbf|auth_time|nonce|acr|amr|at_hash|sid|email|email_verified|given_name|"
    r"family_name|preferred_username)\\?[\"']\s*:"
)


def redact(text: str) -> str:
    """`text` without tokens, codes, passwords, cookies, signed tickets and sets of claims."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}… [{len(text) - LONGEST} more characters]"
    text = _BRACES.sub(_without_claims, text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def _without_claims(found: re.Match[str]) -> str:
    """What a provider says about a person is known by its claims' names, three or more in one set of braces."""
    return "{claims redacted}" if len(_CLAIM.findall(found[0])) >= 3 else found[0]


class Redact(logging.Filter):
    """Redacts a record's finished message and its traceback in place."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: nothing is dropped, only cleaned."""
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def set_up(level: int = logging.INFO) -> None:
    """Log to standard error through the redacting filter, also what libraries log and what nobody catches."""
    handler = logging.StreamHandler()
    handler.addFilter(Redact())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    sys.excepthook = _uncaught
    threading.excepthook = lambda thrown: _uncaught(thrown.exc_type, thrown.exc_value, thrown.exc_traceback)


def hub_logging() -> dict[str, Any]:
    """What makes JupyterHub's logs, its libraries' and ours in its process redacted (traitlets' `logging_config`)."""
    return {
        "filters": {"redact": {"()": f"{__name__}.{Redact.__name__}"}},
        "handlers": {"console": {"filters": ["redact"]}},
        # What does not belong to JupyterHub's own logger, such as ours and asyncio's.
        "root": {"level": "WARNING", "handlers": ["console"]},
        "loggers": {"bdap_hub": {"level": "INFO"}},
    }


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is not None and not issubclass(kind, KeyboardInterrupt | SystemExit):
        logging.getLogger("bdap").critical("stopped by an error", exc_info=(kind, error, trace))
