"""Which of a bundle's files a static page is made of, and what browsers are told that they are.

Files with one of these endings that lie beside the entry or below are the page's. All else stays here: the manifest,
sources, hidden files, links.
"""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from ...errors import BadRequest

_TYPES = {
    "text/html": "html htm",
    "text/css": "css",
    "text/javascript": "js mjs",
    "text/plain": "txt",
    "text/csv": "csv",
    "text/tab-separated-values": "tsv",
    "text/vtt": "vtt",
    "application/json": "json map topojson",
    "application/geo+json": "geojson",
    "application/manifest+json": "webmanifest",
    "application/xml": "xml kml",
    "application/wasm": "wasm",
    "application/pdf": "pdf",
    "application/zip": "zip whl",
    "application/gzip": "gz",
    "application/octet-stream": "bin data arrow parquet pmtiles pbf mvt glb tif tiff",
    "image/svg+xml": "svg",
    "image/png": "png",
    "image/jpeg": "jpg jpeg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/avif": "avif",
    "image/x-icon": "ico",
    "font/woff": "woff",
    "font/woff2": "woff2",
    "font/ttf": "ttf",
    "font/otf": "otf",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "audio/mpeg": "mp3",
    "audio/ogg": "ogg",
}
TYPES = {f".{ending}": kind for kind, endings in _TYPES.items() for ending in endings.split()}


def find(bundle: Path, entry: str, path: str) -> Path | None:
    """The page's file at that path of its address; None for all that is none. A folder's is its index.html."""
    root, name = (bundle / entry).parent, path.removeprefix("/")
    if not path.startswith("/") or not path.isprintable() or "\\" in path:
        return None
    if not name or name.endswith("/"):
        name = f"{name}index.html" if name else PurePosixPath(entry).name
    parts = name.split("/")
    if any(not part or part.startswith(".") for part in parts) or kind_of(name) is None:
        return None
    found = root.joinpath(*parts)
    try:
        real = found.resolve(strict=True)
    except OSError:
        return None
    return found if real == root.resolve().joinpath(*parts) and real.is_file() else None


def kind_of(name: str) -> str | None:
    """What browsers are told that a file of that name is; None where it is none of a page's."""
    return TYPES.get(PurePosixPath(name).suffix.lower())


def is_page(path: str) -> bool:
    """Whether that path of an address is a page, and no file of one."""
    return path.endswith("/") or kind_of(path) == "text/html"


def open_once(bundle: Path, entry: str, origins: tuple[str, ...]) -> None:
    """Read the entry as a browser would; BadRequest where it asks for scripts or styles that visitors will not get."""
    for asked in _asked(bundle, entry):
        target = _target(f"http://page/{PurePosixPath(entry).name}", asked)
        if target.scheme not in ("http", "https"):
            continue
        if target.netloc == "page":
            if find(bundle, entry, unquote(target.path)) is None:
                raise BadRequest(f"{entry} asks for {asked!r:.200}, which is none of its files", "put it beside it")
        elif f"{target.scheme}://{target.netloc}" not in origins:
            raise BadRequest(
                f"{entry} asks {target.netloc!r:.200} for {asked!r:.200}, and visitors' browsers get it from no other "
                "site",
                "put that file beside it, or ask the operator for that site (dashboards.script_origins)",
            )


def loaded(page: str) -> list[str]:
    """Paths of the scripts and style sheets that a page at / asks of its own address."""
    reader = _Asked()
    reader.feed(page)
    targets = [_target("http://page/", asked) for asked in reader.found]
    ours = [target for target in targets if target.netloc == "page" and target.scheme == "http"]
    return [f"{target.path}?{target.query}" if target.query else target.path for target in ours]


def _target(page: str, asked: str) -> SplitResult:
    """Where that leads from the page; BadRequest for what is no address."""
    try:
        return urlsplit(urljoin(page, asked))
    except ValueError:
        raise BadRequest(f"the page asks for {asked!r:.200}, which is no address", "mend it in the page") from None


def _asked(bundle: Path, entry: str) -> list[str]:
    file = find(bundle, entry, "/")
    try:
        text = file.read_text("utf-8") if file else ""
    except UnicodeDecodeError:
        raise BadRequest(f"{entry} is no text in UTF-8", "save it as UTF-8") from None
    if not text.strip():
        raise BadRequest(f"{entry} is empty", "write the page into it")
    reader = _Asked()
    reader.feed(text)
    return [] if reader.elsewhere else reader.found


class _Asked(HTMLParser):
    """Addresses of a page's scripts and style sheets. A page with a <base> has them anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.elsewhere = False
        self._inert = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = {name: value or "" for name, value in attrs}
        self._inert += tag in ("template", "noscript")
        self.elsewhere = self.elsewhere or tag == "base"
        sheet = tag == "link" and "stylesheet" in said.get("rel", "").lower().split()
        asked = said.get("src") if tag == "script" else said.get("href") if sheet else ""
        if asked and not self._inert:
            self.found.append(asked.strip())

    def handle_endtag(self, tag: str) -> None:
        self._inert -= tag in ("template", "noscript") and self._inert > 0
