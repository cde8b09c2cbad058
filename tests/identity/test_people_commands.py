"""`bdap people`: the operator's commands, on the same database as the pages."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from bdap_hub import audit, cli, database
from bdap_hub.identity import people, requests, sessions
from bdap_hub.identity.id_token import IdToken, LoginRefused
from bdap_hub.identity.tables import Account, aware, now
from tests.conftest import make_settings


class Desk:
    """The command line before a throw-away install: fay leads forest, nora waits, zoe was never approved."""

    def __init__(self, folder: Path) -> None:
        self.settings = make_settings(folder / "var", registration={"required": True})
        self.store = database.connect(self.settings.database)
        for name, standing, groups in (
            ("fay", "approved", ["project-forest-leads"]),
            ("nora", "pending", []),
            ("zoe", "pending", []),
        ):
            with self.store.begin() as session:
                row = Account(name=name, issuer="i", subject=name, email=f"{name}@example.eu", standing=standing)
                row.groups = groups
                session.add(row)
        self.ask("forest")

    def ask(self, project: str) -> None:
        requests.submit(self.settings, self.store, self.account("nora"), project, "I map old forests.\nAnd new ones.")

    def account(self, name: str) -> Any:
        return people.find(self.store, name)

    def log_in(self, name: str) -> None:
        sessions.begin(self.store, "a cookie", name, IdToken(name, name, name, frozenset(), (), 0, level="mfa"), 1)

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli.main, ["people", *arguments])

    def says(self, *arguments: str) -> str:
        result = self(*arguments)
        assert result.exit_code == 0, result.output
        return result.output


@pytest.fixture
def bdap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk(tmp_path)
    (tmp_path / "bdap.yaml").write_text(yaml.safe_dump(desk.settings.model_dump(mode="json")))
    monkeypatch.setenv("BDAP_CONFIG", str(tmp_path / "bdap.yaml"))
    return desk


def test_list_and_show(bdap: Desk) -> None:
    lines = bdap.says("list").splitlines()
    assert [line.split() for line in lines] == [
        ["fay", "approved", "-", "forest", "(lead)"],
        ["nora", "pending", "-"],
        ["zoe", "pending", "-"],
    ]
    assert bdap.says("list", "--standing", "approved").split()[0] == "fay"
    shown = bdap.says("show", "nora")
    assert "may log in:      no: your account is not approved yet" in shown and "open requests:   forest" in shown
    assert "may log in:      yes" in bdap.says("show", "fay")


def test_a_request_is_read_and_approved(bdap: Desk) -> None:
    shown = bdap.says("requests")
    assert "nora asks for forest:" in shown and "      I map old forests.\n      And new ones." in shown
    day = (datetime.now(UTC) + timedelta(days=30)).date()
    assert "nora is now a lead of forest" in bdap.says("approve", "nora", "--role", "lead", "--until", str(day))
    assert people.role_of(bdap.settings, bdap.store, bdap.account("nora"), "forest") == "lead"
    assert aware(bdap.account("nora").expires).date() == day
    event = audit.latest(bdap.store, 1)[0]
    assert event.person.startswith("operator:") and (event.action, event.subject) == ("approve", "nora in forest")
    assert len(list((bdap.settings.var / "mail").iterdir())) == 1
    assert bdap.says("requests") == ""


def test_an_account_is_approved_without_a_project(bdap: Desk) -> None:
    """As the first administrator is, where nobody is approved by their groups."""
    assert "zoe is approved, without a project" in bdap.says("approve", "zoe")
    assert people.refusal(bdap.settings, bdap.account("zoe")) is None
    assert aware(bdap.account("zoe").expires) > now() + timedelta(days=364)


def test_reject_block_unblock_add_remove(bdap: Desk) -> None:
    assert "turned down" in bdap.says("reject", "nora", "--comment", "no place left")
    assert bdap.account("nora").standing == "rejected"
    assert "nora is now a member of forest" in bdap.says("add", "nora", "forest")
    assert "nora is blocked" in bdap.says("block", "nora", "--comment", "left the institute")
    assert "standing:        blocked: left the institute" in bdap.says("show", "nora")
    assert "no longer blocked" in bdap.says("unblock", "nora")
    assert bdap.account("nora").standing == "approved"
    assert "no longer in forest" in bdap.says("remove", "nora", "forest")
    assert people.role_of(bdap.settings, bdap.store, bdap.account("nora"), "forest") is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "nobody"], "there is no account 'nobody'"),
        (["approve", "nobody"], "there is no account 'nobody'"),
        (["approve", "zoe", "--project", "forest"], "'zoe' has no open request for 'forest'"),
        (["reject", "zoe", "--comment", "no, not you"], "'zoe' has no open request"),
        (["reject", "nora", "--comment", "x"], "say why"),
        (["approve", "nora", "--until", "2001-01-01"], "2001-01-01 is not a day to come"),
        (["approve", "nora", "--until", "soon"], "does not match the format"),
        (["add", "nora", "latex"], "there is no project 'latex'"),
        (["add", "nobody", "forest"], "nobody has logged in under the name 'nobody'"),
        (["add", "fay", "forest"], "the login provider says that fay is a lead of forest"),
        (["remove", "fay", "forest"], "'fay' was not added to project forest here"),
        (["unblock", "fay"], "the account 'fay' is not blocked"),
        (["rebind", "nobody", "--subject", "s"], "there is no account 'nobody'"),
        (["rebind", "fay", "--subject", "zoe", "--issuer", "i"], "'zoe' at i is the account 'zoe' already"),
        (["rebind", "fay", "--subject", " "], "the subject is ' '"),
        (["rebind", "fay"], "Missing option '--subject'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(bdap: Desk, arguments: list[str], sentence: str) -> None:
    result = bdap(*arguments)
    assert result.exit_code != 0 and sentence in result.output and "Traceback" not in result.output


def test_an_account_is_given_to_its_owner_at_another_issuer(bdap: Desk) -> None:
    """After a change of identity.issuer: refused, rebound, let in as before."""
    fay = IdToken("f-4711", "fay", "Fay", frozenset({"project-forest-leads"}), (), 0, level="mfa")
    issuer = bdap.settings.identity.issuer
    bdap.log_in("fay")
    with pytest.raises(LoginRefused, match="belongs to somebody else") as refused:
        people.recognise(bdap.store, issuer, fay, standing="pending")
    assert refused.value.reason == "name-taken"
    assert f"fay is now f-4711 at {issuer}" in bdap.says("rebind", "fay", "--subject", "f-4711")
    assert sessions.live_of(bdap.store, "fay") == []
    found = people.recognise(bdap.store, issuer, fay, standing="pending")
    assert (found.name, found.standing) == ("fay", "approved")
    event = audit.latest(bdap.store, 1)[0]
    assert event.person.startswith("operator:") and (event.action, event.outcome) == ("rebind", "allowed")
    assert event.subject == f"fay to f-4711 at {issuer}"
    assert people.find_subject(bdap.store, "i", "fay") is None  # the old identity opens nothing any more


def test_an_identity_belongs_to_one_account(bdap: Desk) -> None:
    bdap.log_in("fay")
    assert bdap("rebind", "fay", "--subject", "zoe", "--issuer", "i").exit_code == 1
    event = audit.latest(bdap.store, 1)[0]
    assert (event.action, event.outcome, event.reason) == ("rebind", "refused", "subject-taken")
    assert bdap.account("fay").subject == "fay" and len(sessions.live_of(bdap.store, "fay")) == 1
    bdap.says("rebind", "zoe", "--subject", "elsewhere", "--issuer", "i")
    bdap.says("rebind", "fay", "--subject", "zoe", "--issuer", "i")
    assert people.find_subject(bdap.store, "i", "zoe").name == "fay"


def test_of_several_requests_one_has_to_be_named(bdap: Desk) -> None:
    bdap.ask("agriculture")
    result = bdap("approve", "nora")
    assert result.exit_code == 1 and "asks for forest, agriculture" in result.output and "--project" in result.output
    bdap.says("approve", "nora", "--project", "agriculture")
    assert people.role_of(bdap.settings, bdap.store, bdap.account("nora"), "agriculture") == "member"


def test_a_letter_that_does_not_arrive_is_said(bdap: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BDAP_MAIL__HOST", "127.0.0.1")
    monkeypatch.setenv("BDAP_MAIL__PORT", "1")
    assert "could not be sent" in bdap.says("approve", "nora")
    assert bdap.account("nora").standing == "approved"
