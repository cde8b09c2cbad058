"""The start page's fields in auto-escaped HTML, and what they submit."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from .choosing import SEPARATOR, StartPage
from .links import OPTIONS, asked


@lru_cache
def _environment() -> Environment:
    return Environment(loader=PackageLoader("bdap_hub.web", "hub_templates"), autoescape=True)


def render(page: StartPage) -> Markup:
    """The fields within the form: images by project, sizes; an explanation where there is nothing to choose."""
    html = _environment().get_template("spawn_fields.html").render(page=page)
    return Markup(html)  # noqa: S704  rendered above with auto-escaping on


def options_from_form(data: Mapping[str, list[str]]) -> dict[str, str]:
    """What the page submitted, or a link asks for: project, image, size where given. Untrusted: decided at start."""
    found = asked(data)
    values = data.get("choice") or [""]
    project, _, image = (values[0] if len(values) == 1 else "").partition(SEPARATOR)
    found |= {key: value for key, value in (("project", project), ("image", image)) if value}
    return {key: found[key] for key in OPTIONS if key in found}
