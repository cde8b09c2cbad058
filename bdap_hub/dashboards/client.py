"""Publishes from the command line: packs a notebook or a folder and sends it to the publish API."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import httpx

from ..errors import BadRequest, BdapError, Unavailable
from .manifest import NAME, Manifest, read

SECONDS = 300


def publish(url: str, token: str, path: Path, *, project: str, slug: str = "", **fields: str) -> dict[str, Any]:
    """Publish the notebook, zip archive or folder at `path`; the dashboard's id, url, version and status.

    What the folder's bdap-dashboard.yaml says counts where nothing else is given; somebody else may have written it, so
    who publishes says it themselves where more people than the project's are to see it.
    `url` is the service's address (…/services/dashboards). Raises the service's refusal as BdapError.
    """
    name, content = pack(path)
    if not fields.get("visibility") and (wanted := wanted_visibility(path)):
        raise BadRequest(
            f"{path / NAME} asks for visibility {wanted!r:.40}: more people than the project's",
            "say --visibility yourself, or project",
        )
    slug = slug or read_manifest(path).slug or _slug(path)
    data = {**{key: value for key, value in fields.items() if value}, "project": project, "slug": slug}
    try:
        answer = httpx.post(
            f"{url.rstrip('/')}/api/dashboards",
            headers={"Authorization": f"Bearer {token}"},
            data=data,
            files={"bundle": (name, content)},
            timeout=SECONDS,
        )
    except httpx.HTTPError as error:
        raise Unavailable(f"the dashboards service does not answer: {type(error).__name__}", f"check {url}") from None
    if answer.status_code != 201:
        raise _refusal(answer)
    made: dict[str, Any] = answer.json()
    return made


def wanted_visibility(path: Path) -> str:
    """The visibility that a folder's bdap-dashboard.yaml asks for, if it is not the project's members alone."""
    wanted = read_manifest(path).visibility or ""
    return "" if wanted == "project" else wanted


def read_manifest(folder: Path) -> Manifest:
    """What the folder's bdap-dashboard.yaml says; nothing where there is none. BadRequest naming what is wrong."""
    path = folder / NAME
    if not folder.is_dir() or not path.is_file():
        return Manifest()
    try:
        return read(path.read_text(), str(path))
    except UnicodeDecodeError:
        raise BadRequest(f"{path} is no text in UTF-8", "save it as UTF-8") from None


def pack(path: Path) -> tuple[str, bytes]:
    """The file's name and content; a folder becomes a zip archive."""
    if not path.is_dir():
        return path.name, path.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(path.rglob("*")):
            if file.is_symlink():
                raise BadRequest(f"{file} is a link", "put the file itself into the folder")
            if file.is_file():
                archive.write(file, file.relative_to(path).as_posix())
    return f"{path.resolve().name}.zip", buffer.getvalue()


def _slug(path: Path) -> str:
    """The file's name as an address name: small letters, digits and single hyphens."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in path.resolve().stem.lower()).split()
    return "-".join(words)


def _refusal(answer: httpx.Response) -> BdapError:
    try:
        body = answer.json()
        where = f" ({body['step_up']})" if "step_up" in body else ""
        error = BdapError(str(body["message"]), f"{body['remedy']}{where}")
    except (ValueError, KeyError, TypeError):
        error = BdapError(f"the dashboards service answered {answer.status_code}", "look at its log")
    error.status = answer.status_code
    return error
