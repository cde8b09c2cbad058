"""The one decision function: deny by default, each rule only adds, each answer says why."""

from __future__ import annotations

from .model import (
    Administer,
    Decision,
    Person,
    Policy,
    Project,
    Publish,
    ReadCollection,
    Request,
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
            return _in_group(person, policy.admin_group)
        case UseProject():
            return _member(policy, person, request.project)
        case UseImage():
            return _use_image(policy, person, request)
        case Publish():
            return _publish(policy, person, request)
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
    if project.group in person.groups:
        return Decision(True, f"{person.name} is a member of project {project.name}")
    return Decision(False, f"{person.name} is not a member of project {project.name}")


def _in_group(person: Person, group: str) -> Decision:
    if group in person.groups:
        return Decision(True, f"{person.name} is in group {group}")
    return Decision(False, f"{person.name} is not in group {group}")


def _use_image(policy: Policy, person: Person, request: UseImage) -> Decision:
    membership = _member(policy, person, request.project)
    if not membership:
        return membership
    project, image = policy.project(request.project), policy.image(request.image)
    if project is None or image is None or request.image not in project.images:
        return Decision(False, f"project {request.project} has no image {request.image!r}")
    if image.gpu and policy.gpus < 1:
        return Decision(False, f"image {image.name} needs a GPU and this platform has none")
    return Decision(True, f"project {request.project} may use image {image.name}")


def _publish(policy: Policy, person: Person, request: Publish) -> Decision:
    if request.owner and request.owner != person.name and policy.admin_group not in person.groups:
        return Decision(False, f"the dashboard belongs to {request.owner}")
    return _member(policy, person, request.project)
