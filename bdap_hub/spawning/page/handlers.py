"""The start page and the page that waits: JupyterHub's own by subclass. A link selects, only a click starts.

GET never starts anything for who comes from elsewhere, `next` leads to one's own servers and the hub's pages only.
"""

from __future__ import annotations

from typing import Any

from jupyterhub.handlers.base import BaseHandler
from jupyterhub.handlers.pages import HomeHandler, SpawnHandler, SpawnPendingHandler
from jupyterhub.scopes import needs_scope
from jupyterhub.utils import url_escape_path, url_path_join
from tornado import web
from tornado.httputil import url_concat

from . import form
from .links import asked, own_path
from .servers import DONE, ServersHandler, forget, state_of

ANOTHER = "Your server runs already. To start what the link asks for beside it, give it a name."


class OwnNext(BaseHandler):  # type: ignore[misc]
    """`next` is looked at wherever it is used, whatever was looked at before."""

    @property
    def own_next(self) -> str:
        """The `next` of this request where it is a place of the person's own, else ''."""
        return own_path(self.get_argument("next", ""), self.current_user.base_url)

    def get_next_url(self, user: Any = None, default: str | None = None) -> str:
        """There, else to `default`; no other part of the query goes along."""
        return self.own_next or default or url_path_join(self.hub.base_url, "home")


class SpawnPage(OwnNext, SpawnHandler):  # type: ignore[misc]
    """GET shows what one may start, POST starts it."""

    server_name = ""
    another = False
    note = ""

    @needs_scope("servers")
    async def _get(self, user_name: str, server_name: str, display_name: str) -> None:
        user = self._owner(user_name)
        self.server_name, wanted = server_name, asked(self._query())
        if server_name:
            await self._check_named_server_request(user, server_name, display_name)
        spawner = self._spawner(user, server_name)
        self.another = bool(self.get_query_argument("another", "")) and self.allow_named_servers and not server_name
        if spawner.active and spawner.name == server_name and not self.another:
            if not self._is_another(spawner, wanted):
                return self.redirect(self._where_it_is(user, spawner))
            self.another, self.note = True, ANOTHER
        if wanted and self._asked_by_us() and not self.another:
            return await self._begin(user, display_name, wanted)
        self.finish(await self._render_form(user, ""))

    @web.authenticated
    def post(self, user_name: str | None = None, server_name: str = "", display_name: str = "") -> Any:
        """Start what the form says; `server` in it names a further server."""
        self.server_name = server_name or self.get_body_argument("server", "")
        self.another = self.server_name != (server_name or "")
        return super().post(user_name, self.server_name, display_name)

    @needs_scope("servers")
    async def _post(self, user_name: str, server_name: str, display_name: str) -> None:
        user = self._owner(user_name)
        new = bool(server_name) and server_name not in user.orm_spawners
        await super()._post(user_name=user_name, server_name=server_name, display_name=display_name)
        if new and state_of(user.spawners[server_name]) == "stopped":
            await forget(self, user, server_name)  # refused: it was never there

    async def _render_form(
        self, for_user: Any, spawner_options_form: Any, message: str = "", html_message: str = ""
    ) -> str:
        spawner = self._spawner(for_user, self.server_name)
        page = await spawner.start_page(self, asked(self._query()))
        return str(
            await self.render_template(
                "spawn.html",
                for_user=for_user,
                form=page,
                spawner_options_form=form.render(page),
                error_message=message,
                note=self.note or page.refused,
                url=self._action(for_user),
                server_name="" if self.another else self.server_name,
                another=self.another,
                typed=self.server_name if self.another else "",
                next=self.own_next,
            )
        )

    async def _begin(self, user: Any, display_name: str, options: dict[str, str]) -> None:
        """Start without the form; what is refused is read on the form."""
        new = bool(self.server_name) and self.server_name not in user.orm_spawners
        spawner = user.get_or_create_spawner(self.server_name, display_name, replace_failed=True)
        try:
            pending = self._get_pending_url(user, self.server_name)
            await self._wrap_spawn_single_user(user, self.server_name, display_name, spawner, pending, options)
        except web.HTTPError as error:
            if new:
                await forget(self, user, self.server_name)
            self.set_status(error.status_code)
            message = getattr(error, "jupyterhub_message", "") or error.log_message or error.reason or ""
            self.finish(await self._render_form(user, "", str(message)))

    def _owner(self, name: str) -> Any:
        user = self.current_user if self.current_user.name == name else self.find_user(name)
        if user is None:
            raise web.HTTPError(404, f"No such user: {name}")
        return user

    def _spawner(self, user: Any, server_name: str) -> Any:
        """That server's, one whose last start failed made anew; the default's for a name that is not there yet."""
        known = server_name if server_name in user.orm_spawners else ""
        return user.get_spawner(known, replace_failed=True)

    def _is_another(self, spawner: Any, wanted: dict[str, str]) -> bool:
        """Whether a link asks for something else than what runs, and there may be a second server."""
        runs = {key: str(value) for key, value in (spawner.user_options or {}).items()}
        return not self.server_name and self.allow_named_servers and any(runs.get(k) != v for k, v in wanted.items())

    def _where_it_is(self, user: Any, spawner: Any) -> str:
        if spawner.ready:
            return self.get_next_url(user, user.server_url(self.server_name))
        return self._get_pending_url(user, self.server_name)

    def _asked_by_us(self) -> bool:
        """Whether this GET proves, as JupyterHub demands of a POST, that no other site made the browser send it."""
        return bool(self.get_query_argument("_xsrf", "").encode() == self.xsrf_token)

    def _query(self) -> dict[str, list[str]]:
        return {key: [value.decode(errors="replace") for value in values] for key, values in self._arguments()}

    def _arguments(self) -> Any:
        return self.request.query_arguments.items()

    def _action(self, user: Any) -> str:
        path = url_path_join(self.hub.base_url, "spawn")
        if self.server_name and not self.another:
            path = url_path_join(path, user.escaped_name, url_escape_path(self.server_name))
        elif user is not self.current_user:
            path = url_path_join(path, user.escaped_name)
        return str(url_concat(path, {"next": self.own_next} if self.own_next else {}))

    def _get_pending_url(self, user: Any, server_name: str) -> str:
        """Where one waits; of the query only `next` goes along."""
        path = url_path_join(self.hub.base_url, "spawn-pending", user.escaped_name, url_escape_path(server_name))
        return str(url_concat(path, {"next": self.own_next} if self.own_next else {}))


class HomePage(HomeHandler):  # type: ignore[misc]
    """The list of one's servers; `done` says what has just become of one."""

    @property
    def template_namespace(self) -> dict[str, Any]:
        """With the sentence for it."""
        return {**super().template_namespace, "done": DONE.get(self.get_argument("done", ""), "")}


class PendingPage(OwnNext, SpawnPendingHandler):  # type: ignore[misc]
    """The page that waits for a start, and then leads on."""


HANDLERS: list[tuple[str, Any]] = [
    (r"/home", HomePage),
    (r"/servers", ServersHandler),
    (r"/spawn", SpawnPage),
    (r"/spawn/([^/]+)", SpawnPage),
    (r"/spawn/([^/]+)/([^/]+)", SpawnPage),
    (r"/spawn-pending/([^/]+)", PendingPage),
    (r"/spawn-pending/([^/]+)/([^/]+)", PendingPage),
]
"""(path below /hub, tornado handler) of each; they come before JupyterHub's own."""
