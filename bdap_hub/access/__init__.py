"""Who may do what. PURE: no I/O, no framework; every room asks `decide` and has no rule of its own."""

from .decide import decide
from .model import (
    Administer,
    Decision,
    Image,
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

__all__ = [
    "Administer",
    "Decision",
    "Image",
    "Person",
    "Policy",
    "Project",
    "Publish",
    "ReadCollection",
    "Request",
    "UseImage",
    "UseProject",
    "ViewDashboard",
    "Visibility",
    "decide",
]
