"""A visit to a demo install, run on its own host: log in with both factors, start a server, ask the services, stop it.

Uses what the install has (httpx, pyotp); prints what it found as JSON. Argument: the install's demo.json.
"""

from __future__ import annotations

import html
import json
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pyotp

PERSON = "ana"
_known = socket.getaddrinfo


def look_up(host: Any, *arguments: Any, **kwargs: Any) -> Any:
    """Browsers know that *.localhost is this machine; the resolver need not."""
    return _known("127.0.0.1" if str(host).endswith(".localhost") else host, *arguments, **kwargs)


def submit(client: httpx.Client, page: httpx.Response, **fields: str) -> httpx.Response:
    """Fill in and send the first posting form of a page."""
    form = re.search(r'<form[^>]*method="post".*?</form>', page.text, re.DOTALL | re.IGNORECASE)
    if not form:
        raise SystemExit(f"no form on {page.url}:\n{page.text[:2000]}")
    hidden = {}
    for tag in re.findall(r"<input[^>]*>", form[0]):
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if attributes.get("type") == "hidden":
            hidden[attributes["name"]] = html.unescape(attributes.get("value", ""))
    action = re.search(r'action="([^"]*)"', form[0])
    url = page.url.join(html.unescape(action[1]) if action else str(page.url))
    return client.post(url, data={**hidden, **fields}, headers={"Referer": str(page.url)})


def log_in(client: httpx.Client, hub: str, account: dict[str, Any]) -> httpx.Response:
    """Password, then code; the page it ends on."""
    page = submit(client, client.get(f"{hub}/hub/home"), login=account["name"], password=account["password"])
    return submit(client, page, code=pyotp.TOTP(account["totp_secret"]).now())


def start_server(client: httpx.Client, hub: str) -> dict[str, Any]:
    """Choose a project and image on the spawn page; the server's model once it is ready."""
    submit(client, client.get(f"{hub}/hub/spawn"), choice="agriculture/lab")
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        servers = client.get(f"{hub}/hub/api/users/{PERSON}", headers={"Referer": f"{hub}/hub/home"}).json()["servers"]
        if servers and next(iter(servers.values()))["ready"]:
            return dict(next(iter(servers.values())))
        time.sleep(0.5)
    raise SystemExit(f"the server was not ready within 120 s: {servers}")


def main() -> None:
    """Visit, and say what was found."""
    socket.getaddrinfo = look_up
    demo = json.loads(Path(sys.argv[1]).read_text())
    hub = demo["addresses"]["hub"]
    account = next(one for one in demo["accounts"] if one["name"] == PERSON)
    with httpx.Client(follow_redirects=True, timeout=60, trust_env=False, headers={"Accept": "text/html"}) as client:
        home = log_in(client, hub, account)
        server = start_server(client, hub)
        lab = client.get(f"{hub}/user/{PERSON}/lab")
        pages = {name: client.get(f"{hub}/services/{name}/").status_code for name in ("catalogue", "dashboards")}
    found = {"home": str(home.url), "options": server["user_options"], "lab": lab.status_code, "pages": pages}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
