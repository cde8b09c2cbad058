"""Who may do what. PURE: no I/O, no framework; every room asks `decide` and has no rule of its own."""

from .decide import decide, role_in
from .factors import kinds, two_factors
from .model import (
    Administer,
    Assurance,
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

__all__ = [
    "Administer",
    "Assurance",
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
    "kinds",
    "role_in",
    "two_factors",
]
