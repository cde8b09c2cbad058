"""Projects of the database: who edits what, what is refused, and that every edit counts at once and is recorded."""

from __future__ import annotations

import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bdap_hub import audit, database, entitlements, renaming
from bdap_hub.access import Person, UseImage, UseProject, decide
from bdap_hub.entitlements import edit, reading
from bdap_hub.entitlements.edit import Editor
from bdap_hub.errors import BadRequest, BdapError, Conflict, NotAllowed, NotFound
from bdap_hub.identity import members
from bdap_hub.identity.tables import Account, JoinRequest, Membership
from bdap_hub.settings import ProjectSettings, Settings
from bdap_hub.spawning import uids
from tests.conftest import make_settings

OPERATOR = Editor("operator:root")
OLGA = Editor("olga", Person("olga", frozenset({"bdap-admins"})))
LEA = Editor("lea", Person("lea", frozenset({"project-woods-leads"})))
WIM = Person("wim", frozenset({"project-woods"}))
WOODS = {"title": "Woods", "images": ["lab"]}


@pytest.fixture
def tree(tmp_path: Path, database_url: str) -> Settings:
    settings = make_settings(tmp_path / "var")
    settings.database_url = database_url
    return settings


@pytest.fixture
def store(tree: Settings) -> Any:
    reading.forget()
    found = database.connect(tree.database)
    edit.create(tree, found, OPERATOR, "woods", WOODS)
    return found


def may(tree: Settings, store: Any, project: str = "woods", person: Person = WIM) -> str:
    """Why the person may not work in the project; '' where they may."""
    decision = decide(entitlements.policy(tree, store), person, UseProject(project))
    return "" if decision else decision.reason


def test_a_new_project_counts_at_once_beside_the_settings_own(tree: Settings, store: Any) -> None:
    assert [one.name for one in entitlements.projects(tree, store)] == ["agriculture", "forest", "woods"]
    assert may(tree, store) == ""
    event = audit.latest(store, 1)[0]
    assert (event.person, event.action, event.subject) == ("operator:root", "create-project", "woods")
    assert event.reason == "new project woods: Woods"


def test_what_another_process_edits_counts_within_a_second(tree: Settings, store: Any) -> None:
    assert may(tree, store) == ""
    kept = dict(reading._kept)
    edit.change(tree, store, OPERATOR, "woods", {"archived": True})
    reading._kept.update(kept)  # as a process that was not told
    deadline = datetime.now(UTC) + timedelta(seconds=1)
    while not may(tree, store):
        assert datetime.now(UTC) < deadline
    assert may(tree, store) == "project woods is archived"
    assert [one.name for one in entitlements.projects(tree, store)] == ["agriculture", "forest"]


@pytest.mark.parametrize(
    ("editor", "fields", "refused"),
    [
        (OLGA, {"ends": "2099-01-01"}, ""),
        (OLGA, {"images": ["lab", "gpu"]}, ""),
        (LEA, {"title": "Old woods", "description": "Trees."}, ""),
        (LEA, {"title": "Woods", "images": ["lab"]}, ""),  # what it is already needs no right
        (LEA, {"images": ["lab", "gpu"]}, "'images' of project woods is changed by administrators alone"),
        (LEA, {"ends": "2099-01-01"}, "'ends' of project woods"),
        (LEA, {"quota": {"cpus": 100}}, "'quota' of project woods"),
        (LEA, {"title": "Mine", "group": "bdap-admins"}, "'group' of project woods"),  # then the title stays, too
        (Editor("wim", WIM), {"title": "Mine"}, "wim does not lead project woods"),
        (Editor("nobody", Person("nobody")), {"title": "Mine"}, "nobody does not lead project woods"),
    ],
)
def test_who_edits_which_field(
    tree: Settings, store: Any, editor: Editor, fields: dict[str, Any], refused: str
) -> None:
    before = edit.listed(tree, store)[-1].fields
    if not refused:
        edit.change(tree, store, editor, "woods", fields)
        assert fields.items() <= {**edit._entries(store())["woods"].fields()}.items()
        return
    with pytest.raises(NotAllowed, match=refused):
        edit.change(tree, store, editor, "woods", fields)
    assert edit.listed(tree, store)[-1].fields == before
    event = audit.latest(store, 1)[0]
    assert (event.person, event.outcome) == (editor.name, "refused") and refused in event.reason


def test_only_administrators_create_and_rename(tree: Settings, store: Any) -> None:
    edit.create(tree, store, OLGA, "dunes", {"title": "Dunes"})
    with pytest.raises(NotAllowed, match="not in group bdap-admins"):
        edit.create(tree, store, LEA, "marsh", {"title": "Marsh"})
    with pytest.raises(NotAllowed, match="'name' of project woods is changed by administrators alone"):
        edit.rename(tree, store, LEA, "woods", "marsh", lambda whole: None)
    assert [one.name for one in edit.listed(tree, store)] == ["agriculture", "forest", "dunes", "woods"]


BAD = [
    # name, fields, error, words
    ("woods", WOODS, Conflict, "there is a project 'woods' already"),
    ("forest", WOODS, Conflict, "a project of the operator's settings"),
    ("Woods", WOODS, BadRequest, "name: .*got 'Woods'"),
    ("wооds", WOODS, BadRequest, "name: "),  # Cyrillic
    ("woods\n", WOODS, BadRequest, "name: "),
    ("../woods", WOODS, BadRequest, "name: "),
    ("w" * 33, WOODS, BadRequest, "name: "),
    ("", WOODS, BadRequest, "name: "),
    ("marsh", {}, BadRequest, "title: Field required"),
    ("marsh", {"title": "M", "colour": "red"}, BadRequest, "colour: there is no such field"),
    ("marsh", {"title": "M", "group": "project-forest"}, Conflict, "shares the group 'project-forest'"),
    ("marsh", {"title": "M", "group": "project-woods"}, Conflict, "shares the group 'project-woods'"),
    ("marsh", {"title": "M", "lead_group": "bdap-admins"}, Conflict, "shares the group 'bdap-admins'"),
    ("marsh", {"title": "M", "lead_group": "project-forest-leads"}, Conflict, "shares the group"),
    ("marsh", {"title": "M", "group": "project-forest", "membership": "provider"}, Conflict, "shares the group"),
    ("marsh", {"title": "M", "group": "Project-Forest"}, Conflict, "differs from 'project-forest' in its spelling"),
    ("marsh", {"title": "M", "group": "project-forest "}, Conflict, "is no name"),
    ("marsh", {"title": "M", "images": ["latex"]}, BadRequest, "names the images ..latex"),
    ("marsh", {"title": "M", "images": ["lab@sha256:abc"]}, BadRequest, "images has 'lab@sha256:abc'"),
    ("marsh", {"title": "M", "images": ["lab", "lab"]}, BadRequest, "names 'lab' twice"),
    ("marsh", {"title": "M", "images": "lab"}, BadRequest, "images: .*got 'lab'"),
    ("marsh", {"title": "M", "sizes": ["huge"]}, BadRequest, "names the sizes ..huge"),
    ("marsh", {"title": "M", "ends": "soon"}, BadRequest, "ends: .*got 'soon'"),
    ("marsh", {"title": "M", "gpus": [{"model": "A100", "count": 0}]}, BadRequest, "gpus.0.count: "),
    ("marsh", {"title": "M", "quota": {"memory": "much"}}, BadRequest, "quota.memory: 'much' is no size"),
    ("marsh", {"title": "M", "quota": {"cpus": -1}}, BadRequest, "quota.cpus: "),
    ("marsh", {"title": "M", "requires": {"level": "platinum"}}, BadRequest, "requires.level: 'platinum'"),
    ("marsh", {"title": "M", "archived": "yes"}, BadRequest, "archived: 'yes'"),
    ("marsh", {"title": "M", "store": [{"path": "/eos/data/../projects/woods"}]}, BadRequest, r"has the part '\.\.'"),
    ("marsh", {"title": "M", "store": [{"path": "/etc"}]}, BadRequest, "is not below /eos/data"),
    ("marsh", {"title": "M", "store": [{"path": "/eos/projects/woods/x"}]}, BadRequest, "the project's whole folder"),
    ("marsh", {"title": "M", "store": [{"path": "/eos/projects/nix"}]}, BadRequest, "store: there is no project 'nix'"),
    ("marsh", {"title": "M", "store": [{"path": "/eos/projects/marsh"}]}, BadRequest, "its own folder"),
    ("marsh", {"title": "M", "store": [{"path": "/eos/data/x", "mode": "all"}]}, BadRequest, "store.0.mode: "),
]


@pytest.mark.parametrize(("name", "fields", "error", "words"), BAD)
def test_what_cannot_be(settings: Settings, name: str, fields: dict[str, Any], error: type, words: str) -> None:
    reading.forget()
    store = database.connect(settings.database)
    edit.create(settings, store, OPERATOR, "woods", WOODS)
    with pytest.raises(error, match=words):
        edit.create(settings, store, OPERATOR, name, fields)
    assert [one.name for one in edit.listed(settings, store)][2:] == ["woods"]
    assert audit.latest(store, 1)[0].outcome == "refused"


def test_the_settings_own_are_not_edited_here(tree: Settings, store: Any) -> None:
    for editor in (OPERATOR, OLGA):
        with pytest.raises(Conflict, match="stands in the operator's settings"):
            edit.change(tree, store, editor, "forest", {"title": "Mine"})
    with pytest.raises(NotFound, match="there is no project 'nix'"):
        edit.change(tree, store, OPERATOR, "nix", {"title": "Mine"})


def test_what_the_settings_say_goes_before(tree: Settings, store: Any) -> None:
    """The operator wrote a project of the same name, or group, later: the database's grants nothing any more."""
    stated = tree.projects
    tree.projects = (*stated, ProjectSettings(name="woods", title="The operator's", group="g-woods"))
    assert may(tree, store) == "wim is not a member of project woods"
    tree.projects = (*stated, ProjectSettings(name="shrubs", title="S", group="project-woods"))
    assert may(tree, store) == "there is no project 'woods'" and may(tree, store, "shrubs") == ""
    tree.projects = stated
    assert may(tree, store) == ""


def test_the_last_day_is_a_whole_day(tree: Settings, store: Any) -> None:
    today = datetime.now(UTC).date()
    edit.change(tree, store, OLGA, "woods", {"ends": today.isoformat()})
    assert may(tree, store) == ""
    edit.change(tree, store, OLGA, "woods", {"ends": (today - timedelta(days=1)).isoformat()})
    assert may(tree, store) == f"project woods ended on {today - timedelta(days=1)}"
    with pytest.raises(NotAllowed, match="ended on"):
        edit.change(tree, store, LEA, "woods", {"title": "Mine"})
    edit.change(tree, store, OLGA, "woods", {"ends": None})
    assert may(tree, store) == ""


def test_a_renamed_project_keeps_its_people_number_and_folder(tree: Settings, store: Any) -> None:
    gid = uids.gid_of(store, "woods", 20000)
    with store.begin() as session:
        session.add(Account(name="mia", issuer="i", subject="mia"))
        session.flush()
        session.add(Membership(person="mia", project="woods", role="member", granted_by="olga"))
        session.add(JoinRequest(person="mia", project="woods", purpose="to count trees"))
    (tree.store.projects / "woods").mkdir(parents=True)
    (tree.store.projects / "woods" / "x.tif").write_text("x")
    renaming.rename(tree, store, OPERATOR, "woods", "timber")
    assert may(tree, store) == "there is no project 'woods': it was renamed to 'timber'"
    assert may(tree, store, "timber") == ""
    assert [one.account.name for one in members.of_project(tree, store, "timber")] == ["mia"]
    assert uids.gid_of(store, "timber", 20000) == gid
    assert (tree.store.projects / "timber" / "x.tif").exists() and not (tree.store.projects / "woods").exists()
    for taken in ("woods", "timber"):
        with pytest.raises(Conflict, match="name: "):
            edit.create(tree, store, OPERATOR, taken, {**WOODS, "group": "other"})
    assert decide(entitlements.policy(tree, store), WIM, UseImage("woods", "lab")).rule == "former-name"


def test_a_renaming_that_cannot_be_finished_changes_nothing(tree: Settings, store: Any) -> None:
    for name in ("woods", "timber"):
        (tree.store.projects / name).mkdir(parents=True)
    with pytest.raises(Conflict, match="there is a folder"):
        renaming.rename(tree, store, OPERATOR, "woods", "timber")
    assert may(tree, store) == "" and audit.latest(store, 1)[0].outcome == "refused"
    (tree.store.projects / "timber").rmdir()
    renaming.rename(tree, store, OPERATOR, "woods", "timber")
    assert may(tree, store, "timber") == ""


def test_two_who_create_the_same_at_once(tree: Settings, store: Any) -> None:
    """One is first, the other is told; never both, never a broken row."""
    found: list[object] = []

    def create(number: int) -> None:
        try:
            edit.create(tree, store, OLGA, "race", {"title": f"Race {number}"})
            found.append("made")
        except BdapError as error:
            found.append(error.message)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(60)
    assert sorted(map(str, found)) == ["made", *["name: there is a project 'race' already"] * 3]


def test_everything_a_project_can_have_comes_back(tree: Settings, store: Any) -> None:
    fields = {
        "title": "Dunes",
        "description": "Sand.",
        "group": "dunes",
        "images": ["lab", f"gpu@sha256:{'a' * 64}"],
        "gpus": [{"model": "A100", "count": 2}],
        "store": [{"path": "/eos/data/x", "mode": "write"}, {"path": "/eos/projects/woods"}],
        "quota": {"servers": 2, "memory": "64G"},
        "ends": "2099-12-31",
    }
    made = edit.create(tree, store, OPERATOR, "dunes", fields)
    shown = next(one for one in edit.listed(tree, store) if one.name == "dunes").fields
    assert edit.in_file({"projects": [shown]}, "x") == {"dunes": made}
    project = entitlements.policy(tree, store).project("dunes")
    assert project is not None and project.ends == date(2099, 12, 31) and project.quota.memory == 64 * 2**30
    assert (project.images, project.pins) == (("lab", "gpu"), (("gpu", f"sha256:{'a' * 64}"),))
    assert edit.put(tree, store, OPERATOR, {"dunes": made}) == []
