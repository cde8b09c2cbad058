"""The gateway's own pages, and the headers of all that it answers."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, select_autoescape
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from ...errors import BdapError
from ...settings import Settings
from ..records import Live

OWN_CSP = (
    "default-src 'none'; style-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
TITLES = {401: "Please open it again", 403: "Not allowed", 404: "Not found", 503: "Not available just now"}
GALLERY = "/services/dashboards/"


class Answers:
    """What the gateway is built on."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.templates = Environment(
            loader=PackageLoader("bdap_hub.dashboards", "templates"), autoescape=select_autoescape(default=True)
        )

    async def on_error(self, request: Request, error: Exception) -> Response:
        """A refusal as a readable page, or as JSON for programs."""
        assert isinstance(error, BdapError)
        if "text/html" not in request.headers.get("accept", ""):
            return self._own(JSONResponse(error.public(), error.status))
        title = TITLES.get(error.status, "That did not work")
        message = error.message[:1].upper() + error.message[1:] + "."
        return self._page(error.status, title, message, error.remedy, code=error.status)

    def _framed(self, response: Response, live: Live) -> Response:
        """Let the sites that its owners name show it in a frame."""
        if live.embed and not live.preview:
            policy = response.headers.get("Content-Security-Policy", "")
            named = " ".join(("frame-ancestors 'self'", *live.embed))
            response.headers["Content-Security-Policy"] = policy.replace("frame-ancestors 'self'", named)
        return response

    def _dressed(self, response: Response) -> Response:
        response.headers["Content-Security-Policy"] = self._csp()
        return self._guard(response)

    def _gallery(self) -> str:
        return f"{self.settings.hub.public_url}{GALLERY}"

    def _page(
        self, status: int, title: str, message: str, remedy: str = "", refresh: int = 0, code: int = 0, script: str = ""
    ) -> Response:
        values: dict[str, Any] = {
            "title": title,
            "message": message,
            "remedy": remedy,
            "refresh": refresh,
            "code": code,
            "script": script,
        }
        html = self.templates.get_template("gateway.html").render(
            platform=self.settings.hub.platform_name, gallery=self._gallery(), **values
        )
        response = HTMLResponse(html, status, {"Cache-Control": "no-store"})
        if refresh:
            response.headers["Retry-After"] = str(refresh)
        return self._own(response)

    def _plain(self, status: int, text: str) -> Response:
        return self._own(Response(text, status, {"Cache-Control": "no-store"}, "text/plain"))

    def _own(self, response: Response) -> Response:
        response.headers["Content-Security-Policy"] = OWN_CSP
        return self._guard(response)

    def _guard(self, response: Response) -> Response:
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Referrer-Policy"] = "same-origin"
        response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return response

    def _csp(self) -> str:
        """Scripts, styles and fonts from the dashboard's own origin only; pictures (map tiles) from anywhere."""
        more = " ".join(self.settings.dashboards.script_origins)
        calls = f"{self.settings.hub.public_url} {more}"
        return (
            f"default-src 'self' data: blob: {more}; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob: {more}; "
            f"style-src 'self' 'unsafe-inline' {more}; img-src * data: blob:; connect-src 'self' data: blob: {calls}; "
            "worker-src 'self' blob:; object-src 'none'; base-uri 'self'; frame-ancestors 'self'"
        )


def confined(response: Response, live: Live) -> Response:
    """Of what not everybody may see, only the visitor's own browser keeps anything."""
    if live.open:
        return response
    said = [part.strip() for part in response.headers.get("Cache-Control", "").split(",")]
    rest = [part for part in said if part and part not in ("public", "private") and not part.startswith("s-maxage")]
    response.headers["Cache-Control"] = ", ".join(["private", *rest])
    return response
