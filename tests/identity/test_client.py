"""Our side of the conversation, over real HTTP: what counts as a yes, as a no, and as no answer."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest
from tornado.httpclient import AsyncHTTPClient

from bdap_hub.errors import Unavailable
from bdap_hub.identity import client as room
from bdap_hub.identity.client import Client
from bdap_hub.identity.client_auth import ClientAuth
from bdap_hub.identity.id_token import LoginRefused

SECRET = "a-secret-of-more-than-thirty-two-octets"


class Endpoint:
    """A provider that says what it is told to: `says[path]` is (status, body), or a list of them, one a request."""

    def __init__(self, url: str) -> None:
        self.url, self.asked = url, []
        discovery = {name: f"{url}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
        discovery |= {"issuer": url, "userinfo_endpoint": f"{url}/userinfo"}
        discovery["token_endpoint_auth_methods_supported"] = ["client_secret_post", "client_secret_jwt"]
        self.says: dict[str, Any] = {"/.well-known/openid-configuration": (200, discovery)}

    def client(self, method: str = "auto") -> Client:
        return Client(self.url, ClientAuth(method, "hub", SECRET), AsyncHTTPClient())


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    monkeypatch.setattr(room, "AGAIN_SECONDS", 0.01)
    made: Endpoint

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            made.asked.append((self.path, {k: v[0] for k, v in parse_qs(body).items()}, dict(self.headers)))
            says = made.says[self.path]
            status, answer = says.pop(0) if isinstance(says, list) else says
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", made.url + "/elsewhere")
            self.end_headers()
            self.wfile.write(answer.encode() if isinstance(answer, str) else json.dumps(answer).encode())

        do_POST = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made = Endpoint(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield made
    server.shutdown()
    server.server_close()


NO = [(400, {"error": "invalid_grant"}), (400, {"error": "access_denied"}), (403, {"error": "user_disabled"})]
NO_ANSWER = [
    (401, {"error": "invalid_client"}),  # it speaks of us, not of the person
    (400, {"error": "unauthorized_client"}),
    (500, {"error": "invalid_grant"}),
    (503, ""),
    (429, {}),
    (404, "<h1>not here</h1>"),
    (302, "{}"),
    (200, "<h1>maintenance</h1>"),
    (200, []),
]


@pytest.mark.parametrize("answer", NO)
async def test_a_no_to_a_refresh_or_a_code(endpoint: Endpoint, answer: Any) -> None:
    endpoint.says["/token_endpoint"] = answer
    assert await endpoint.client().refresh("r") is None
    with pytest.raises(LoginRefused) as refused:
        await endpoint.client().redeem("c", "v", "https://hub/cb")
    assert refused.value.reason == "code-refused"


@pytest.mark.parametrize("answer", NO_ANSWER)
async def test_no_answer_to_a_refresh(endpoint: Endpoint, answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    endpoint.says["/token_endpoint"] = answer
    with pytest.raises(Unavailable):
        await endpoint.client().refresh("a-refresh-token")
    assert sum(path == "/token_endpoint" for path, _, _ in endpoint.asked) == 1  # once: it may have been used up
    assert "a-refresh-token" not in caplog.text and SECRET not in caplog.text


async def test_a_yes(endpoint: Endpoint) -> None:
    endpoint.says["/token_endpoint"] = (200, {"access_token": "a", "refresh_token": "r2"})
    assert (await endpoint.client().refresh("r1") or {})["refresh_token"] == "r2"
    assert (await endpoint.client().redeem("c", "v", "https://hub/cb"))["access_token"] == "a"
    sent = [fields for path, fields, _ in endpoint.asked if path == "/token_endpoint"]
    assert (sent[0]["grant_type"], sent[0]["refresh_token"]) == ("refresh_token", "r1")
    assert (sent[1]["code_verifier"], sent[1]["redirect_uri"]) == ("v", "https://hub/cb")
    assert sent[0]["client_secret"] == SECRET


async def test_an_assertion_is_sent_instead_of_the_secret(endpoint: Endpoint) -> None:
    endpoint.says["/token_endpoint"] = (200, {"access_token": "a"})
    await endpoint.client("client_secret_jwt").refresh("r1")
    _, fields, headers = endpoint.asked[-1]
    assert fields["client_assertion"].count(".") == 2 and "Authorization" not in headers
    assert SECRET not in json.dumps([fields, headers])


async def test_a_method_that_is_not_offered_is_seen_before_the_browser_leaves(endpoint: Endpoint) -> None:
    with pytest.raises(Unavailable, match="does not offer"):
        await endpoint.client("client_secret_basic").ready()
    assert (await endpoint.client("client_secret_jwt").ready()).issuer == endpoint.url


async def test_userinfo(endpoint: Endpoint) -> None:
    endpoint.says["/userinfo"] = (200, {"sub": "ana"})
    assert await endpoint.client().userinfo("t") == {"sub": "ana"}
    assert endpoint.asked[-1][2]["Authorization"] == "Bearer t"
    for status in (400, 401, 403):
        endpoint.says["/userinfo"] = (status, {"error": "invalid_token"})
        assert await endpoint.client().userinfo("t") == {}
    for answer in ((404, ""), (500, ""), (302, ""), (200, "eyJhbGciOiJSUzI1NiJ9.e30.x"), (200, [])):
        endpoint.says["/userinfo"] = answer
        with pytest.raises(Unavailable):
            await endpoint.client().userinfo("t")
    del endpoint.says["/.well-known/openid-configuration"][1]["userinfo_endpoint"]
    assert await endpoint.client().userinfo("t") is None


async def test_a_hiccup_is_tried_again_once(endpoint: Endpoint) -> None:
    endpoint.says["/userinfo"] = [(503, ""), (200, {"sub": "ana"})]
    assert await endpoint.client().userinfo("t") == {"sub": "ana"}
    endpoint.says["/userinfo"] = [(503, ""), (503, ""), (200, {"sub": "ana"})]
    with pytest.raises(Unavailable):
        await endpoint.client().userinfo("t")


async def test_nobody_there() -> None:
    with pytest.raises(Unavailable, match="cannot be reached"):
        await Client("http://127.0.0.1:9", ClientAuth("auto", "hub", SECRET), AsyncHTTPClient()).refresh("r")
