"""This machine's own Docker engine, by its socket: what root's part asks of it. The standard library alone."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode

API = "/v1.41"
SECONDS = 20.0


class Failed(OSError):
    """The engine refused, in its own words."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__("engine", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Engine:
    """`path`: of its socket."""

    def __init__(self, path: str) -> None:
        self._path = path

    def _send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] = {}, seconds: float = SECONDS
    ) -> http.client.HTTPResponse:
        connection = _Connection(self._path, seconds)
        sent = {"Content-Type": "application/json", "Connection": "close", **headers}
        connection.request(method, f"{API}{path}", None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        if answer.status >= 400:
            said = answer.read().decode(errors="replace")
            raise Failed(0, f"the Docker engine refused ({answer.status}): {said[:300]}")
        return answer

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        with self._send(method, path, body) as answer:
            return json.loads(answer.read() or b"null")

    def container(self, container: str) -> dict[str, Any]:
        """What it knows of one."""
        return dict(self._ask("GET", f"/containers/{container}/json"))

    def containers(self, install: str) -> list[dict[str, Any]]:
        """Those of a platform that run."""
        filters = json.dumps({"label": [f"bdap.hub={install}"], "status": ["running"]})
        return list(self._ask("GET", f"/containers/json?{urlencode({'filters': filters})}"))

    def limit(self, container: str, limits: Mapping[str, int]) -> None:
        """Give a running container other limits."""
        self._ask("POST", f"/containers/{container}/update", dict(limits))

    def image(self, reference: str) -> dict[str, Any] | None:
        """None where it has none of that name."""
        try:
            return dict(self._ask("GET", f"/images/{quote(reference)}/json"))
        except Failed as error:
            if "(404)" in str(error):
                return None
            raise

    def pull(self, reference: str, login: str = "") -> Iterator[dict[str, Any]]:
        """Fetch an image, event by event. `login`: as the engine wants it in its header."""
        name, at, digest = reference.partition("@")
        head, slash, last = name.rpartition("/")
        last, _, tag = last.partition(":")
        wanted = {"fromImage": f"{head}{slash}{last}", "tag": digest if at else tag or "latest"}
        headers = {"X-Registry-Auth": login} if login else {}
        with self._send("POST", f"/images/create?{urlencode(wanted)}", {}, headers, seconds=600) as answer:
            for line in answer:
                if line.strip():
                    yield json.loads(line)
