"""An image that a project has built is offered to that project, under whatever name it has, and to no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from sqlalchemy.orm import sessionmaker

from bdap_hub import database, entitlements
from bdap_hub.access import Person, Policy, UseImage, decide
from bdap_hub.entitlements import project_images, reading
from bdap_hub.entitlements.tables import FormerName, ProjectImage, StoredProject
from bdap_hub.settings import ImageSettings, RequirementSettings, Settings
from tests.conftest import make_settings

ANA = Person("ana", frozenset({"project-agriculture", "project-forest"}))
CONTENT = f"sha256:{'a' * 64}"


def image(project: str, name: str, content: str = CONTENT) -> ProjectImage:
    return ProjectImage(
        project=project, name=name, title=name.title(), reference=content, content=content,
        base="bdap/lab:latest", base_name="lab",
        recipe="sha256:0", size=10**10, built_by="lena", log="/log",
    )  # fmt: skip


@pytest.fixture
def store(settings: Settings) -> sessionmaker[Any]:
    return database.connect(settings.database)


def policy(settings: Settings, store: sessionmaker[Any]) -> Policy:
    reading.forget()
    return entitlements.policy(settings, store)


def test_offered_to_its_project_alone(settings: Settings, store: sessionmaker[Any]) -> None:
    before = policy(settings, store)
    project_images.keep(store, image("agriculture", "crops"))
    now = policy(settings, store)
    assert decide(now, ANA, UseImage("agriculture", "agriculture.crops"))
    assert not decide(before, ANA, UseImage("agriculture", "agriculture.crops"))
    assert not decide(now, ANA, UseImage("forest", "agriculture.crops"))
    assert not decide(now, ANA, UseImage("forest", "crops"))
    assert decide(now, ANA, UseImage("agriculture", "lab")), "what it was given is gone"
    assert now.image("agriculture.crops").reference == CONTENT
    assert [one.size for one in project_images.listed(store, "agriculture")] == [10**10]
    assert project_images.listed(store, "forest") == []


def test_built_anew_and_dropped(settings: Settings, store: sessionmaker[Any]) -> None:
    project_images.keep(store, image("agriculture", "crops"))
    project_images.keep(store, image("agriculture", "crops", f"sha256:{'b' * 64}"))
    assert policy(settings, store).image("agriculture.crops").reference == f"sha256:{'b' * 64}"
    project_images.drop(store, "agriculture", "crops")
    project_images.drop(store, "agriculture", "crops")
    assert policy(settings, store).image("agriculture.crops") is None


def test_it_demands_what_its_base_demands_and_goes_with_it(tmp_path: Path) -> None:
    demanding = ImageSettings(name="gpu", title="GPU", reference="bdap/gpu", gpu=True, gpus=2, gpu_model="A100")
    strict = demanding.model_copy(update={"requires": RequirementSettings(level="mfa")})
    plain = ImageSettings(name="lab", title="Lab", reference="bdap/lab")
    settings = make_settings(tmp_path / "var").model_copy(update={"images": (plain, strict)})
    store = database.connect(settings.database)
    built = image("agriculture", "crops")
    built.base_name = "gpu"
    project_images.keep(store, built)
    project_images.keep(store, image("forest", "trees"))
    now = policy(settings, store)
    found = now.image("agriculture.crops")
    assert (found.gpu, found.gpus, found.gpu_model, found.requires.level) == (True, 2, "A100", "mfa")
    without = tuple(one.model_copy(update={"images": ("lab",)}) for one in settings.projects)
    later = policy(settings.model_copy(update={"projects": without}), store)
    assert later.image("agriculture.crops") is None
    assert later.image("forest.trees") is not None


def test_it_follows_its_project_to_a_new_name(settings: Settings, store: sessionmaker[Any]) -> None:
    project_images.keep(store, image("sand", "maps"))
    assert policy(settings, store).project("dunes") is None
    with store.begin() as session:
        fields = {"title": "Dunes", "group": "project-dunes", "images": ["lab"]}
        session.add(StoredProject(id=7, name="dunes", fields=fields, created_by="olga", changed_by="olga"))
        session.flush()
        session.execute(insert(FormerName).values(name="sand", project=7))
    now = policy(settings, store)
    member = Person("dan", frozenset({"project-dunes"}))
    assert decide(now, member, UseImage("dunes", "sand.maps"))
    assert not decide(now, member, UseImage("sand", "sand.maps"))
