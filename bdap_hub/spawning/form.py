"""The spawn page's fields: a radio button for each image of each of one's projects, in auto-escaped HTML."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import groupby
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from ..access import Person, Requirement, step_up_path
from .plan import Choice

SEPARATOR = "/"
SPAWN_PAGE = "/hub/spawn"


@lru_cache
def _environment() -> Environment:
    return Environment(loader=PackageLoader("bdap_hub.web", "hub_templates"), autoescape=True)


def render(choices: tuple[Choice, ...], person: Person, last: Mapping[str, object], gpus: str = "") -> Markup:
    """The fields, with the last choice selected (the first where that is gone); an explanation without choices.

    A choice that needs another login is a link there, which leads back and starts it. `gpus` says how many are free.
    """
    values = [value_of(choice) for choice in choices if not choice.step_up]
    before = f"{last.get('project')}{SEPARATOR}{last.get('image')}"
    projects = [(project, list(group)) for project, group in groupby(choices, key=lambda choice: choice.project)]
    html = (
        _environment()
        .get_template("spawn_fields.html")
        .render(
            projects=projects,
            selected=before if before in values else next(iter(values), ""),
            value_of=value_of,
            log_in=lambda choice: step_up_path(
                choice.step_up or Requirement(), f"{SPAWN_PAGE}?{urlencode(_options(choice))}"
            ),
            person=person,
            gpus=gpus,
        )
    )
    return Markup(html)  # noqa: S704  rendered above with auto-escaping on


def value_of(choice: Choice) -> str:
    """What the radio button submits. Project names hold no slash, so the first one separates."""
    return f"{choice.project.name}{SEPARATOR}{choice.image.name}"


def _options(choice: Choice) -> dict[str, str]:
    return {"project": choice.project.name, "image": choice.image.name}


def options_from_form(data: Mapping[str, list[str]]) -> dict[str, str]:
    """{"project", "image", "size"} from the submitted page, or from a link's query. Untrusted: decided at start.

    A field that is sent twice is no choice.
    """
    project, _, image = _one(data, "choice").partition(SEPARATOR)
    found = {"project": project or _one(data, "project"), "image": image or _one(data, "image")}
    found["size"] = _one(data, "size")
    return {key: value for key, value in found.items() if value}


def _one(data: Mapping[str, list[str]], key: str) -> str:
    values = data.get(key) or [""]
    return values[0] if len(values) == 1 else ""
