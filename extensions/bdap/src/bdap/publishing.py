"""A notebook or a folder becomes a dashboard: packed, uploaded in pieces, tried out by the platform.

`python -m bdap publish PATH` does the same from a terminal.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from . import client as clients
from .errors import BdapError, NotReachable, ServiceError
from .progress import Bar
from .transport import Transport

LEFT_OUT = {".git", ".venv", "node_modules", "__pycache__", ".ipynb_checkpoints", ".DS_Store"}
TRIES = 6
PATIENCE = 120
"""Seconds that a piece, or a step of the publication, may take."""
LONG_AGO = (1980, 1, 1, 0, 0, 0)
MANIFEST = "bdap-dashboard.yaml"


@dataclass(frozen=True)
class Published:
    """A dashboard that was published: its id, address, version, state (live, submitted, draft) and preview."""

    id: str
    url: str
    version: int
    status: str
    visibility: str
    preview: str = ""

    def _repr_html_(self) -> str:
        address = self.url if self.status == "live" else self.preview or self.url
        link = f'<a href="{escape(address)}" target="_blank" rel="noopener">{escape(address)}</a>'
        return f"<p>{escape(self.id)}, version {self.version}, is {escape(self.status)}: {link}</p>"


def publish(
    path: str | os.PathLike[str],
    title: str = "",
    *,
    project: str = "",
    slug: str = "",
    description: str = "",
    visibility: str = "",
    entry: str = "",
    kind: str = "",
    tags: Sequence[str] = (),
    data: Sequence[str] = (),
    secrets: Sequence[str] = (),
    requirements: Sequence[str] = (),
    image: str = "",
    memory: str = "",
    cpus: float = 0,
    keep_warm: bool | None = None,
    draft: bool = False,
    client: Transport | None = None,
) -> Published:
    """Publish the file (notebook, page, app, zip archive) or folder at `path` as a dashboard of `project` (this
    server's by default).

    What is said here counts before the folder's bdap-dashboard.yaml, which may say the same. `visibility` is `project`,
    `people` (everybody who can log in) or `public`; by default who sees it now, of a new one its project. `kind` is
    `voila` (a notebook, the default), `static` (a page of files), `panel` or `solara` (an app). `draft`: only a
    preview, until it is submitted on its page. BdapError says what was refused; of a notebook that fails, which cell
    and why.
    """
    file = Path(path).expanduser()
    name, content = _pack(file)
    resources = {key: value for key, value in (("memory", memory), ("cpus", cpus)) if value}
    lists = {"tags": tags, "data": data, "secrets": secrets, "requirements": requirements}
    said: dict[str, Any] = {key: list(value) for key, value in lists.items() if value}
    said |= {key: value for key, value in (("kind", kind), ("image", image), ("resources", resources)) if value}
    if keep_warm is not None:
        said["keep_warm"] = keep_warm
    form = {
        "name": name,
        "project": project or os.environ.get("BDAP_PROJECT", ""),
        "slug": slug or _slug(file),
        "title": title,
        "description": description,
        "visibility": visibility,
        "entry": entry,
        "manifest": json.dumps(said) if said else "",
        "draft": "yes" if draft else "",
    }
    if not form["project"]:
        raise BdapError("nobody said of which project it is", 'say it: bdap.publish(path, project="...")')
    bar = Bar(f"Publishing {name}")
    try:
        made = _made(client or clients.default(), form, content, bar)
    except BaseException:
        bar.close("it was not published", done=False)
        raise
    bar.close(f"version {made.version} is {made.status}")
    return made


def _made(service: Transport, form: dict[str, str], content: bytes, bar: Bar) -> Published:
    form = {**form, "upload": _uploaded(service, form["project"], content, bar)}
    files = {key: (None, value) for key, value in form.items() if value}
    headers = {"Accept": "application/x-ndjson"}
    with service.stream("dashboards", "POST", "/api/dashboards", PATIENCE, files=files, headers=headers) as answer:
        for line in answer.iter_lines():
            told = json.loads(line) if line.strip() else {}
            if "step" in told:
                bar.update(None, str(told["step"]), now=True)
            if "error" in told:
                said = told["error"]
                raise ServiceError(said["message"], said["remedy"], said["code"], int(told["status"]))
            if "dashboard" in told:
                found = told["dashboard"]
                return Published(**{key: found[key] for key in Published.__annotations__ if key in found})
    raise NotReachable("the dashboards service broke off while it published", "look in the gallery, or publish again")


def _uploaded(service: Transport, project: str, content: bytes, bar: Bar) -> str:
    """The SHA-256 of what the service has now; after a lost connection it goes on where it broke off."""
    sha256, size, lost = hashlib.sha256(content).hexdigest(), len(content), 0
    announced = {"project": project, "sha256": sha256, "size": size}
    while True:
        try:
            state = service.call("dashboards", "POST", "/api/uploads", json=announced)
            while not state["complete"]:
                begin = int(state["offset"])
                bar.update(begin / size, f"uploading {size / 2**20:.1f} MiB")
                piece, where = content[begin : begin + int(state["piece"])], {"Upload-Offset": str(begin)}
                state = service.call(
                    "dashboards", "PATCH", f"/api/uploads/{sha256}", PATIENCE, content=piece, headers=where
                )
                lost = 0
            return sha256
        except (NotReachable, ServiceError) as error:
            lost += 1
            if lost == TRIES or (isinstance(error, ServiceError) and error.status != 409):
                raise
            time.sleep(min(2**lost / 4, 5))


def _pack(path: Path) -> tuple[str, bytes]:
    """The file's name and content; a folder becomes a zip archive, the same for the same files."""
    if not path.exists():
        raise BdapError(f"there is no {path}", "say the path of a notebook, or of a folder with one")
    if not path.is_dir():
        return path.name, path.read_bytes()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for file in _files(path):
            info = zipfile.ZipInfo(file.relative_to(path).as_posix(), LONG_AGO)
            info.external_attr = 0o644 << 16
            archive.writestr(info, file.read_bytes(), zipfile.ZIP_DEFLATED)
    return f"{path.resolve().name}.zip", buffer.getvalue()


def _files(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if LEFT_OUT & set(file.relative_to(folder).parts):
            continue
        if file.is_symlink():
            raise BdapError(f"{file} is a link", "put the file itself into the folder")
        if file.is_file():
            yield file


def _slug(path: Path) -> str:
    """What the folder's manifest says, else its name, as an address: small letters, digits and single hyphens."""
    with suppress(OSError, UnicodeDecodeError):
        for line in (path / MANIFEST).read_text().splitlines():
            if line.startswith("slug:"):
                return line.removeprefix("slug:").split("#")[0].strip().strip("\"'")
    words = "".join(c if c.isascii() and c.isalnum() else " " for c in path.resolve().stem.lower()).split()
    return "-".join(words)
