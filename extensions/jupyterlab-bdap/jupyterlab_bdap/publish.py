"""Posts a notebook to the platform's dashboards service. Knows nothing of Jupyter Server or the browser."""

from __future__ import annotations

import copy
import json
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
SLUG_LENGTH = 40
VISIBILITIES = ("project", "people", "public")
SECONDS = 300  # a notebook may run for three minutes
MORE = ("tags", "data", "secrets", "memory", "keep_warm")
PASSED_ON = (400, 403, 404, 409, 413, 422, 429)
"""Statuses of the service that mean the same to the browser; all others become 502."""


class PublishError(Exception):
    """Why a notebook could not be published, with what to do and the status for the browser.

    `link` is a page of the platform where the person can do it; '' for none. `cell` is the cell that failed, as the
    service tells it: number, index, source, error, traceback.
    """

    def __init__(
        self, message: str, remedy: str = "", status: int = 400, link: str = "", cell: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message, self.remedy, self.status, self.link, self.cell = message, remedy, status, link, cell


@dataclass(frozen=True)
class Place:
    """Where this server publishes: its project and the dashboards service."""

    project: str
    url: str
    token: str

    @classmethod
    def from_environment(cls) -> Place:
        """What the hub has put into the environment of the server."""
        return cls(
            project=os.environ.get("BDAP_PROJECT", ""),
            url=os.environ.get("BDAP_DASHBOARDS_URL", "").rstrip("/"),
            token=os.environ.get("BDAP_TOKEN", "") or os.environ.get("JUPYTERHUB_API_TOKEN", ""),
        )

    def problem(self) -> PublishError | None:
        """What is missing to publish at all."""
        for value, name, what in (
            (self.url, "BDAP_DASHBOARDS_URL", "the address of the dashboards service"),
            (self.project, "BDAP_PROJECT", "the project of this server"),
            (self.token, "JUPYTERHUB_API_TOKEN", "the token of this server"),
        ):
            if not value:
                return PublishError(
                    f"{what} is not known ({name} is not set)", "start this server from the platform's hub", 503
                )
        return None


@dataclass(frozen=True)
class Wish:
    """What a person asks for in the dialog."""

    path: str
    title: str
    slug: str
    visibility: str
    description: str = ""
    manifest: str = ""
    folder: bool = False  # with all that lies beside the notebook

    @classmethod
    def read(cls, body: Any) -> Wish:
        """The wish of a JSON body; PublishError naming the first wrong field."""
        if not isinstance(body, dict):
            raise PublishError("the request is not a JSON object")
        fields = {name: body.get(name, "") for name in ("path", "title", "slug", "visibility", "description")}
        for name, value in fields.items():
            if not isinstance(value, str):
                raise PublishError(f"{name} is not text")
        if not isinstance(folder := body.get("folder", False), bool):
            raise PublishError("folder is neither true nor false")
        texts = {name: value.strip() for name, value in fields.items()}
        wish = cls(**texts, manifest=manifest(body.get("more")), folder=folder)
        wish.check()
        return wish

    def check(self) -> None:
        """PublishError for the first field that cannot be."""
        if not self.path.endswith(".ipynb"):
            raise PublishError(f"{self.path!r} is not a notebook", "open a notebook and publish that")
        if not self.title:
            raise PublishError("the title is empty", "give the dashboard a title people will recognise")
        if not SLUG.fullmatch(self.slug) or len(self.slug) > SLUG_LENGTH:
            raise PublishError(
                f"{self.slug!r} cannot be an address",
                f"use small letters, digits and single hyphens, a letter first, at most {SLUG_LENGTH} characters",
            )
        if self.visibility not in VISIBILITIES:
            raise PublishError(f"nobody knows who {self.visibility!r} is", f"choose one of {', '.join(VISIBILITIES)}")


def manifest(more: Any) -> str:
    """What bdap-dashboard.yaml would say of the dialog's further fields, as JSON; '' for nothing. Not checked here."""
    if more is None:
        return ""
    if not isinstance(more, dict):
        raise PublishError("more is not a JSON object")
    if unknown := sorted(set(more) - set(MORE)):
        raise PublishError(f"more: nobody knows {unknown[0]!r:.80}", f"it may say {', '.join(MORE)}")
    said = {name: more[name] for name in ("tags", "data", "secrets", "keep_warm") if more.get(name)}
    if more.get("memory"):
        said["resources"] = {"memory": more["memory"]}
    return json.dumps(said) if said else ""


def bundle(notebook: dict[str, Any]) -> bytes:
    """The notebook without outputs: the dashboard computes them anew, and old ones may show what they should not."""
    clean = copy.deepcopy(notebook)
    for cell in clean.get("cells", ()):
        if cell.get("cell_type") == "code":
            cell["outputs"], cell["execution_count"] = [], None
    clean.get("metadata", {}).pop("widgets", None)
    return json.dumps(clean, ensure_ascii=False).encode()


async def publish(place: Place, wish: Wish, content: bytes) -> dict[str, Any]:
    """Publish the content (a notebook or, where the wish is for its folder, a zip archive) and return {id, url,
    version, status}; PublishError with the service's own words."""
    if problem := place.problem():
        raise problem
    *folders, name = wish.path.split("/")
    fields = {
        "project": place.project,
        "slug": wish.slug,
        "title": wish.title,
        "description": wish.description,
        "visibility": wish.visibility,
        **({"manifest": wish.manifest} if wish.manifest else {}),
        **({"entry": name} if wish.folder else {}),
    }
    files = {"bundle": (name, content, "application/x-ipynb+json")}
    if wish.folder:
        files = {"bundle": (f"{folders[-1] if folders else 'folder'}.zip", content, "application/zip")}
    headers = {"Authorization": f"Bearer {place.token}", "Accept": "application/json"}
    import httpx  # who never publishes does not wait for it at the start

    try:
        # The service is inside the platform: no proxy of the environment may see the token.
        async with httpx.AsyncClient(timeout=SECONDS, trust_env=place.url.startswith("https:")) as client:
            answer = await client.post(f"{place.url}/api/dashboards", data=fields, files=files, headers=headers)
    except httpx.HTTPError as error:
        raise PublishError(
            f"the dashboards service does not answer ({type(error).__name__})", "try again in a moment", 502
        ) from None
    return _answer(answer)


def _answer(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    if answer.is_success and isinstance(body.get("url"), str):
        return {key: body.get(key) for key in ("id", "url", "version", "status", "preview") if key in body}
    status = answer.status_code if answer.status_code in PASSED_ON else 502
    message = body.get("message") or f"the dashboards service answered with status {answer.status_code}"
    remedy = body.get("remedy") or ("restart this server" if answer.status_code == 401 else "try again in a moment")
    cell = body.get("cell") if isinstance(body.get("cell"), dict) else None
    if cell:
        remedy = "correct the cell, and publish again"  # the service's words repeat what stands in the cell
    raise PublishError(str(message), str(remedy), status, str(body.get("step_up") or ""), cell)
