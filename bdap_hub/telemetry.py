"""Logs of our services: one line an event, secrets cut out before anything is written."""

from __future__ import annotations

import logging
import re

_SECRET = re.compile(
    r"(?i)((?:access_token|id_token|refresh_token|client_secret|code|code_verifier|state|ticket|sig|token|password)"
    r"[\"']?\s*[=:]\s*[\"']?)[^\s&\"',;}]+"
)
_BEARER = re.compile(r"(?i)\b(bearer|token|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


def redact(text: str) -> str:
    """`text` without tokens, codes, passwords and signed tickets."""
    text = _JWT.sub("[redacted]", text)
    text = _BEARER.sub(r"\1 [redacted]", text)
    return _SECRET.sub(r"\1[redacted]", text)


class Redact(logging.Filter):
    """Redacts a record's finished message in place."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True: nothing is dropped, only cleaned."""
        record.msg, record.args = redact(record.getMessage()), ()
        return True


def set_up(level: int = logging.INFO) -> None:
    """Log to standard error through the redacting filter, also what libraries log."""
    handler = logging.StreamHandler()
    handler.addFilter(Redact())
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("httpx").setLevel(logging.WARNING)
