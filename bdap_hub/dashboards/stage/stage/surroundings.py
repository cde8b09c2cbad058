"""The environment without what is the stage's own: for the notebook, and for Voilà."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

NPM = "BDAP_STAGE_NPM"  # where the npm packages of pages lie
CODE = str(Path(__file__).parent.parent)


def of_request(query: str, address: str = "http://localhost") -> dict[str, str]:
    """What Voilà says to a notebook of the request for its page; without `address`, what is the same for all."""
    place = urlsplit(address.lower())
    return {
        "SCRIPT_NAME": "/",
        "PATH_INFO": "",
        "QUERY_STRING": query,
        "SERVER_SOFTWARE": f"voila/{version('voila')}",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": place.hostname or "localhost",
        "SERVER_PORT": place.netloc.rpartition(":")[2] if ":" in place.netloc else "",
        "VOILA_PREHEAT": "False",
        "VOILA_BASE_URL": "/",
        "VOILA_SERVER_URL": "/",
        "VOILA_REQUEST_URL": f"{address}/?{query}" if query else f"{address}/",
        "VOILA_APP_PORT": "",
    }


def without_stage(environment: Mapping[str, str]) -> dict[str, str]:
    """The same, but for where the stage's code and packages are."""
    kept = {name: value for name, value in environment.items() if name not in (NPM, "PYTHONPATH")}
    paths = [path for path in environment.get("PYTHONPATH", "").split(":") if path and path != CODE]
    return {**kept, "PYTHONPATH": ":".join(paths)} if paths else kept
