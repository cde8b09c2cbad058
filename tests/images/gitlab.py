"""STAND-IN for GitLab's API, version 4: groups in groups, projects, folders, files; and a host that wants tokens."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "glpat-of-the-test"
CELL = {"cell_type": "code", "id": "a", "metadata": {}, "execution_count": None, "outputs": []}
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
NOTEBOOK = json.dumps(
    {"cells": [{**CELL, "source": "'hectares'.upper()"}], "metadata": KERNEL, "nbformat": 4, "nbformat_minor": 5}
)
FILES = {
    "forest/maps": {"README.md": "# Maps of forests", "code/area.py": "print('hectares')", "look.ipynb": NOTEBOOK},
    "forest/alps/height": {"README.md": "# Heights"},
    "forest/secret": {"README.md": "# Only with a token"},
    **{f"many/p{number:03}": {"README.md": str(number)} for number in range(230)},
}
GROUPS = {"forest": ["forest/alps"], "forest/alps": [], "many": []}
USERS = {"ana": ["forest/maps"]}


@dataclass
class Host:
    """What a stand-in was asked, and by which token."""

    url: str
    asked: list[tuple[str, str]] = field(default_factory=list)


@contextmanager
def gitlab(bind: str = "127.0.0.1") -> Iterator[tuple[Host, Host]]:
    """GitLab, and the host that its releases lead to, which names itself as the next page."""
    with (
        _serving(lambda path, query, token, own: _first_page(f"{own}{path}", query), bind) as elsewhere,
        _serving(lambda path, query, token, own: _answer(path, query, token, elsewhere.url), bind) as host,
    ):
        yield host, elsewhere


@contextmanager
def _serving(answer: Any, bind: str) -> Iterator[Host]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            host.asked.append((self.path, token))
            parts = urlsplit(self.path)
            status, headers, body = answer(parts.path, parse_qs(parts.query), token, host.url)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((bind, 0), Handler)
    host = Host(f"http://{bind}:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()


def _first_page(url: str, query: dict[str, list[str]]) -> tuple[int, dict[str, str], Any]:
    return 200, {} if query else {"Link": f'<{url}?page=2>; rel="next"'}, []


def _answer(path: str, query: dict[str, list[str]], token: str, elsewhere: str) -> tuple[int, dict[str, str], Any]:
    if token not in ("", TOKEN):
        return 401, {}, {"message": "401 Unauthorized"}
    if "/releases/" in path:
        return 302, {"Location": f"{elsewhere}/asset"}, None
    found = _found(path.removeprefix("/api/v4/"), query, token)
    if found is None:
        return 404, {}, {"message": "404 Not Found"}
    if isinstance(found, list):
        first, size = (int(query.get(name, [default])[0]) for name, default in (("page", "1"), ("per_page", "20")))
        found = found[(first - 1) * size : first * size]
    return 200, {}, found


def _found(path: str, query: dict[str, list[str]], token: str) -> Any:
    seen = {name: files for name, files in FILES.items() if token or name != "forest/secret"}
    if match := re.fullmatch(r"groups/([^/]+)/(subgroups|projects)", path):
        name, what = unquote(match[1]), match[2]
        if name not in GROUPS:
            return None
        inside = GROUPS[name] if what == "subgroups" else [each for each in seen if each.rpartition("/")[0] == name]
        return [_described(each) for each in inside]
    if match := re.fullmatch(r"users/([^/]+)/projects", path):
        return [_described(each) for each in USERS[unquote(match[1])]] if unquote(match[1]) in USERS else None
    if match := re.fullmatch(r"projects/([^/]+)", path):
        name = unquote(match[1])
        return {"id": list(FILES).index(name), **_described(name)} if name in seen else None
    if match := re.fullmatch(r"projects/(\d+)/repository/tree", path):
        return _tree(list(FILES.values())[int(match[1])], query.get("path", [""])[0])
    if match := re.fullmatch(r"projects/(\d+)/repository/files/([^/]+)", path):
        name, files = unquote(match[2]), list(FILES.values())[int(match[1])]
        if name not in files or query["ref"] != ["HEAD"]:
            return None
        return {"file_name": name.rpartition("/")[2], "content": base64.b64encode(files[name].encode()).decode()}
    return None


def _described(name: str) -> dict[str, str]:
    key = "full_path" if name in GROUPS else "path_with_namespace"
    last = name.rpartition("/")[2]
    return {"name": last.title(), "path": last, key: name}


def _tree(files: dict[str, str], folder: str) -> list[dict[str, str]] | None:
    inside = f"{folder}/" if folder else ""
    below = [name.removeprefix(inside) for name in files if name.startswith(inside)]
    kinds = {name.partition("/")[0]: "tree" if "/" in name else "blob" for name in below}
    entries = [{"name": name, "path": f"{inside}{name}", "type": kind} for name, kind in kinds.items()]
    return (
        [*entries, {"name": "another-project", "path": f"{inside}another-project", "type": "commit"}]
        if entries
        else None
    )
