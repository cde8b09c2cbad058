"""JupyterLab's GitLab panel on the platform's GitLab (BDAP_GITLAB_URL), and on no other host.

The panel's own server part carries the person's token along redirects and to whatever page an answer names next. This
one asks one address only for what the panel shows: groups, projects, folders and files, to read.
"""

import base64
import json
import os
import re
from urllib.parse import quote, unquote, urlencode, urlsplit

from jupyter_server.base.handlers import APIHandler
from tornado import web
from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest
from traitlets import Unicode
from traitlets.config import Configurable

PAGE, PAGES = 100, 50
ASKED = re.compile(r"(groups|users|projects)/([^/]+)(?:/(projects|repository/tree|repository/files/[^/]+))?")
TOKEN = "c.GitLabConfig.access_token in ~/.jupyter/jupyter_server_config.py"


class GitLabConfig(Configurable):
    """What a person may configure."""

    access_token = Unicode("", config=True, help="A token of GitLab that may read: scope read_api.")


class GitLabHandler(APIHandler):
    """What the panel asks, answered by GitLab's API, version 4."""

    def initialize(self, url: str) -> None:
        """`url` is GitLab's."""
        self.api = f"{url}/api/v4"

    @web.authenticated
    async def get(self, coded: str) -> None:
        """`coded` is the path of the API as the panel sends it."""
        try:
            asked = base64.urlsafe_b64decode(coded).decode().strip("/")
        except ValueError:
            raise web.HTTPError(400, "the path is not coded as the panel does it") from None
        if asked == "templates/licenses":  # whether somebody answers here
            answer: object = []
        elif (found := ASKED.fullmatch(asked)) is None:
            raise web.HTTPError(404, f"the panel does not ask for {asked[:100]!r}")
        else:
            answer = await self._answer(*found.groups(default=""))
        if answer is None:
            raise web.HTTPError(404, f"GitLab has no {unquote(asked)[:100]!r}, or shows it to nobody without {TOKEN}")
        self.finish(json.dumps(answer))

    async def _answer(self, kind: str, name: str, what: str) -> object:
        path = unquote(name)
        if (kind, what) == ("projects", ""):
            return {"default_branch": "HEAD"}
        if kind == "projects" and what == "repository/tree":
            return await self._folder(f"{path}/{self.get_query_argument('path', '')}".strip("/"))
        if kind == "projects" and what != "projects":
            return await self._file(f"{path}/{unquote(what.rpartition('/')[2])}")
        found = await (self._group(path) if kind == "groups" else self._all(f"users/{_coded(path)}/projects"))
        return found and [{"name": each["path"], "path_with_namespace": _whole(each)} for each in found]

    async def _folder(self, path: str) -> object:
        """Of a project; of a group in a group, which the panel takes for a project, what is in it."""
        project, rest = await self._project(path)
        if project is not None:
            where = f"projects/{project}/repository/tree"
            entries = await self._all(where, **({"path": rest} if rest else {})) or []
            return [each for each in entries if each["type"] != "commit"]  # a submodule would end the panel's list
        found = await self._group(path)
        return found and [{"name": each["path"], "path": _whole(each), "type": "tree"} for each in found]

    async def _file(self, path: str) -> object:
        project, rest = await self._project(path)
        if project is None:
            return None
        return await self._ask(f"projects/{project}/repository/files/{_coded(rest)}", ref="HEAD")

    async def _group(self, path: str) -> list[dict] | None:
        groups = await self._all(f"groups/{_coded(path)}/subgroups")
        return None if groups is None else groups + (await self._all(f"groups/{_coded(path)}/projects") or [])

    async def _project(self, path: str) -> tuple[int | None, str]:
        """The id of the project that a path leads into, and the rest of the path."""
        parts = path.split("/")
        for count in range(2, len(parts) + 1):
            if found := await self._ask(f"projects/{_coded('/'.join(parts[:count]))}"):
                return int(found["id"]), "/".join(parts[count:])
        return None, ""

    async def _all(self, path: str, /, **query: str) -> list[dict] | None:
        found: list[dict] = []
        for page in range(1, PAGES + 1):
            part = await self._ask(path, page=str(page), per_page=str(PAGE), **query)
            if part is None:
                return None
            found += part
            if len(part) < PAGE:
                break
        return found

    async def _ask(self, path: str, /, **query: str) -> object:
        """GitLab's answer; None where it has no such thing."""
        token = GitLabConfig(config=self.config).access_token
        request = HTTPRequest(
            f"{self.api}/{path}?{urlencode(query)}",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            follow_redirects=False,
        )
        try:
            answer = await AsyncHTTPClient().fetch(request, raise_error=False)
        except (OSError, HTTPClientError) as error:
            raise web.HTTPError(502, f"GitLab does not answer: {error}") from None
        if answer.code in (401, 403):
            raise web.HTTPError(403, f"GitLab refuses: write a token that may read (scope read_api) as {TOKEN}")
        if answer.code not in (200, 404):
            raise web.HTTPError(502, f"GitLab answers with {answer.code}")
        try:
            return json.loads(answer.body) if answer.code == 200 else None
        except ValueError:
            raise web.HTTPError(502, "what answers is no GitLab: it sends no JSON") from None


def _coded(path: str) -> str:
    return quote(path, safe="")


def _whole(each: dict) -> str:
    return str(each.get("path_with_namespace") or each["full_path"])


def _jupyter_server_extension_points() -> list[dict]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(app: object) -> None:
    url = os.environ["BDAP_GITLAB_URL"].rstrip("/")
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"BDAP_GITLAB_URL {url!r} is no address")
    base = app.web_app.settings["base_url"].rstrip("/")
    app.web_app.add_handlers(".*$", [(f"{base}/gitlab/(.*)", GitLabHandler, {"url": url})])
