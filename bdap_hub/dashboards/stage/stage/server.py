"""The web server of a dashboard's sandbox: the page, its files, and the visitors' websockets."""

from __future__ import annotations

import mimetypes
import re
from typing import Any

import tornado.web

from . import identity, snapshot, wire
from .children import Child, Frame, Full
from .plain import ProxiedPage, ProxiedSocket
from .stage import Stage

KERNEL = r"([0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
PICTURES = re.compile(r".*\.(png|jpe?g|gif|svg|webp)", re.IGNORECASE)
KERNEL_INFO = "kernel_info_request"
MOST_ASKED = 8 * 2**10  # bytes of an address that a notebook is told
YEAR = "public, max-age=31536000, immutable"


def make_app(stage: Stage) -> tornado.web.Application:
    """Routes, all of them; what is none of ours is Voilà's, if it runs."""
    told = {"stage": stage}
    return tornado.web.Application(
        [
            (r"/", Page, told),
            (r"/_stage/page", Page, told),
            (r"/_stage/state", State, told),
            (r"/_stage/static/([0-9a-f]{16})/(.+)", Static, told),
            (r"/_ready", Ready),
            (rf"/_stage/kernels/{KERNEL}", Kernel, told),
            (rf"/api/kernels/{KERNEL}/channels", Channels, told),
            (r"/voila/files/(.+)", Picture, told),
            (r"/.*", Other, told),
        ],
        websocket_ping_interval=25,
        websocket_max_message_size=32 * 2**20,
        log_function=lambda _handler: None,
    )


class Handler(tornado.web.RequestHandler):
    """Knows the stage; says errors in a few words."""

    def initialize(self, stage: Stage) -> None:
        """Called by tornado."""
        self.stage = stage

    def write_error(self, status_code: int, **_: Any) -> None:
        """Without traces."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("not found" if status_code == 404 else "that did not work")


class Ready(tornado.web.RequestHandler):
    """Whether the server listens."""

    def get(self) -> None:
        """Nothing to say."""
        self.set_status(204)


class Kernel(Handler):
    """Whether a kernel is here, for the gateway, where a release runs in several copies."""

    async def get(self, uuid: str) -> None:
        """204, or 404."""
        here = uuid in self.stage.children.alive or await self.stage.voila.has_kernel(uuid)
        self.set_status(204 if here else 404)


class State(Handler):
    """How the dashboard runs, for the publisher."""

    def get(self) -> None:
        """JSON."""
        self.set_header("Cache-Control", "no-store")
        self.finish(self.stage.state(memory="memory" in self.request.arguments))


class Page(ProxiedPage):
    """The dashboard's page."""

    async def get(self, *_: str) -> None:
        """Of the snapshot, of a process made for this visitor, or Voilà's."""
        visitor = _visitor(self)
        await self.stage.ready.wait()
        self.set_header("Cache-Control", "no-store")
        query = self.request.query if self.request.path == "/" else ""
        if len(query) + len(self.request.host) > MOST_ASKED:
            self.set_status(414)
            self.finish(f"This address is too long: a dashboard reads {MOST_ASKED // 1024} KB of it.")
            return
        try:
            page = await self.stage.page(query, visitor, f"{_scheme(self)}://{self.request.host}")
        except Full:
            self.set_status(503)
            self.set_header("Retry-After", "5")
            self.finish("Many people look at this dashboard just now: try again in a moment.")
            return
        if page is None:
            await self.proxy()
            return
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Bdap-Stage", self.stage.mode if page.shared else "own")  # the gateway keeps what is shared
        self.set_status(500 if page.failed else 200)
        self.finish(page.html)


class Static(Handler):
    """Scripts and styles; the address has their hash."""

    def get(self, digest: str, path: str) -> None:
        """The file, for a year."""
        content = self.stage.statics.read(path) if digest == self.stage.statics.hash else None
        if content is None:
            raise tornado.web.HTTPError(404)
        self.set_header("Content-Type", mimetypes.guess_type(path)[0] or "application/octet-stream")
        self.set_header("Cache-Control", YEAR)
        self.finish(content)


class Picture(Handler):
    """Pictures of the bundle, nothing else of it."""

    def get(self, path: str) -> None:
        """The file."""
        root = self.stage.root.resolve()
        found = (root / path).resolve()
        if not PICTURES.fullmatch(path):
            raise tornado.web.HTTPError(403)
        if not found.is_relative_to(root) or not found.is_file():
            raise tornado.web.HTTPError(404)
        self.set_header("Content-Type", mimetypes.guess_type(found.name)[0] or "application/octet-stream")
        self.finish(found.read_bytes())


class Other(ProxiedPage):
    """What only Voilà has."""

    async def get(self, *_: str) -> None:
        """From Voilà, where it runs."""
        await self.proxy()


class Channels(ProxiedSocket):
    """A visitor's websocket: answered from the snapshot until the first gesture, then by a process of their own."""

    async def open(self, uuid: str) -> None:
        """Say hello, and what was missed."""
        self.uuid, self.child, self._controls = uuid, None, set()
        self._visitor = _visitor(self)  # what is signed is believed for a short time: the first gesture may come later
        await self.stage.ready.wait()
        if await self.is_voilas(uuid):
            await self.join()
            return
        if self.stage.mode in ("", "plain"):
            self.close(1008, "no such kernel")
            return
        child = self.stage.children.alive.get(uuid)
        after = child.last if child and self.get_argument("fresh", "") else _number(self.get_argument("after", "0"))
        hello = {"alive": child is not None, "complete": True, "page": self.stage.digest, "names": self.stage.names}
        missed: list[Frame] = []
        if child is not None:
            hello["complete"] = child.missed(missed, after)
            child.attach(self._heard)
            self.child = child
        self._send(wire.message("iopub_welcome", {"subscription": "", "stage": hello}))
        for frame in missed:
            self.pass_on(frame)

    async def on_message(self, frame: str | bytes) -> None:
        """A visitor's frame. What cannot be read is not answered."""
        if self.joined:
            self.forward(frame)
            return
        try:
            message = wire.from_browser(frame)
        except (ValueError, KeyError, TypeError, IndexError):
            return
        if self._snapshot(message) or message["header"].get("msg_type") not in snapshot.ALLOWED:
            return
        try:
            child = await self._mine()
        except Full:
            self._send(wire.message("iopub_welcome", {"subscription": "", "stage": {"full": True}}))
            self.close(1013, "full")
        except (RuntimeError, OSError, TimeoutError):
            self._end()
        else:
            await child.say(message)

    def on_close(self) -> None:
        """The process waits for the visitor to come back."""
        if self.child is not None:
            self.child.detach(self._heard)
        self.leave()

    def _snapshot(self, message: wire.Message) -> bool:
        """Whether the snapshot answers: what needs no process of the visitor's own."""
        if self.stage.children.alive.get(self.uuid) is not None and message["header"].get("msg_type") != KERNEL_INFO:
            return False
        answers = snapshot.answer(message, self.stage.widgets, self._controls)
        for answer in answers or []:
            self._send(answer)
        return answers is not None

    async def _mine(self) -> Child:
        child = self.stage.children.alive.get(self.uuid)
        if child is None and self.get_argument("own", ""):
            raise RuntimeError("the process that made this page is gone")
        if child is None:
            child = await self.stage.fork(self.uuid, self._visitor)
        if self.child is not child:
            self.child = child
            child.attach(self._heard)
        return child

    def _heard(self, number: int, frame: Frame) -> None:
        """From the process; a negative number: it has ended."""
        if number < 0:
            self._end()
            return
        self.pass_on(frame)

    def _end(self) -> None:
        self._send(wire.message("shutdown_reply", {"restart": False, "stage": {"ended": True}}))
        self.close(1001)

    def _send(self, message: wire.Message) -> None:
        self.pass_on(wire.to_browser(message))


def _visitor(handler: Page | Channels) -> dict[str, Any] | None:
    return identity.read(handler.stage.key, handler.request.headers.get(identity.HEADER, ""))


def _scheme(handler: Page) -> str:
    """As the gateway says the visitor sees it."""
    return "https" if handler.request.headers.get("X-Forwarded-Proto") == "https" else "http"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0
