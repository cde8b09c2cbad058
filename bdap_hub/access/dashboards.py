"""Rules of dashboards: who opens, publishes, reviews, shows and shares them. PURE."""

from __future__ import annotations

from collections.abc import Iterable

from .model import STRICTNESS, WIDTH, Approver, DashboardRole, Decision, Grant, Person, Policy, Requirement, Visibility
from .requests import (
    ChangeDashboard,
    EditDashboard,
    MakeLive,
    PreviewRelease,
    Publish,
    ReviewRelease,
    ShareDashboard,
    ViewDashboard,
)
from .rules import action, in_group, member, no, over, proven, role_in, see, unknown, yes

PEOPLE = {"project": "the project's members", "people": "everybody logged in", "public": "everybody"}


def approver(policy: Policy, project: str, visibility: str) -> Approver:
    """Who must approve before those see it. What is asked for few people is asked for more, too."""
    found = policy.project(project)
    if found is None or visibility not in WIDTH:
        return "admins"
    asked = [getattr(found.approval, one) for one in WIDTH[: WIDTH.index(visibility) + 1]]
    return max(asked, key=STRICTNESS.index)


def role_on(person: Person, owner: str, grants: Iterable[Grant]) -> DashboardRole | None:
    """What somebody is to a dashboard, by owning it or by a grant."""
    if owner and person.name == owner:
        return "owner"
    mine = {one.role for one in grants if one.name in (person.groups if one.kind == "group" else {person.name})}
    roles: tuple[DashboardRole, ...] = ("owner", "editor", "viewer")
    return next((role for role in roles if role in mine), None)


def view(policy: Policy, person: Person | None, request: ViewDashboard) -> Decision:
    """Those whom its visibility names, who were given a part in it, and who came by a link that still counts."""
    what = f"dashboard {request.dashboard}"
    decision = see(policy, person, request.visibility, request.project, what)
    if decision or over(policy, policy.project(request.project)) is not None:
        return decision
    if person is not None and (role := role_on(person, "", request.grants)):
        return yes("grant", f"{person.name} is {role} of {what}")
    if request.invited:
        return yes("share-link", f"{what} was shared by a link")
    return decision


def publish(policy: Policy, person: Person, request: Publish) -> Decision:
    """Members what is new or theirs; editors new versions, which the same people see; administrators all."""
    role = role_on(person, request.owner, request.grants) if request.owner else "owner"
    others = role not in ("owner", "editor")
    if others and policy.admin_group not in person.groups:
        return no("ownership", f"the dashboard belongs to {request.owner}")
    if role == "editor" and policy.admin_group not in person.groups and _wider(request.visibility, request.present):
        return no("ownership", f"only its owners show the dashboard to {PEOPLE[request.visibility]}")
    project = policy.project(request.project)
    demands = [project.requires if project else Requirement(), _for_everybody(policy, request.visibility)]
    if others:
        demands.append(action(policy, "administer"))
    return proven(policy, person, member(policy, person, request.project), *demands)


def change(policy: Policy, person: Person, request: ChangeDashboard) -> Decision:
    """Owners and administrators."""
    if role_on(person, request.owner, request.grants) == "editor" and policy.admin_group not in person.groups:
        return no("ownership", f"{person.name} is editor of the dashboard, and this is for its owners")
    wanted = Publish(request.project, request.visibility, request.owner, request.grants, request.visibility)
    return _or_admin(policy, person, publish(policy, person, wanted), _for_everybody(policy, request.visibility))


def edit(policy: Policy, person: Person, request: EditDashboard) -> Decision:
    """Editors, owners and administrators."""
    wanted = Publish(request.project, "project", request.owner, request.grants, "project")
    return _or_admin(policy, person, publish(policy, person, wanted))


def make_live(policy: Policy, person: Person, request: MakeLive) -> Decision:
    """Editors and owners, where nobody must approve, or somebody has approved it for as many people."""
    allowed = edit(policy, person, EditDashboard(request.project, request.owner, request.grants))
    if not allowed.entitled:
        return allowed
    asked = approver(policy, request.project, request.visibility)
    if asked != "nobody" and (not request.approved or _wider(request.visibility, request.approved)):
        whom = PEOPLE.get(request.visibility, request.visibility)
        return no("approval", f"before {whom} can see it, {_named(asked, request.project)} must approve this version")
    return proven(policy, person, allowed, _for_everybody(policy, request.visibility))


def review(policy: Policy, person: Person, request: ReviewRelease) -> Decision:
    """Whoever must approve, or could: administrators, and leads unless it takes administrators. Not its author."""
    found = policy.project(request.project)
    if found is None:
        return unknown(policy, request.project)
    if (ended := over(policy, found)) is not None:
        return ended
    asked, admin = approver(policy, request.project, request.visibility), policy.admin_group in person.groups
    leads = role_in(found, person.groups) == "lead" and asked != "admins"
    if not (admin or leads):
        return no("review", f"{_named(asked, request.project)} review this version, and {person.name} is none of them")
    if person.name == request.publisher and not found.approval.own:
        return no("own-work", f"{person.name} published this version: somebody else must review it")
    for_all = _for_everybody(policy, request.visibility)
    if leads:
        return proven(policy, person, yes("lead", f"{person.name} leads project {found.name}"), found.requires, for_all)
    return proven(policy, person, in_group(person, policy.admin_group), action(policy, "administer"), for_all)


def preview(policy: Policy, person: Person, request: PreviewRelease) -> Decision:
    """Editors, owners, and those who review the project's dashboards."""
    found = policy.project(request.project)
    if found is None:
        return unknown(policy, request.project)
    if (ended := over(policy, found)) is not None:
        return ended
    role = role_in(found, person.groups)
    if role == "lead":
        return yes("lead", f"{person.name} leads project {found.name}")
    if role and role_on(person, request.owner, request.grants) in ("owner", "editor"):
        return yes("grant", f"{person.name} edits the dashboard")
    if policy.admin_group in person.groups:
        return proven(policy, person, in_group(person, policy.admin_group), action(policy, "administer"))
    return no("review", f"{person.name} neither edits nor reviews the dashboard")


def share(policy: Policy, person: Person, request: ShareDashboard) -> Decision:
    """Owners, unless it takes an approval to show it to so many: then whoever may approve that."""
    seen = request.visibility
    if approver(policy, request.project, seen) == "nobody":
        return change(policy, person, ChangeDashboard(request.project, request.owner, seen, request.grants))
    decision = review(policy, person, ReviewRelease(request.project, seen, request.publisher))
    if decision.entitled:
        return decision
    asked, whom = _named(approver(policy, request.project, seen), request.project), PEOPLE.get(seen, seen)
    return no("approval", f"{asked} decide what {whom} may see of project {request.project}")


def _or_admin(policy: Policy, person: Person, own: Decision, *demands: Requirement) -> Decision:
    admin = in_group(person, policy.admin_group)
    if own.entitled or not admin:
        return own
    return proven(policy, person, admin, action(policy, "administer"), *demands)


def _wider(one: str, other: str) -> bool:
    return other not in WIDTH or one not in WIDTH or WIDTH.index(one) > WIDTH.index(other)


def _named(asked: Approver, project: str) -> str:
    return "administrators" if asked == "admins" else f"leads of project {project} or administrators"


def _for_everybody(policy: Policy, visibility: Visibility) -> Requirement:
    return action(policy, "publish-public") if visibility == "public" else Requirement()
