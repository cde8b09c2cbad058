"""`bdap projects` and `bdap access explain` on a real database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from bdap_hub import audit, database
from bdap_hub.cli import main
from bdap_hub.dashboards.records import Records
from bdap_hub.dashboards.tables import Dashboard, Release
from bdap_hub.identity.tables import Account
from tests.conftest import make_settings

FILE = """
projects:
- name: dunes
  title: Dunes
  images: [lab]
  sizes: [small, large]
  gpus: [{model: A100, count: 2}]
  store:
  - {path: /eos/data/sand, mode: write}
  quota: {servers: 2, cpus: 8, memory: 32G}
  ends: 2099-12-31
- name: woods
  title: Woods
"""
SIZES = [
    {"name": "small", "title": "Small", "cpus": 1, "memory": "2G"},
    {"name": "large", "title": "Large", "cpus": 4, "memory": "16G"},
]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command line; checks its exit status, gives its output."""
    settings = make_settings(tmp_path / "var", spawning={"gpus": 1})
    tree = {**settings.model_dump(mode="json"), "sizes": SIZES}
    (tmp_path / "bdap.yaml").write_text(json.dumps(tree))
    (tmp_path / "projects.yaml").write_text(FILE)
    monkeypatch.setenv("BDAP_CONFIG", str(tmp_path / "bdap.yaml"))
    monkeypatch.chdir(tmp_path)

    def command(*line: str, status: int = 0) -> str:
        result = CliRunner().invoke(main, list(line))
        assert result.exit_code == status, (line, result.output, result.exception)
        return result.output

    command.store = database.connect(settings.database)  # type: ignore[attr-defined]
    return command


def test_a_file_is_imported_whole_and_again_without_a_difference(run: Any, tmp_path: Path) -> None:
    told = "new project dunes: Dunes\nnew project woods: Woods\n"
    assert run("projects", "import", "--dry-run", "projects.yaml") == told
    assert "dunes" not in run("projects", "list")
    assert run("projects", "import", "projects.yaml") == told
    assert run("projects", "import", "projects.yaml") == "nothing is different\n"
    (tmp_path / "again.yaml").write_text(run("projects", "export"))
    assert run("projects", "import", "again.yaml") == "nothing is different\n"
    changed = FILE.replace("ends: 2099-12-31", "ends: 2098-12-31").replace(
        "  quota: {servers: 2, cpus: 8", "  quota: {cpus: 8"
    )
    (tmp_path / "projects.yaml").write_text(changed)
    difference = run("projects", "import", "--dry-run", "projects.yaml")
    assert "dunes: ends: 2099-12-31 becomes 2098-12-31" in difference and "dunes: quota: {'servers': 2" in difference
    assert difference == run("projects", "import", "projects.yaml")
    assert "woods" not in difference


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title: Woods", "title: [Woods]", "projects.yaml: projects[1].title: "),
        ("name: woods", "name: Woods", "projects.yaml: projects[1].name: "),
        ("name: woods", "name: dunes", "projects.yaml: projects[1].name: 'dunes' stands there twice"),
        ("name: woods", "name: forest", "projects.yaml: name: 'forest' is a project of the operator's settings"),
        ("ends: 2099-12-31", "ends: later", "projects.yaml: projects[0].ends: "),
        ("mode: write", "mode: all", "projects.yaml: projects[0].store.0.mode: "),
        ("/eos/data/sand", "/eos/data/../sand", "has the part '..'"),
        ("images: [lab]", "images: [lab, latex]", "names the images ['latex']; known: ['gpu', 'lab']"),
        ("projects:", "project:", "'projects' and a list is all that it may hold"),
        ("- name: woods", "- woods\n- name: woods", "projects[1]: 'woods' is no project"),
        ("title: Woods", "title: Woods\n  group: project-forest", "shares the group 'project-forest'"),
        ("title: Woods", "title: {", "projects.yaml cannot be read"),
    ],
)
def test_a_file_with_a_mistake_changes_nothing(run: Any, tmp_path: Path, old: str, new: str, words: str) -> None:
    assert old in FILE
    (tmp_path / "projects.yaml").write_text(FILE.replace(old, new))
    assert words in run("projects", "import", "projects.yaml", status=1)
    assert run("projects", "export") == "projects: []\n"


def test_create_set_end_rename_show(run: Any) -> None:
    run("projects", "create", "marsh", "title=The marsh", "images=[lab]")
    assert "becomes 2030-01-31" in run("projects", "end", "marsh", "2030-01-31")
    assert "quota" in run("projects", "set", "marsh", "quota={cpus: 8}", "description=Wet: very")
    shown = yaml.safe_load(run("projects", "show", "marsh"))
    assert (
        shown["description"] == "Wet: very" and shown["quota"] == {"cpus": 8.0} and str(shown["ends"]) == "2030-01-31"
    )
    assert "no FIELD=VALUE" in run("projects", "set", "marsh", "ends", status=1)
    run("projects", "set", "marsh", "archived=true")
    assert "marsh" not in run("projects", "list") and "marsh" in run("projects", "list", "--all")
    run("projects", "set", "marsh", "archived=false")
    assert "is now bog" in run("projects", "rename", "marsh", "bog")
    listed = {line.split()[0]: line.split()[1:3] for line in run("projects", "list").splitlines()}
    assert listed == {"agriculture": ["settings", "-"], "forest": ["settings", "-"], "bog": ["database", "2030-01-31"]}
    assert "there is no project 'marsh'" in run("projects", "show", "marsh", status=1)
    assert "stands in the operator's settings" in run("projects", "end", "forest", "never", status=1)
    assert {event.person.split(":")[0] for event in audit.latest(run.store)} == {"operator"}


EXPLAINED = [
    # thing, allowed, reason, rule
    ("project:dunes", True, "dia is a member of project dunes", "membership"),
    ("project:forest", False, "not a member of project forest", "membership"),
    ("image:dunes/lab", True, "project dunes may use image lab", "image"),
    ("image:dunes/lab/large", True, "project dunes may use image lab", "image"),
    ("image:dunes/lab/huge", False, "project dunes has no size 'huge'", "size"),
    ("image:dunes/gpu", False, "project dunes has no image 'gpu'", "image"),
    ("size:dunes/large", True, "project dunes may use size large", "size"),
    ("size:dunes/huge", False, "project dunes has no size 'huge'", "size"),
    ("gpu:dunes/A100", True, "project dunes may use a GPU of model A100", "gpu"),
    ("gpu:dunes/H100", False, "project dunes has no grant for a GPU of model H100", "gpu"),
    ("path:/eos/data/sand:write", True, "project dunes may write /eos/data/sand", "store-grant"),
    ("path:/eos/data/sand/x/y.tif:write", True, "project dunes may write /eos/data/sand", "store-grant"),
    ("path:/eos/data/sandy:write", False, "dia may not write /eos/data/sandy", "store-grant"),
    ("path:/eos/data/sandy", True, "is for everybody logged in", "visibility"),
    ("path:/eos/data/plots:read", False, "dia is not a member of project forest", "membership"),
    ("path:/eos/projects/dunes:write", True, "is of project dunes", "own-folder"),
    ("path:/eos/projects/forest:read", False, "dia is not a member of project forest", "membership"),
    ("path:/eos/projects/dunes/../forest", False, "has the part '..'", "path"),
    ("collection:plots", False, "dia is not a member of project forest", "membership"),
    ("dashboard:dunes/map", True, "dia is a member of project dunes", "membership"),
    ("dashboard:forest/map", False, "dia is not a member of project forest", "membership"),
    ("members:dunes", False, "dia does not lead project dunes", "lead"),
    ("edit:dunes/title", False, "dia does not lead project dunes", "lead"),
    ("admin", False, "dia is not in group bdap-admins", "group"),
]


@pytest.fixture
def explained(run: Any, tmp_path: Path) -> Any:
    run("projects", "import", "projects.yaml")
    plots = tmp_path / "var" / "catalogue" / "plots" / "collection.json"
    plots.parent.mkdir(parents=True)
    plots.write_text(json.dumps({"bdap:visibility": "project", "bdap:project": "forest"}))
    with run.store.begin() as session:
        session.add(Account(name="dia", issuer="i", subject="dia", groups=["project-dunes"]))
    for project in ("dunes", "forest"):
        row = Dashboard(project=project, slug="map", title="Map", visibility="project", owner="x", version=0)
        records = Records(run.store)
        records.add(row, Release(version=1, bundle="b" * 64, entry="x.ipynb", publisher="x", title="Map"))
        records.make_live(row, 1)
    return run


def test_explain_by_what_is_known_of_the_person(explained: Any) -> None:
    for thing, allowed, reason, rule in EXPLAINED:
        told = explained("access", "explain", "dia", thing, status=0 if allowed else 1).splitlines()
        assert told[0].startswith("allowed: " if allowed else "refused: ") and reason in told[0], (thing, told)
        assert told[1] == f"rule: {rule}", (thing, told)


def test_explain_says_what_it_can_explain(explained: Any) -> None:
    assert "write one as project:forest" in explained("access", "explain", "dia", "wish:dunes", status=1)
    assert "there is no dashboard dunes/nix" in explained("access", "explain", "dia", "dashboard:dunes/nix", status=1)
