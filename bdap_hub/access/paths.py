"""Folders of the store: how a path is written, and who reads and writes below it.

Links are not looked at here: who mounts a folder resolves it first.
"""

from __future__ import annotations

import hashlib
import string
import unicodedata

from .model import Decision, Person, Policy, Project
from .requests import ReadPath, WritePath
from .rules import member, no, over, proven, see, unknown, yes

LONGEST = 1024
OWN = {"results": "a result", "files": "a file"}
"""Areas of the store in which everybody has a folder that nobody else reads: of results of jobs, of uploaded files."""
_PLAIN = frozenset(string.ascii_lowercase + string.digits + "-_.@")


def problem_of(path: str, mount: str) -> str:
    """What is wrong with a path of the store, '' for nothing: one spelling for each folder, below data or projects.

    >>> problem_of("/eos/data/../projects/x", "/eos")
    "has the part '..'"
    """
    if not isinstance(path, str) or not path or len(path) > LONGEST:
        return f"is no text of 1 to {LONGEST} characters"
    if any(ord(c) < 32 or ord(c) == 127 or c in "\\%" for c in path):
        return "has a control character, a backslash or a per cent sign"
    if unicodedata.normalize("NFKC", path) != path:
        return "has characters that look like others"
    root = mount.rstrip("/")
    if not path.startswith((f"{root}/data/", f"{root}/projects/")) and path != f"{root}/data":
        return f"is not below {root}/data or {root}/projects"
    for part in path.split("/")[1:]:
        if part in ("", ".", ".."):
            return f"has the part {part!r}"
        if part[-1] in ". " or part[0] == " ":
            return f"has the part {part!r}, which begins or ends with a blank or ends with a dot"
    return ""


def read(policy: Policy, person: Person, request: ReadPath) -> Decision:
    """Whether they may read below the path: what is open, their projects' folders, what is granted, what is theirs."""
    for area in OWN:
        if request.path.startswith(f"{policy.mount.rstrip('/')}/{area}/"):
            return _own(policy, person, request.path, area)
    mine = _asking(policy, person, request.project, request.path)
    if isinstance(mine, Decision):
        return mine
    if (granted := _granted(policy, person, mine, request.path, write=False)) is not None:
        return granted
    if owner := _owner(policy, request.path):
        target = policy.project(owner)
        if target is None:
            return unknown(policy, owner)
        return proven(policy, person, member(policy, person, owner), target.requires)
    return see(policy, person, request.visibility, request.owner, request.path)


def write(policy: Policy, person: Person, request: WritePath) -> Decision:
    """Whether they may write below the path: in the folder of the project that they work in, and what is granted."""
    mine = _asking(policy, person, request.project, request.path)
    if isinstance(mine, Decision):
        return mine
    owner = _owner(policy, request.path)
    if target := next((project for project in mine if project.name == owner), None):
        may = yes("own-folder", f"{request.path} is of project {owner}")
        return proven(policy, person, may, target.requires)
    if (granted := _granted(policy, person, mine, request.path, write=True)) is not None:
        return granted
    where = f"a server of project {request.project}" if request.project else person.name
    return no("store-grant", f"{where} may not write {request.path}")


def results_folder(name: str) -> str:
    """A person's folder below <mount>/results and <mount>/files: the name itself where it is a plain one.

    >>> results_folder("ana"), results_folder("../ana")
    ('ana', '~7b4ed09b5f7b8bcf36ea3d3b')
    """
    plain = name[:1].isalnum() and len(name) <= 64 and all(c in _PLAIN for c in name)
    return name if plain else f"~{hashlib.sha256(name.encode()).hexdigest()[:24]}"


def _own(policy: Policy, person: Person, path: str, area: str) -> Decision:
    """Nobody but whose it is reads a result of a job, or an uploaded file."""
    parts = path.removeprefix(f"{policy.mount.rstrip('/')}/{area}/").split("/")
    if parts[0] != results_folder(person.name) or any(part in ("", ".", "..") for part in parts):
        return no(f"own-{area}", f"{path[:80]!r} are not {area} of {person.name}")
    return yes(f"own-{area}", f"{path} is {OWN[area]} of {person.name}")


def _asking(policy: Policy, person: Person, name: str, path: str) -> list[Project] | Decision:
    """The projects whose grants count; the refusal where the path is malformed or there is none."""
    if problem := problem_of(path, policy.mount):
        return no("path", f"the path {path[:80]!r} {problem}")
    if name:
        project, membership = policy.project(name), member(policy, person, name)
        return [project] if project and membership else membership
    mine = [project for project in policy.projects if member(policy, person, project.name)]
    return mine or no("membership", f"{person.name} is in no project")


def _granted(policy: Policy, person: Person, mine: list[Project], path: str, *, write: bool) -> Decision | None:
    """The yes of a grant, unless the project whose folder it is has ended."""
    owner = _owner(policy, path)
    target = policy.project(owner)
    if owner and (target is None or over(policy, target) is not None):
        return None
    for project in mine:
        for grant in project.store:
            if (grant.write or not write) and (path == grant.path or path.startswith(f"{grant.path}/")):
                may = yes("store-grant", f"project {project.name} may {'write' if write else 'read'} {grant.path}")
                return proven(policy, person, may, project.requires)
    return None


def _owner(policy: Policy, path: str) -> str:
    """The name of the project whose folder holds the path; '' for the data."""
    root = f"{policy.mount.rstrip('/')}/projects/"
    return path.removeprefix(root).split("/")[0] if path.startswith(root) else ""
