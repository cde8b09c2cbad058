"""Publishes from the command line: packs a notebook or a folder, uploads it in pieces, and waits for the release."""

from __future__ import annotations

import hashlib
import io
import json
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from ...errors import BadRequest, BdapError, Unavailable
from ..steps import NDJSON, Tell, silent
from .manifest import NAME, NOTHING, Manifest, read
from .scan import find_secret

SECONDS = 60
QUIET_SECONDS = 60  # the service says something at least every 15 seconds while it works
TRIES = 6
LEFT_OUT = {".git", ".venv", "node_modules", "__pycache__", ".ipynb_checkpoints", ".DS_Store", "__MACOSX"}
"""Of a working folder: what no dashboard needs, and nobody wants to send."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)


def publish(
    url: str, token: str, path: Path, *, project: str, slug: str = "", tell: Tell = silent, **fields: str
) -> dict[str, Any]:
    """Publish the notebook, zip archive or folder at `path`; the dashboard's id, url, version and status.

    What the folder's bdap-dashboard.yaml says counts where nothing else is given; somebody else may have written it, so
    who publishes says it themselves where more people than the project's are to see it.
    `url` is the service's address (…/services/dashboards); `tell` is told what goes on. Raises the service's refusal as
    BdapError.
    """
    if not fields.get("visibility") and (wanted := wanted_visibility(path)):
        raise BadRequest(
            f"{path / NAME} asks for visibility {wanted!r:.40}: more people than the project's",
            "say --visibility yourself, or project",
        )
    name, content = pack(path)
    slug = slug or read_manifest(path).slug or _slug(path)
    data = {**{key: value for key, value in fields.items() if value}, "project": project, "slug": slug, "name": name}
    headers = {"Authorization": f"Bearer {token}"}
    # A plain http address is the platform's inside: no proxy of the environment may see the token.
    with httpx.Client(
        base_url=f"{url.rstrip('/')}/api/", headers=headers, timeout=SECONDS, trust_env=url.startswith("https:")
    ) as client:
        return _publish(client, {**data, "upload": upload(client, project, content, tell)}, tell)


def wanted_visibility(path: Path) -> str:
    """The visibility that a folder's bdap-dashboard.yaml asks for, if it is not the project's members alone."""
    wanted = read_manifest(path).visibility or ""
    return "" if wanted == "project" else wanted


def read_manifest(folder: Path) -> Manifest:
    """What the folder's bdap-dashboard.yaml says; nothing where there is none. BadRequest naming what is wrong."""
    path = folder / NAME
    if not folder.is_dir() or not path.is_file():
        return NOTHING
    try:
        return read(path.read_text(), str(path))
    except UnicodeDecodeError:
        raise BadRequest(f"{path} is no text in UTF-8", "save it as UTF-8") from None


def pack(path: Path) -> tuple[str, bytes]:
    """The file's name and content; a folder becomes a zip archive, the same for the same files.

    BadRequest for links, and for what must not leave the folder: nothing is sent then.
    """
    if not path.is_dir():
        _refuse_secret(path, path.name)
        return path.name, path.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in _files(path):
            name = file.relative_to(path).as_posix()
            _refuse_secret(file, name)
            info = zipfile.ZipInfo(name, LONG_AGO)
            info.external_attr = 0o644 << 16
            archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return f"{path.resolve().name}.zip", buffer.getvalue()


def upload(client: httpx.Client, project: str, content: bytes, tell: Tell = silent) -> str:
    """Send it piece by piece, after a lost connection from where the service has it; its SHA-256.

    Nothing is sent where the service has it already.
    """
    sha256, lost = hashlib.sha256(content).hexdigest(), 0
    while True:
        try:
            state = _sent(client, "POST", "uploads", json={"project": project, "sha256": sha256, "size": len(content)})
            while not state["complete"]:
                begin = int(state["offset"])
                tell(f"uploading: {100 * begin // len(content)} % of {len(content) / 2**20:.1f} MiB")
                piece = content[begin : begin + int(state["piece"])]
                state = _sent(
                    client, "PATCH", f"uploads/{sha256}", content=piece, headers={"Upload-Offset": str(begin)}
                )
                lost = 0
            tell(f"uploaded: {len(content) / 2**20:.1f} MiB")
            return sha256
        except httpx.TransportError as error:
            lost += 1
            if lost == TRIES:
                raise _silent(client, error) from None
            time.sleep(min(2**lost / 4, 5))


def _publish(client: httpx.Client, data: dict[str, str], tell: Tell) -> dict[str, Any]:
    headers, timeout = {"Accept": NDJSON}, httpx.Timeout(SECONDS, read=QUIET_SECONDS)
    try:
        form = {key: (None, value) for key, value in data.items()}
        with client.stream("POST", "dashboards", files=form, headers=headers, timeout=timeout) as answer:
            if not answer.is_success:
                answer.read()
                raise _refusal(answer)
            for line in _lines(answer):
                if "error" in line:
                    raise _error(line["error"], int(line["status"]))
                if "dashboard" in line:
                    return dict(line["dashboard"])
                tell(str(line["step"]))
    except httpx.TransportError as error:
        raise _silent(client, error) from None
    raise Unavailable("the dashboards service broke off while it published", "look in the gallery, or publish again")


def _lines(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.strip():
            yield json.loads(line)


def _sent(client: httpx.Client, method: str, path: str, **options: Any) -> dict[str, Any]:
    answer = client.request(method, path, **options)
    if answer.status_code == 409 and method == "PATCH":  # an answer was lost: the piece is there already
        answer = client.get(path)
    if not answer.is_success:
        raise _refusal(answer)
    return dict(answer.json())


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if LEFT_OUT & set(file.relative_to(folder).parts):
            continue
        if file.is_symlink():
            raise BadRequest(f"{file} is a link", "put the file itself into the folder")
        if file.is_file():
            yield file


def _refuse_secret(file: Path, name: str) -> None:
    if reason := find_secret(name, file.read_bytes()):
        verb = "is" if reason.startswith("a file") else "holds"
        raise BadRequest(f"{file} {verb} {reason}", "take it out of the folder; nothing was sent")


def _slug(path: Path) -> str:
    """The file's name as an address name: small letters, digits and single hyphens."""
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in path.resolve().stem.lower()).split()
    return "-".join(words)


def _silent(client: httpx.Client, error: httpx.TransportError) -> Unavailable:
    return Unavailable(f"the dashboards service does not answer: {type(error).__name__}", f"check {client.base_url}")


def _refusal(answer: httpx.Response) -> BdapError:
    try:
        return _error(answer.json(), answer.status_code)
    except (ValueError, KeyError, TypeError):
        error = BdapError(f"the dashboards service answered {answer.status_code}", "look at its log")
        error.status = answer.status_code
        return error


def _error(body: dict[str, Any], status: int) -> BdapError:
    where = f" ({body['step_up']})" if "step_up" in body else ""
    error = BdapError(str(body["message"]), f"{body['remedy']}{where}")
    error.status = status
    return error
