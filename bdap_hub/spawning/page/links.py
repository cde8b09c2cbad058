"""Links to the start page and on from there: what a query asks for, and where one may be led afterwards. PURE."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlencode, urlsplit

SPAWN_PAGE = "/hub/spawn"
OPTIONS = ("project", "image", "size")
# Pages that only show something. Not among them: /hub/logout, the login's own pages, the API.
HUB_PAGES = frozenset({"home", "spawn", "token", "logins", "register", "requests"})
# A server's name in a URL, a label and a container's name; JupyterHub's own rule for new ones.
SERVER_NAME = re.compile(r"[a-z](-?[a-z0-9])*")
LONGEST_NAME = 30
MOST_DECODINGS = 5


def spawn_link(project: str, image: str, size: str = "", server: str = "", person: str = "") -> str:
    """The start page with this choice made, of a named server where `server` says so."""
    path = f"{SPAWN_PAGE}/{quote(person, safe='')}/{server}" if server else SPAWN_PAGE
    asked = {"project": project, "image": image, "size": size}
    return f"{path}?{urlencode({key: value for key, value in asked.items() if value})}"


def asked(query: Mapping[str, list[str]]) -> dict[str, str]:
    """The choice that a link's query asks for, `project=` or JupyterHub's `opt-project=`. Given twice counts as not.

    Untrusted: it selects on the page, and is decided at the start.
    """
    found = {}
    for name in OPTIONS:
        values = [*query.get(name, ()), *query.get(f"opt-{name}", ())]
        if len(values) == 1 and values[0]:
            found[name] = values[0]
    return found


def is_server_name(name: str) -> bool:
    """Whether a named server may be called so: lower case letters, digits, single hyphens, a letter first; at most 30.

    >>> [is_server_name(name) for name in ("train", "run-2", "2", "a--b", "A", "../x", "")]
    [True, True, False, False, False, False, False]
    """
    return len(name) <= LONGEST_NAME and SERVER_NAME.fullmatch(name) is not None


def own_path(wanted: str, home: str) -> str:
    """`wanted` where it is a path of the person's own servers (below `home`) or one of the hub's pages, else ''.

    It is looked at as any browser, proxy or server may read it: decoded as often as it is encoded.

    >>> own_path("/user/ana/lab/tree/a b.ipynb", "/user/ana/"), own_path("//evil.example", "/user/ana/")
    ('/user/ana/lab/tree/a b.ipynb', '')
    """
    plain = _decoded(wanted)
    if plain is None or not wanted.startswith("/") or not plain.isprintable() or "\\" in plain:
        return ""
    try:
        parts = urlsplit(plain)
    except ValueError:
        return ""
    if parts.scheme or parts.netloc or _wanders(parts.path):
        return ""
    return wanted if _is_own(urlsplit(wanted).path, home) and _is_own(parts.path, unquote(home)) else ""


def _decoded(text: str) -> str | None:
    """`text` without any percent-encoding; None where it is encoded more often than anybody has a reason to."""
    for _ in range(MOST_DECODINGS):
        plain = unquote(text)
        if plain == text:
            return plain
        text = plain
    return None


def _wanders(path: str) -> bool:
    """Whether a path is not read by everybody in the same way."""
    return "//" in path or any(part in (".", "..") for part in path.split("/"))


def _is_own(path: str, home: str) -> bool:
    """JupyterHub itself leads to /hub/user/ana/… where the server that was asked for does not run."""
    if path.startswith((home, f"/hub{home}")):
        return True
    page, _, rest = path.removeprefix("/hub/").partition("/")
    return path.startswith("/hub/") and page in HUB_PAGES and (not rest or page == "spawn")
