"""`bdap access explain`: the decision for a person and a login, from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from bdap_hub.cli import main
from tests.conftest import make_settings

IDENTITY = {"step_up": {"administer": {"max_age": 300}, "gpu": {"level": "mfa"}}}


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        ("olga admin --group bdap-admins --level mfa --age 300", 0, ["allowed: olga is in group bdap-admins"]),
        (
            "olga admin --group bdap-admins --level mfa --age 301",
            1,
            ["refused: this needs a login within the last 5 minutes", "/hub/step-up?max_age=300&next=%2Fhub%2Fhome"],
        ),
        ("olga admin --group bdap-admins", 1, ["refused: this needs a login in a browser", "/hub/step-up?max_age=300"]),
        ("ana agriculture/gpu --group project-agriculture --level mfa", 0, ["allowed: project agriculture may use"]),
        ("ana agriculture/gpu --group project-agriculture --level none", 1, ["this needs a login of level mfa"]),
        ("ana agriculture/lab --group project-agriculture", 0, ["allowed"]),
        ("ben agriculture --group project-forest --level mfa", 1, ["refused: ben is not a member"]),
    ],
)
def test_explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, code: int, says: list[str]) -> None:
    settings = make_settings(tmp_path / "var", identity=IDENTITY, spawning={"gpus": 1})
    (tmp_path / "bdap.yaml").write_text(json.dumps(settings.model_dump(mode="json")))
    monkeypatch.setenv("BDAP_CONFIG", str(tmp_path / "bdap.yaml"))
    result = CliRunner().invoke(main, ["access", "explain", *arguments.split()])
    assert result.exit_code == code, result.output
    for part in says:
        assert part in result.output
    assert ("step-up" in result.output) is (code == 1 and "member" not in result.output)
