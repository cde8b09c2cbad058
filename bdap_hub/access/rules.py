"""What several rules are made of: membership, a project's end, the login that a yes demands."""

from __future__ import annotations

from .model import Decision, Person, Policy, Project, Requirement, Role, Visibility


def yes(rule: str, reason: str) -> Decision:
    """Allowed by that rule."""
    return Decision(True, reason, rule=rule)


def no(rule: str, reason: str) -> Decision:
    """Refused by that rule."""
    return Decision(False, reason, rule=rule)


def member(policy: Policy, person: Person, name: str) -> Decision:
    """Whether they belong to the project of that name, and it has not ended."""
    project = policy.project(name)
    if project is None:
        return unknown(policy, name)
    if role := role_in(project, person.groups):
        if (ended := over(policy, project)) is not None:
            return ended
        return yes("membership", f"{person.name} is a {role} of project {project.name}")
    return no("membership", f"{person.name} is not a member of project {project.name}")


def unknown(policy: Policy, name: str) -> Decision:
    """No such project; a name that one had once grants nothing, whoever would have it again."""
    renamed = f": it was renamed to {policy.former[name]!r}" if name in policy.former else ""
    return no("former-name" if renamed else "unknown-project", f"there is no project {name!r}{renamed}")


def over(policy: Policy, project: Project | None) -> Decision | None:
    """The refusal of everything in a project that has ended or was archived; None while it goes on.

    A refusal is false as a truth value: compare with None.
    """
    if project is None:
        return None
    if project.archived:
        return no("project-archived", f"project {project.name} is archived")
    if project.ends is not None and (policy.today is None or policy.today > project.ends):
        return no("project-ended", f"project {project.name} ended on {project.ends.isoformat()}")
    return None


def see(policy: Policy, person: Person | None, visibility: Visibility, project: str, what: str) -> Decision:
    """Whether they may look at something that its project shows to those whom `visibility` names."""
    if (ended := over(policy, policy.project(project))) is not None:
        return ended if person is None or visibility != "project" else member(policy, person, project)
    if visibility == "public":
        return yes("visibility", f"{what} is public")
    if person is None:
        return no("login", f"{what} is not public and nobody is logged in")
    if visibility == "people":
        return yes("visibility", f"{what} is for everybody logged in")
    if visibility == "project":
        return member(policy, person, project)
    return no("visibility", f"{what} has the unknown visibility {visibility!r}")


def in_group(person: Person, group: str) -> Decision:
    """Whether they are in the group."""
    if group in person.groups:
        return yes("group", f"{person.name} is in group {group}")
    return no("group", f"{person.name} is not in group {group}")


def role_in(project: Project, groups: frozenset[str]) -> Role | None:
    """What somebody with these groups is in the project, None if they do not belong to it."""
    if project.lead_group and project.lead_group in groups:
        return "lead"
    return "member" if project.group in groups else None


def action(policy: Policy, name: str) -> Requirement:
    """What the action demands of the login."""
    return policy.actions.get(name, Requirement())


def proven(policy: Policy, person: Person, decision: Decision, *requirements: Requirement) -> Decision:
    """`decision`, unless it is a yes that demands a stronger or fresher login than this one."""
    ages = [r.max_age for r in requirements if r.max_age is not None]
    named = [r.level for r in requirements if r.level]
    if not decision or not (ages or named):
        return decision
    if missing := [level for level in named if level not in policy.levels]:
        return no("login-level", f"the level {missing[0]!r} that this demands does not exist here")
    level = max(named, key=policy.levels.index, default="")
    needed = Requirement(level, min(ages, default=None))
    found = person.assurance
    if found is None:
        return _log_in("this needs a login in a browser, and there is none behind this request", needed)
    if level and (found.level not in policy.levels or policy.levels.index(found.level) < policy.levels.index(level)):
        return _log_in(f"this needs a login of level {level}; this one has {found.level or 'none'}", needed)
    if needed.max_age is not None and not 0 <= found.age <= needed.max_age:
        return _log_in(f"this needs a login within the last {_span(needed.max_age)}", needed)
    return decision


def _log_in(reason: str, needed: Requirement) -> Decision:
    return Decision(False, reason, needed, "step-up")


def _span(seconds: float) -> str:
    """In whole minutes or hours where they say it exactly, as the settings usually do."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:g} seconds"
