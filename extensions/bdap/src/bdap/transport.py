"""Requests to the platform's services, with the token and addresses found in the environment.

Inside a notebook server or a dashboard all of it is set; elsewhere the errors name the missing variable.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import httpx

from .errors import NotConfigured, NotReachable, ServiceError, remedy_of

TOKENS = ("BDAP_TOKEN", "JUPYTERHUB_API_TOKEN")
TRIES = 4
"""How often a service that says it is busy (429) is asked."""


class Transport:
    """Asks services by name. Safe to use from several threads; keeps one connection pool."""

    def __init__(
        self, token: str = "", processing: str = "", catalogue: str = "", timeout: float = 60, hub: str = ""
    ) -> None:
        self._token = token
        self._hub = hub.rstrip("/")
        self._urls = {"processing": processing, "catalogue": catalogue}
        self._timeout = timeout
        self._pools: dict[bool, httpx.Client] = {}
        self._lock = threading.Lock()

    def call(self, service: str, method: str, path: str, seconds: float = 0, **options: Any) -> dict[str, Any]:
        """What a service answers, as JSON; BdapError with its own words where it refuses."""
        answer = self.send(service, method, path, seconds, **options)
        return dict(answer.json()) if answer.content else {}

    _call = call

    def send(self, service: str, method: str, path: str, seconds: float = 0, **options: Any) -> httpx.Response:
        """The whole answer, which may take so many seconds (0: as the client was told)."""
        with self.stream(service, method, path, seconds, **options) as answer:
            answer.read()
            return answer

    @contextmanager
    def stream(
        self, service: str, method: str, path: str, seconds: float = 900, **options: Any
    ) -> Iterator[httpx.Response]:
        """The answer piece by piece, for files."""
        base = self._url(service)
        given = options.pop("headers", {})
        headers = {"Authorization": f"Bearer {self._find_token()}", "Accept": "application/json", **given}
        with self._answer(service, base, method, base + path, seconds, headers=headers, **options) as answer:
            yield answer

    @contextmanager
    def open(self, address: str, seconds: float = 900) -> Iterator[httpx.Response]:
        """What lies behind a signed address of the processing service; the token is not sent.

        It is asked for where this client finds the service: the address is written for browsers elsewhere.
        """
        base, _, path = self._url("processing"), *address.partition("/services/processing")[1:]
        with self._answer("processing", base, "GET", f"{base}{path}", seconds) as answer:
            yield answer

    @contextmanager
    def _answer(
        self, service: str, base: str, method: str, url: str, seconds: float, **options: Any
    ) -> Iterator[httpx.Response]:
        # A plain http address is the platform's inside: no proxy of the environment may see the token.
        pool = self._pool(trust_env=base.startswith("https:"))
        timeout = httpx.Timeout(self._timeout, read=seconds or self._timeout)
        try:
            for attempt in range(TRIES):
                answer = pool.send(pool.build_request(method, url, timeout=timeout, **options), stream=True)
                if answer.status_code != 429 or attempt == TRIES - 1:
                    break
                answer.close()
                time.sleep(_patience(answer))
            with closing(answer):
                if not answer.is_success:
                    answer.read()
                    raise _refusal(service, answer)
                yield answer
        except httpx.TimeoutException:
            raise NotReachable(
                f"the {service} service did not answer within {seconds or self._timeout:g} s",
                "try a smaller area or fewer dates, or again in a moment",
            ) from None
        except httpx.HTTPError as error:
            raise NotReachable(
                f"the {service} service at {base} does not answer ({type(error).__name__})",
                "try again in a moment; if it stays so, tell the operators of the platform",
            ) from None

    def _url(self, service: str) -> str:
        name = f"BDAP_{service.upper()}_URL"
        url = self._urls.get(service, "") or (f"{self._hub}/services/{service}" if self._hub else "")
        url = url or os.environ.get(name, "")
        if not url:
            raise NotConfigured(
                f"the address of the {service} service is not known",
                f"set {name}; inside a notebook server of the platform it is set already",
            )
        return url.rstrip("/")

    def _find_token(self) -> str:
        for token in (self._token, *(os.environ.get(name, "") for name in TOKENS)):
            if token:
                return token
        raise NotConfigured(
            "there is no token to log in with",
            "inside a notebook server of the platform it is found by itself; elsewhere make one on the hub's "
            "token page and set BDAP_TOKEN",
        )

    def __reduce__(self) -> Any:
        """Other processes (dask's workers) get the same addresses and token, and connections of their own."""
        return type(self), (self._token, self._urls["processing"], self._urls["catalogue"], self._timeout, self._hub)

    def _pool(self, trust_env: bool) -> httpx.Client:
        with self._lock:
            if trust_env not in self._pools:
                self._pools[trust_env] = httpx.Client(timeout=self._timeout, trust_env=trust_env)
            return self._pools[trust_env]


def _patience(answer: httpx.Response) -> float:
    """Seconds that a busy service asks to wait, within reason."""
    try:
        return min(max(float(answer.headers.get("Retry-After", 1)), 0), 10)
    except ValueError:
        return 1.0


def _refusal(service: str, answer: httpx.Response) -> ServiceError:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    message = body.get("message") or f"the {service} service answered with status {answer.status_code}"
    code = str(body.get("code", ""))
    remedy = remedy_of(code, str(body.get("remedy") or "")) or _REMEDIES.get(answer.status_code, "")
    return ServiceError(str(message), remedy, code, answer.status_code)


_REMEDIES = {
    401: "the token is missing or has expired: restart the server, or make a new token on the hub's token page",
    403: "ask the owner of the data or of the project for access",
    502: "the service is starting or down: try again in a moment",
    503: "the service is starting or down: try again in a moment",
}
