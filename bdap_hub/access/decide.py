"""The one decision function: deny by default, each rule only adds, each answer says why."""

from __future__ import annotations

from . import dashboards, paths, servers
from .model import Decision, Person, Policy
from .requests import (
    Administer,
    BuildImage,
    ChangeDashboard,
    CurateCollection,
    EditDashboard,
    EditProject,
    MakeLive,
    ManageMembers,
    PreviewRelease,
    Publish,
    ReadCollection,
    ReadPath,
    Request,
    ReviewRelease,
    ShareDashboard,
    UseDashboardImage,
    UseGpu,
    UseImage,
    UseProject,
    UseSize,
    ViewDashboard,
    WritePath,
)
from .rules import action, in_group, no, over, proven, role_in, see, unknown, yes

LEADS_EDIT = frozenset({"title", "description"})
"""Fields of a project that its leads may change; all others give or take rights, and are the administrators'."""


def decide(policy: Policy, person: Person | None, request: Request) -> Decision:
    """Whether `person` (None: nobody is logged in) may do what `request` asks under `policy`."""
    match request:
        case ReadCollection():
            return see(policy, person, request.visibility, request.project, f"collection {request.collection}")
        case ViewDashboard():
            return dashboards.view(policy, person, request)
        case _ if person is None:
            return no("login", "nobody is logged in")
        case Administer():
            return _administer(policy, person)
        case ManageMembers():
            return _manage_members(policy, person, request)
        case CurateCollection():
            return _curate(policy, person, request)
        case BuildImage():
            return _build_image(policy, person, request)
        case EditProject():
            return _edit_project(policy, person, request)
        case UseProject():
            return servers.use_project(policy, person, request.project)
        case UseImage():
            return servers.use_image(policy, person, request)
        case UseDashboardImage():
            return servers.use_dashboard_image(policy, person, request)
        case UseSize():
            return servers.use_size(policy, person, request)
        case UseGpu():
            return servers.use_gpu(policy, person, request)
        case ReadPath():
            return paths.read(policy, person, request)
        case WritePath():
            return paths.write(policy, person, request)
        case Publish():
            return dashboards.publish(policy, person, request)
        case ChangeDashboard():
            return dashboards.change(policy, person, request)
        case EditDashboard():
            return dashboards.edit(policy, person, request)
        case MakeLive():
            return dashboards.make_live(policy, person, request)
        case ReviewRelease():
            return dashboards.review(policy, person, request)
        case PreviewRelease():
            return dashboards.preview(policy, person, request)
        case ShareDashboard():
            return dashboards.share(policy, person, request)
    raise TypeError(f"no rule for {request!r}")


def decides_on_members(policy: Policy, person: Person) -> bool:
    """Whether the page of requests is theirs: as lead of a project or administrator, with whatever login."""
    led = [project.name for project in policy.projects if role_in(project, person.groups) == "lead"]
    wanted: list[Request] = [Administer(), *map(ManageMembers, led)]
    return any(decide(policy, person, one).entitled for one in wanted)


def _administer(policy: Policy, person: Person) -> Decision:
    return proven(policy, person, in_group(person, policy.admin_group), action(policy, "administer"))


def _manage_members(policy: Policy, person: Person, request: ManageMembers) -> Decision:
    project = policy.project(request.project)
    if project is None:
        return unknown(policy, request.project)
    admin, leads = in_group(person, policy.admin_group), role_in(project, person.groups) == "lead"
    if (ended := over(policy, project)) is not None and (admin or leads):
        return ended
    if leads and request.role == "member":
        lead = yes("lead", f"{person.name} leads project {project.name}")
        return proven(policy, person, lead, project.requires)
    if admin:
        return _administer(policy, person)
    if leads:
        return no("lead", "only an administrator makes somebody lead a project")
    return no("lead", f"{person.name} does not lead project {project.name}")


def _build_image(policy: Policy, person: Person, request: BuildImage) -> Decision:
    project = policy.project(request.project)
    if project is None:
        return unknown(policy, request.project)
    admin, leads = in_group(person, policy.admin_group), role_in(project, person.groups) == "lead"
    if not (admin or leads):
        return no("lead", f"{person.name} does not lead project {project.name}")
    if (ended := over(policy, project)) is not None:
        return ended
    if leads:
        return proven(policy, person, yes("lead", f"{person.name} leads project {project.name}"), project.requires)
    return _administer(policy, person)


def _curate(policy: Policy, person: Person, request: CurateCollection) -> Decision:
    """Administrators all, leads what lies in a collection of their project."""
    if request.whole or in_group(person, policy.admin_group) or not request.project:
        return _administer(policy, person)
    project = policy.project(request.project)
    if project is None:
        return unknown(policy, request.project)
    if role_in(project, person.groups) != "lead":
        return no("lead", f"{person.name} does not lead project {project.name}")
    if (ended := over(policy, project)) is not None:
        return ended
    return proven(policy, person, yes("lead", f"{person.name} leads project {project.name}"), project.requires)


def _edit_project(policy: Policy, person: Person, request: EditProject) -> Decision:
    """Administrators extend a project also when it has ended; its leads have nothing to say in it any more."""
    project = policy.project(request.project)
    if request.field == "create":
        return _administer(policy, person)
    if project is None:
        return unknown(policy, request.project)
    if not project.editable:
        return no("settings", f"project {project.name} stands in the operator's settings, and is changed there")
    if in_group(person, policy.admin_group):
        return _administer(policy, person)
    if role_in(project, person.groups) != "lead":
        return no("lead", f"{person.name} does not lead project {project.name}")
    if request.field not in LEADS_EDIT:
        return no("lead", f"{request.field!r} of project {project.name} is changed by administrators alone")
    if (ended := over(policy, project)) is not None:
        return ended
    return proven(policy, person, yes("lead", f"{person.name} leads project {project.name}"), project.requires)
