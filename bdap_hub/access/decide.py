"""The one decision function: deny by default, each rule only adds, each answer says why."""

from __future__ import annotations

from .model import (
    Administer,
    ChangeDashboard,
    Decision,
    ManageMembers,
    Person,
    Policy,
    Project,
    Publish,
    ReadCollection,
    Request,
    Requirement,
    Role,
    UseImage,
    UseProject,
    ViewDashboard,
    Visibility,
)


def decide(policy: Policy, person: Person | None, request: Request) -> Decision:
    """Whether `person` (None: nobody is logged in) may do what `request` asks under `policy`."""
    match request:
        case ReadCollection():
            return _see(policy, person, request.visibility, request.project, f"collection {request.collection}")
        case ViewDashboard():
            return _see(policy, person, request.visibility, request.project, f"dashboard {request.dashboard}")
        case _ if person is None:
            return Decision(False, "nobody is logged in")
        case Administer():
            return _proven(policy, person, _in_group(person, policy.admin_group), _action(policy, "administer"))
        case ManageMembers():
            return _manage_members(policy, person, request)
        case UseProject():
            return _use_project(policy, person, request.project)
        case UseImage():
            return _use_image(policy, person, request)
        case Publish():
            return _publish(policy, person, request)
        case ChangeDashboard():
            return _change_dashboard(policy, person, request)
    raise TypeError(f"no rule for {request!r}")


def _see(policy: Policy, person: Person | None, visibility: Visibility, project: str, what: str) -> Decision:
    if visibility == "public":
        return Decision(True, f"{what} is public")
    if person is None:
        return Decision(False, f"{what} is not public and nobody is logged in")
    if visibility == "people":
        return Decision(True, f"{what} is for everybody logged in")
    if visibility == "project":
        return _member(policy, person, project)
    return Decision(False, f"{what} has the unknown visibility {visibility!r}")


def _member(policy: Policy, person: Person, name: str) -> Decision:
    project = policy.project(name)
    if project is None:
        return Decision(False, f"there is no project {name!r}")
    return _in_project(person, project)


def _in_project(person: Person, project: Project) -> Decision:
    if role := role_in(project, person.groups):
        return Decision(True, f"{person.name} is a {role} of project {project.name}")
    return Decision(False, f"{person.name} is not a member of project {project.name}")


def _in_group(person: Person, group: str) -> Decision:
    if group in person.groups:
        return Decision(True, f"{person.name} is in group {group}")
    return Decision(False, f"{person.name} is not in group {group}")


def _use_project(policy: Policy, person: Person, name: str) -> Decision:
    project = policy.project(name)
    demand = project.requires if project else Requirement()
    return _proven(policy, person, _member(policy, person, name), demand)


def _use_image(policy: Policy, person: Person, request: UseImage) -> Decision:
    membership = _member(policy, person, request.project)
    if not membership:
        return membership
    project, image = policy.project(request.project), policy.image(request.image)
    if project is None or image is None or request.image not in project.images:
        return Decision(False, f"project {request.project} has no image {request.image!r}")
    if image.gpu and policy.gpus < 1:
        return Decision(False, f"image {image.name} needs a GPU and this platform has none")
    may = Decision(True, f"project {request.project} may use image {image.name}")
    gpu = _action(policy, "gpu") if image.gpu else Requirement()
    return _proven(policy, person, may, project.requires, image.requires, gpu)


def _publish(policy: Policy, person: Person, request: Publish) -> Decision:
    others = request.owner not in ("", person.name)
    if others and policy.admin_group not in person.groups:
        return Decision(False, f"the dashboard belongs to {request.owner}")
    project = policy.project(request.project)
    demands = [project.requires if project else Requirement(), _for_everybody(policy, request.visibility)]
    if others:
        demands.append(_action(policy, "administer"))
    return _proven(policy, person, _member(policy, person, request.project), *demands)


def _change_dashboard(policy: Policy, person: Person, request: ChangeDashboard) -> Decision:
    own = _publish(policy, person, Publish(request.project, request.visibility, request.owner))
    admin = _in_group(person, policy.admin_group)
    if own.entitled or not admin:
        return own
    return _proven(policy, person, admin, _action(policy, "administer"), _for_everybody(policy, request.visibility))


def _for_everybody(policy: Policy, visibility: Visibility) -> Requirement:
    return _action(policy, "publish-public") if visibility == "public" else Requirement()


def _manage_members(policy: Policy, person: Person, request: ManageMembers) -> Decision:
    project = policy.project(request.project)
    if project is None:
        return Decision(False, f"there is no project {request.project!r}")
    leads = role_in(project, person.groups) == "lead"
    if leads and request.role == "member":
        return _proven(policy, person, Decision(True, f"{person.name} leads project {project.name}"), project.requires)
    if admin := _in_group(person, policy.admin_group):
        return _proven(policy, person, admin, _action(policy, "administer"))
    if leads:
        return Decision(False, "only an administrator makes somebody lead a project")
    return Decision(False, f"{person.name} does not lead project {project.name}")


def decides_on_members(policy: Policy, person: Person) -> bool:
    """Whether the page of requests is theirs: as lead of a project or administrator, with whatever login."""
    wanted: list[Request] = [Administer(), *(ManageMembers(project.name) for project in policy.projects)]
    return any(decide(policy, person, one).entitled for one in wanted)


def role_in(project: Project, groups: frozenset[str]) -> Role | None:
    """What somebody with these groups is in the project, None if they do not belong to it."""
    if project.lead_group and project.lead_group in groups:
        return "lead"
    return "member" if project.group in groups else None


def _action(policy: Policy, name: str) -> Requirement:
    return policy.actions.get(name, Requirement())


def _proven(policy: Policy, person: Person, decision: Decision, *requirements: Requirement) -> Decision:
    """`decision`, unless it is a yes that demands a stronger or fresher login than this one."""
    ages = [r.max_age for r in requirements if r.max_age is not None]
    named = [r.level for r in requirements if r.level]
    if not decision or not (ages or named):
        return decision
    if unknown := [level for level in named if level not in policy.levels]:
        return Decision(False, f"the level {unknown[0]!r} that this demands does not exist here")
    level = max(named, key=policy.levels.index, default="")
    needed = Requirement(level, min(ages, default=None))
    found = person.assurance
    if found is None:
        return Decision(False, "this needs a login in a browser, and there is none behind this request", needed)
    if level and (found.level not in policy.levels or policy.levels.index(found.level) < policy.levels.index(level)):
        return Decision(False, f"this needs a login of level {level}; this one has {found.level or 'none'}", needed)
    if needed.max_age is not None and not 0 <= found.age <= needed.max_age:
        return Decision(False, f"this needs a login within the last {_span(needed.max_age)}", needed)
    return decision


def _span(seconds: float) -> str:
    """In whole minutes or hours where they say it exactly, as the settings usually do."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} seconds"
