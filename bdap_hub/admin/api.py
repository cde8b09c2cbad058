"""Projects by REST, for administrators and, as far as `access` lets them, for leads: the functions of `bdap projects`.

With a cookie, whoever changes something sends the header X-XSRFToken, as the panel's forms send theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request
from starlette.concurrency import run_in_threadpool

from .. import entitlements
from ..access import Administer, ManageMembers, decide
from ..entitlements import edit
from ..entitlements.edit import Editor, Listed
from ..errors import BadRequest, NotAllowed, NotFound
from ..web import HubLogin, client_address

router = APIRouter(tags=["projects"])
Fields = Annotated[dict[str, Any], Body()]
Json = dict[str, Any]


async def editor(request: Request) -> Editor:
    """Who calls, with what their login proves; NotLoggedIn, or NotAllowed for a dashboard."""
    login: HubLogin = request.app.state.login
    principal = await login.require(request)
    if principal.kind != "person":
        raise NotAllowed("a dashboard edits no projects", "use a person's token")
    person = await login.assured(principal)
    return Editor(person.name, person, client_address(request))


Who = Annotated[Editor, Depends(editor)]


@router.get("/projects")
async def projects(request: Request, who: Who) -> Json:
    """The projects that the caller leads; for administrators all."""
    return {"projects": [_shown(one) for one in await run_in_threadpool(_seen, request, who)]}


@router.get("/projects/{name}")
async def project(request: Request, who: Who, name: str) -> Json:
    """One of them; NotFound for others, whether they exist or not."""
    return _shown(await run_in_threadpool(_one, request, who, name))


@router.post("/projects", status_code=201)
async def create(request: Request, who: Who, fields: Fields) -> Json:
    """A new project: `name`, `title` and what else it is to have."""
    given = {key: value for key, value in fields.items() if key != "name"}
    name = fields.get("name")
    if not isinstance(name, str):
        raise BadRequest(f"name: {name!r:.80} is no text", "send the name of the new project")
    await _edit(request, edit.create, who, name, given)
    return _shown(await run_in_threadpool(_one, request, who, name))


@router.patch("/projects/{name}")
async def change(request: Request, who: Who, name: str, fields: Fields) -> Json:
    """Give fields other values, all or none; `changed` says what became different."""
    told = await _edit(request, edit.change, who, name, fields)
    return {**_shown(await run_in_threadpool(_one, request, who, name)), "changed": [str(one) for one in told]}


async def _edit(request: Request, deed: Callable[..., Any], who: Editor, *arguments: Any) -> Any:
    state = request.app.state
    try:
        return await run_in_threadpool(deed, state.settings, state.sessions, who, *arguments)
    except edit.Refused as refused:
        if refused.decision.step_up:
            raise state.login.step_up(request, refused.decision) from None
        raise


def _seen(request: Request, who: Editor) -> list[Listed]:
    state = request.app.state
    policy = entitlements.policy(state.settings, state.sessions)
    admin = decide(policy, who.person, Administer()).entitled
    found = edit.listed(state.settings, state.sessions)
    return [one for one in found if admin or decide(policy, who.person, ManageMembers(one.name)).entitled]


def _one(request: Request, who: Editor, name: str) -> Listed:
    for one in _seen(request, who):
        if one.name == name:
            return one
    raise NotFound(f"you edit no project {name!r}", "GET the list of projects for those that you do")


def _shown(one: Listed) -> Json:
    return {**one.fields, "editable": one.editable}
