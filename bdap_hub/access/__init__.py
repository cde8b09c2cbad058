"""Who may do what. PURE: no I/O, no framework; every room asks `decide` and has no rule of its own."""

from .decide import decide, decides_on_members, role_in
from .factors import kinds, two_factors
from .model import (
    Administer,
    Assurance,
    ChangeDashboard,
    Decision,
    Image,
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
from .step_up import step_up_path

__all__ = [
    "Administer",
    "Assurance",
    "ChangeDashboard",
    "Decision",
    "Image",
    "ManageMembers",
    "Person",
    "Policy",
    "Project",
    "Publish",
    "ReadCollection",
    "Request",
    "Requirement",
    "Role",
    "UseImage",
    "UseProject",
    "ViewDashboard",
    "Visibility",
    "decide",
    "decides_on_members",
    "kinds",
    "role_in",
    "step_up_path",
    "two_factors",
]
