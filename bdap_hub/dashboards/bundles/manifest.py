"""`bdap-dashboard.yaml`: what a bundle says of the dashboard it is to become, and what its release needs. PURE.

One declaration of each field gives the check, the JSON Schema and the page of the reference.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import yaml
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError

from ...errors import BadRequest, BadSettings
from ...units import bytes_of

NAME = "bdap-dashboard.yaml"
LONGEST = 64 * 1024
Text = Annotated[str, StringConstraints(strip_whitespace=True)]


def _requirement(text: str) -> str:
    """A package by its name: nothing else can be locked by its hash from the platform's index."""
    try:
        found = Requirement(text)
    except InvalidRequirement:
        raise ValueError("is no requirement") from None
    if found.url:
        raise ValueError("names an address")
    return text


def _memory(text: str) -> str:
    try:
        if bytes_of(text) >= 2**26:
            return text
    except BadSettings:
        pass
    raise ValueError("is no size of 64M or more")


def _plain(value: Any) -> Any:
    """YAML's `yes` and numbers in the place of others are mistakes more often than not."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is no number")
    return value


def _switch(value: Any) -> Any:
    if not isinstance(value, bool):
        raise ValueError("is neither true nor false")
    return value


def _apart(values: tuple[str, ...]) -> tuple[str, ...]:
    if twice := sorted({value for value in values if values.count(value) > 1}):
        raise ValueError(f"names {twice[0]!r} twice")
    return values


def _packages_apart(values: tuple[str, ...]) -> tuple[str, ...]:
    _apart(tuple(canonicalize_name(Requirement(value).name) for value in values))
    return values


Tag = Annotated[Text, StringConstraints(min_length=1, max_length=30, pattern=r"^[^,<>\"\x00-\x1f]+$")]
SecretName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,62}$")]
StorePath = Annotated[str, StringConstraints(min_length=2, max_length=1024, pattern=r"^/")]
Package = Annotated[Text, StringConstraints(min_length=1, max_length=200), AfterValidator(_requirement)]


class _Fields(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Resources(_Fields):
    """What one release may use at once."""

    memory: Annotated[str, AfterValidator(_memory)] | None = Field(
        None, description="Such as 512M or 2G, at most the platform's `dashboards.most_memory`."
    )
    cpus: Annotated[float, BeforeValidator(_plain)] | None = Field(
        None, gt=0, le=1024, description="Such as 0.5 or 2, at most the platform's `dashboards.most_cpus`."
    )


class Manifest(_Fields):
    """What a dashboard is called, who sees it, and what its release needs. Every field may be left out."""

    title: Annotated[Text, StringConstraints(min_length=1, max_length=120)] | None = Field(
        None, description="What people read in the gallery: 1 to 120 characters."
    )
    description: Annotated[Text, StringConstraints(max_length=2000)] | None = Field(
        None, description="What it shows, and for whom: at most 2000 characters."
    )
    slug: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=40)] | None = Field(
        None,
        description="The last part of its address: small letters, digits and single hyphens, a letter first, at most "
        "40 characters.",
    )
    visibility: Literal["project", "people", "public"] | None = Field(
        None,
        description="Who may open it: `project` (its members), `people` (everybody who can log in) or `public`. For "
        "more people than the project's, whoever publishes says so themselves, too.",
    )
    entry: Annotated[str, StringConstraints(min_length=1, max_length=255)] | None = Field(
        None, description="The notebook, page or app to show, by its path in the folder, where there are several."
    )
    kind: Literal["voila", "static", "panel", "solara"] | None = Field(
        None,
        description="What it is: `voila`, a notebook; `static`, a page of files for which nothing runs; `panel` or "
        "`solara`, an app (.py or .ipynb) of that package, which `requirements` or the image brings.",
    )
    image: Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*([-.][a-z0-9]+)*$", max_length=65)] | None = Field(
        None, description="The name of one of the images that the platform offers to the project's dashboards."
    )
    requirements: Annotated[tuple[Package, ...], AfterValidator(_packages_apart)] = Field(
        (),
        max_length=50,
        description="Python packages beyond the image's, each by name and version, such as `shapely>=2`: no addresses, "
        "no options.",
    )
    data: Annotated[tuple[StorePath, ...], AfterValidator(_apart)] = Field(
        (),
        max_length=20,
        description="Folders or files of the store that it reads, such as `/eos/data/fields`: those that the project "
        "may read are there, read-only, under the same path.",
    )
    resources: Resources = Field(Resources(), description="Memory and CPUs of a release: `memory` and `cpus`.")
    keep_warm: Annotated[bool, BeforeValidator(_switch)] | None = Field(
        None,
        description="true: it goes on running when nobody looks, as far as `dashboards.most_warm` allows. "
        "Otherwise it starts when somebody comes.",
    )
    secrets: Annotated[tuple[SecretName, ...], AfterValidator(_apart)] = Field(
        (),
        max_length=20,
        description="Secrets of the project by their names: letters, digits, `_` and `-`. Each is the file "
        "`/run/secrets/<name>`, and is put there by `bdap dashboards secret set`.",
    )
    tags: Annotated[tuple[Tag, ...], AfterValidator(_apart)] = Field(
        (), max_length=10, description="Words that the gallery is searched by: at most 10 of 30 characters."
    )

    def said(self) -> dict[str, Any]:
        """What it says, as JSON: nothing of what it leaves out."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def replaced(self, values: Mapping[str, Any]) -> Manifest:
        """With other values for some fields. BadRequest as of `check`."""
        return check({**self.said(), **values})


NOTHING = Manifest()
"""A manifest that says nothing."""


def read(text: str, where: str = NAME) -> Manifest:
    """The manifest that stands in a text of YAML or JSON. BadRequest with the field, its value and the remedy."""
    if len(text) > LONGEST:
        raise BadRequest(f"{where} has {len(text)} characters", f"use at most {LONGEST}")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, Loader=yaml.SafeLoader)):
            raise BadRequest(f"{where} refers to parts of itself (*name)", "write them out")
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # of its signs, or of a date that is none
        first = (str(error).splitlines() or [""])[0][:200]
        raise BadRequest(f"{where} is no YAML: {first}", "mend it") from None
    return check({} if found is None else found, where)


def check(values: Any, where: str = NAME) -> Manifest:
    """The manifest of those values. BadRequest with the field, its value and the remedy."""
    if not isinstance(values, Mapping):
        raise BadRequest(f"{where} is no list of fields by name", _known(Manifest))
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        raise _refusal(error.errors()[0], where) from None


def schema() -> dict[str, Any]:
    """The JSON Schema (2020-12) of the file, which editors understand."""
    found = Manifest.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found, "title": NAME}


def _refusal(error: Any, where: str) -> BadRequest:
    loc = [str(part) for part in error["loc"]] or ["?"]
    fields = Manifest.model_fields
    model: type[BaseModel] = Resources if loc[0] == "resources" and len(loc) > 1 else Manifest
    name = loc[-1] if model is Resources else loc[0]
    if error["type"] == "extra_forbidden":
        return BadRequest(f"{where} says {'.'.join(loc)!r:.80}, which nobody knows", _known(model))
    if name not in model.model_fields:
        return BadRequest(f"{where} names a field by {name!r:.80}, which is no text", _known(model))
    shown = ".".join(part for part in loc if part in fields or part in Resources.model_fields)
    problem = str(error["msg"]).removeprefix("Value error, ").replace("valid tuple", "list")
    problem = problem.replace("valid dictionary or instance of Resources", "list of fields by name")
    verb = problem if problem.startswith(("is ", "names ")) else f"cannot be: {problem[:1].lower()}{problem[1:]}"
    said = f"{where}: {shown}: {_short(error['input'])} {verb}"
    return BadRequest(said, (model.model_fields[name].description or "").replace("`", ""))


def _short(value: Any) -> str:
    text = repr(value) if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _known(model: type[BaseModel]) -> str:
    return f"it may say {', '.join(model.model_fields)}"
