"""One TLS context for the tests' HTTP clients that ask for nothing special: each takes 30 ms of processor time to make,
and the tests make thousands of clients."""

from __future__ import annotations

import os
import ssl
from functools import cache
from typing import Any

from httpx import _config
from httpx._transports import default

_make = _config.create_ssl_context


@cache
def _usual(trust_env: bool, file: str, folder: str) -> ssl.SSLContext:
    return _make(trust_env=trust_env)


def _shared(verify: Any = True, cert: Any = None, trust_env: bool = True) -> ssl.SSLContext:
    if verify is not True or cert is not None:
        return _make(verify, cert, trust_env)
    return _usual(trust_env, os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))


default.create_ssl_context = _shared
