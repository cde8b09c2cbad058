"""`bdap images project`: who acts, and what is said where nothing can be built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bdap_hub import audit, database
from bdap_hub.cli import main
from bdap_hub.identity.tables import Account
from tests.conftest import make_settings


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command line with an install whose people are ana (a member) and lena (a lead)."""
    settings = make_settings(tmp_path / "var")
    (tmp_path / "bdap.yaml").write_text(settings.model_dump_json())
    monkeypatch.setenv("BDAP_CONFIG", str(tmp_path / "bdap.yaml"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "recipe").mkdir()
    store = database.connect(settings.database)
    with store.begin() as session:
        for name, group in (("ana", "project-agriculture"), ("lena", "project-agriculture-leads")):
            session.add(Account(name=name, issuer="i", subject=name, standing="approved", groups=[group]))

    def command(*line: str) -> str:
        done = CliRunner().invoke(main, ["images", "project", *line])
        assert done.exit_code in (0, 1), done.output
        return done.output

    command.store = store  # type: ignore[attr-defined]
    return command


def test_a_member_builds_nothing_and_a_lead_may(run: Any) -> None:
    """The empty folder stops what was allowed: the decision came before."""
    assert "ana does not lead project agriculture" in run("build", "agriculture", "recipe", "--for", "ana")
    assert "the folder holds no recipe" in run("build", "agriculture", "recipe", "--for", "lena")
    assert "the folder holds no recipe" in run("build", "agriculture", "recipe")
    newest = [(one.person, one.subject, one.outcome) for one in audit.latest(run.store, 3)]
    assert newest[0][0].startswith("operator:")
    assert newest[1:] == [("lena", "agriculture/recipe", "allowed"), ("ana", "agriculture/recipe", "refused")]


def test_what_is_not_there_is_named(run: Any) -> None:
    assert "there is no project 'nowhere'" in run("build", "nowhere", "recipe")
    assert "there is no account 'zoe'" in run("build", "agriculture", "recipe", "--for", "zoe")
    assert "is no name for an image" in run("build", "agriculture", "recipe", "--name", "Crops/../x")
    assert "may not build on 'gpus'" in run("build", "agriculture", "recipe", "--base", "gpus")
    assert "has no image 'crops'" in run("remove", "agriculture", "crops")
    assert "ana does not lead" in run("remove", "agriculture", "crops", "--for", "ana")
    assert run("list") == ""
