"""Answers for a static page: its files, read-only from the bundle. Nothing runs for its visitors."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response

from ...errors import NotFound
from ..bundles.site import find, kind_of
from ..records import Live
from ..snapshots.assets import COMPRESSED, MAX_ASSET, Assets, make_asset


async def page_file(assets: Assets, bundle: Path, live: Live, request: Request) -> Response:
    """The file at the request's path, compressed for who takes that, in part for who asks for a part; NotFound."""
    path = request.scope["path"]
    file = await run_in_threadpool(find, bundle, live.entry, path)
    if file is None and await run_in_threadpool(find, bundle, live.entry, f"{path}/"):
        where = request.scope["raw_path"].decode("ascii") + "/"  # of a folder: what its page names lies in it
        return RedirectResponse(f"{where}?{request.url.query}" if request.url.query else where, 307)
    if file is None:
        raise NotFound("this page has no such file", "open the page's own address")
    kind, tag = kind_of(file.name), _tag(live, file.relative_to(bundle).as_posix())
    life = "no-cache" if live.open else "private, no-cache"
    whole = request.method == "GET" and "range" not in request.headers
    if whole and COMPRESSED.match(kind or "") and file.stat().st_size <= MAX_ASSET:
        return await _compressed(assets, live, request, file, tag, life)
    headers = {"ETag": tag, "Cache-Control": life, "Vary": "Accept-Encoding"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return FileResponse(file, headers=headers, media_type=kind)


async def _compressed(assets: Assets, live: Live, request: Request, file: Path, tag: str, life: str) -> Response:
    """From memory, where it lies compressed."""
    kept = f"{live.bundle}/{live.entry}"  # names may be given anew: a project was renamed, and another has its name
    asset = assets.get(kept, request)
    if asset is None:
        made = await run_in_threadpool(lambda: make_asset(file.read_bytes(), _named(file), False))
        asset = assets.put(kept, request, replace(made, tag=tag))
    return asset.answer(request, life)


def _named(file: Path) -> str:
    """What it is; texts of a page are UTF-8."""
    kind = kind_of(file.name) or ""
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _tag(live: Live, name: str) -> str:
    """A bundle's files never change."""
    return f'"{hashlib.sha256(f"{live.bundle} {name}".encode()).hexdigest()[:24]}"'
