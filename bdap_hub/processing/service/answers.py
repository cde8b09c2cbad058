"""Errors as openEO writes them: id, code, message, links; on every route, for what the framework refuses too."""

from __future__ import annotations

import logging
import secrets
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from ...errors import BadRequest, BdapError, Busy, NotFound, NotLoggedIn
from .cors import ALWAYS

log = logging.getLogger(__name__)
CODES = {405: "FeatureUnsupported", 501: "FeatureUnsupported", 503: "InfrastructureBusy"}


def add_errors(app: FastAPI) -> None:
    """Handlers for our own errors, for the framework's, and for what nobody expected."""
    app.add_exception_handler(BdapError, _known)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


def body(error: BdapError, identifier: str = "") -> dict[str, Any]:
    """An error as JSON. `id` names this one occurrence; in the log it is found by it."""
    return {"id": identifier or secrets.token_hex(8), **error.public(), "links": []}


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, BdapError)
    headers = {}
    if isinstance(error, Busy):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, NotLoggedIn):
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body(error), error.status, headers)


async def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return await _known(request, NotFound(f"there is nothing at {request.url.path}", "GET / lists what there is"))
    wrapped = BdapError(f"{request.method} {request.url.path}: {error.detail}", "GET / lists what there is")
    wrapped.status, wrapped.code = error.status_code, CODES.get(error.status_code, "BadRequest")
    answer = await _known(request, wrapped)
    answer.headers.update(error.headers or {})
    return answer


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "body"
    return await _known(request, BadRequest(f"{where}: {first['msg']} (got {first.get('input')!r:.80})"))


async def _unexpected(request: Request, error: Exception) -> Response:
    identifier = secrets.token_hex(8)
    log.error("unexpected error %s at %s %s", identifier, request.method, request.url.path)
    sentence = "the processing service failed at this request"
    return JSONResponse(
        body(BdapError(sentence, f"tell the platform's operators the id {identifier}"), identifier), 500, ALWAYS
    )
