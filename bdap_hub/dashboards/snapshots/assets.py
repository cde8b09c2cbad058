"""Keeps Voilà's own scripts and styles of each release in memory, compressed: a page asks for some 150 of them.

Only the image's files are kept, which cannot change while a release runs; never the page or the bundle's files.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from collections import OrderedDict
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

MAX_BYTES = 192 * 2**20
MAX_ASSET = 16 * 2**20
_KEPT = re.compile(r"/(?:voila/(?:static|templates|labextensions)|_stage/static)/.+")
_HASHED = re.compile(r"[.-][0-9a-f]{16,}\.\w+$|^[0-9a-f]{20}\.\w+$")
COMPRESSED = re.compile(r"(?:text/|application/(?:javascript|(?:\w+\+)?json|xml|x-javascript|wasm)|image/svg\+xml)")


@dataclass(frozen=True)
class Asset:
    """A file as it is sent: with its type and tag, and gzipped where that helps."""

    body: bytes
    zipped: bytes | None
    kind: str
    tag: str
    immutable: bool

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return len(self.body) + len(self.zipped or b"")

    def answer(self, request: Request, life: str = "") -> Response:
        """The file, compressed for who takes that, or 304 for who has it."""
        life = life or ("public, max-age=31536000, immutable" if self.immutable else "public, max-age=300")
        headers = {"ETag": self.tag, "Cache-Control": life, "Vary": "Accept-Encoding"}
        if self.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        if self.zipped is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(self.zipped, headers={**headers, "Content-Encoding": "gzip"}, media_type=self.kind)
        return Response(self.body, headers=headers, media_type=self.kind)


class Assets:
    """The least recently used leave first."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max, self._bytes = max_bytes, 0
        self._kept: OrderedDict[tuple[str, str], Asset] = OrderedDict()

    @staticmethod
    def wants(request: Request) -> bool:
        """Whether the request is for a file that may be kept, and for all of it."""
        path = request.scope["path"]
        return request.method == "GET" and bool(_KEPT.fullmatch(path)) and "range" not in request.headers

    def get(self, release: str, request: Request) -> Asset | None:
        """The kept file. Releases do not share: what one might serve wrongly reaches no visitor of another."""
        key = (release, _key(request))
        if (asset := self._kept.get(key)) is not None:
            self._kept.move_to_end(key)
        return asset

    def keep(self, release: str, request: Request, body: bytes, kind: str) -> Asset:
        """Keep a file just fetched from the release."""
        path = str(request.scope["path"])
        hashed = path.startswith("/_stage/static/") or bool(_HASHED.search(path.rpartition("/")[2]))
        asset = make_asset(body, kind, hashed)
        if len(body) <= MAX_ASSET:
            self._put((release, _key(request)), asset)
        return asset

    def put(self, release: str, request: Request, asset: Asset) -> Asset:
        """Keep a file that is ready to be sent."""
        self._put((release, _key(request)), asset)
        return asset

    def _put(self, key: tuple[str, str], asset: Asset) -> None:
        if (old := self._kept.pop(key, None)) is not None:
            self._bytes -= old.size
        self._kept[key] = asset
        self._bytes += asset.size
        while self._bytes > self._max and self._kept:
            self._bytes -= self._kept.popitem(last=False)[1].size


def make_asset(body: bytes, kind: str, immutable: bool) -> Asset:
    """A file with its tag, and gzipped where that helps."""
    zipped = gzip.compress(body, 6) if COMPRESSED.match(kind) and len(body) > 800 else None
    return Asset(body, zipped, kind, f'"{hashlib.sha256(body).hexdigest()[:24]}"', immutable)


def _key(request: Request) -> str:
    """The path alone: the query only tells versions apart that one image does not have."""
    return str(request.scope["path"])
