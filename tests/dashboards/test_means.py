"""What a release gets of what its manifest asks for: a table of refusals, each beside what is allowed; the secrets."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from bdap_hub import cli
from bdap_hub.audit import latest
from bdap_hub.dashboards.bundles.manifest import check
from bdap_hub.dashboards.releases.means import Means, means, secret_shown
from bdap_hub.dashboards.releases.vault import Vault
from bdap_hub.database import connect
from bdap_hub.errors import BadRequest, BdapError, Conflict, NotFound, TooMuch
from bdap_hub.settings import Settings
from bdap_hub.settings.services import DashboardImageSettings

NAME = "agriculture/wheat"


@pytest.fixture
def tree(settings: Settings) -> Settings:
    """With a store, a collection of forest's and one of agriculture's, a secret, and two further images."""
    settings.dashboards.images = (
        DashboardImageSettings(name="vois", reference="bdap/dashboard-vois:1"),
        DashboardImageSettings(name="woods", reference="bdap/dashboard-woods:1", projects=("forest",)),
    )
    for folder in ("data/fields", "data/trees", "data/sown", "projects/agriculture/t", "projects/forest"):
        (settings.store.root / folder).mkdir(parents=True, exist_ok=True)
    (settings.store.root / "projects/agriculture/t/a.csv").write_text("1")
    (settings.store.root / "projects/agriculture/link").symlink_to("/etc")
    for name, project in (("trees", "forest"), ("sown", "agriculture")):
        record = settings.var / "catalogue" / name / "collection.json"
        record.parent.mkdir(parents=True)
        record.write_text(json.dumps({"bdap:visibility": "project", "bdap:project": project}))
    (settings.var / "catalogue" / "broken").mkdir()
    (settings.var / "catalogue" / "broken" / "collection.json").write_text("{")
    (settings.store.root / "data/broken").mkdir(exist_ok=True)
    Vault(settings).keep("agriculture", "weather-key", b"k3y-of-the-weather")
    Vault(settings).keep("forest", "theirs", b"of the forest")
    return settings


def _means(tree: Settings, **asked: object) -> Means:
    return means(tree, tree.policy(), NAME, check(asked))


def test_nothing_asked_is_the_platform_s_own(tree: Settings):
    assert _means(tree) == Means("bdap/dashboard:latest", "1G", 1.0)


def test_what_may_be_had(tree: Settings):
    store = tree.store
    found = _means(
        tree,
        image="vois",
        resources={"memory": "4G", "cpus": 0.5},
        data=["/eos/data/fields", "/eos/data/sown", "/eos/projects/agriculture/t/a.csv"],
        secrets=["weather-key"],
    )
    assert (found.image, found.memory, found.cpus) == ("bdap/dashboard-vois:1", "4G", 0.5)
    assert found.mounts == (
        (store.data / "fields", "/eos/data/fields"),
        (store.data / "sown", "/eos/data/sown"),
        (store.projects / "agriculture/t/a.csv", "/eos/projects/agriculture/t/a.csv"),
        (tree.var.resolve() / "secrets/dashboards/agriculture/weather-key", "/run/secrets/weather-key"),
    )


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"image": "none"}, "image: project agriculture has no image 'none' for dashboards"),
        ({"image": "woods"}, "image: project agriculture has no image 'woods' for dashboards"),
        ({"resources": {"memory": "5G"}}, "resources.memory: 5G is more than 4G"),
        ({"resources": {"cpus": 8}}, "resources.cpus: 8 is more than 4"),
        ({"data": ["/etc"]}, "data: '/etc' is not below /eos/data or /eos/projects"),
        ({"data": ["/eos/data"]}, "data: '/eos/data' is all there is"),
        ({"data": ["/eos/data/../projects/forest"]}, "has the part '..'"),
        ({"data": ["/eos/data/nothing"]}, "data: there is no '/eos/data/nothing' in the store"),
        ({"data": ["/eos/data/trees"]}, "data: .* is not a member of project forest"),
        ({"data": ["/eos/data/broken"]}, "data: there is no project ''"),
        ({"data": ["/eos/projects/forest"]}, "data: .* is not a member of project forest"),
        ({"data": ["/eos/projects/agriculture/link"]}, "data: .* goes over a link"),
        ({"data": ["/eos/results/x"]}, "is not below /eos/data or /eos/projects"),
        ({"secrets": ["theirs"]}, "secrets: project agriculture has no secret 'theirs'"),
    ],
)
def test_what_may_not_be_had_is_refused_with_its_field(tree: Settings, asked: dict[str, object], says: str):
    with pytest.raises(BdapError, match=says) as refused:
        _means(tree, **asked)
    assert refused.value.remedy
    assert str(tree.var.resolve()) not in refused.value.message + refused.value.remedy


def test_a_project_that_ended_gets_nothing_but_its_page(tree: Settings):
    with pytest.raises(BdapError, match="no project 'gone'"):
        means(tree, tree.policy(), "gone/x", check({"data": ["/eos/data/fields"]}))


def test_a_secret_on_the_page_is_found_however_it_is_written(tmp_path: Path):
    (tmp_path / "s").write_text('a"b<c>d\n')
    (tmp_path / "short").write_text("12345")
    found = Means("", "", 1, ((tmp_path / "s", "/run/secrets/s"), (tmp_path / "short", "/run/secrets/short")))
    for page in ('x a"b<c>d y', "<p>a&quot;b&lt;c&gt;d</p>", r'{"v": "a\"b<c>d"}'):
        assert secret_shown(found, page) == "s", page
    assert secret_shown(found, "a b c d 12345") == ""


def test_the_vault_is_closed_and_refuses_names_that_lead_elsewhere(tree: Settings):
    vault = Vault(tree)
    path = vault.path("agriculture", "weather-key")
    assert path.read_bytes() == b"k3y-of-the-weather"
    for folder in (path.parent, path.parent.parent):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("../forest/theirs", "", ".x", "a/b", "x" * 64):
        with pytest.raises(BadRequest):
            vault.keep("agriculture", name, b"1")
        with pytest.raises(NotFound):
            vault.path("agriculture", name)
    for project in ("../x", "", "A"):
        with pytest.raises(BadRequest):
            vault.names(project)
    for value in (b"", b"x" * 70_000):
        with pytest.raises(TooMuch):
            vault.keep("agriculture", "other", value)
    vault.keep("agriculture", "weather-key", b"another")
    assert (vault.names("agriculture"), path.read_bytes()) == (["weather-key"], b"another")


def test_secrets_follow_their_project_to_its_new_name(tree: Settings):
    vault = Vault(tree)
    vault.rename_project("agriculture", "fields")
    assert (vault.names("agriculture"), vault.names("fields")) == ([], ["weather-key"])
    with pytest.raises(Conflict):
        vault.rename_project("fields", "forest")
    vault.rename_project("nothing", "forest")


def test_the_operator_s_commands(tree: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "bdap.yaml").write_text(yaml.safe_dump(tree.model_dump(mode="json")))
    monkeypatch.setenv("BDAP_CONFIG", str(tmp_path / "bdap.yaml"))

    def bdap(*arguments: str, given: str = "") -> str:
        answer = CliRunner().invoke(cli.main, ["dashboards", "secret", *arguments], input=given)
        return answer.output

    said = bdap("set", "agriculture", "db", given="s3cret-value\n")
    assert "agriculture/db is there" in said and "s3cret" not in said
    assert Vault(tree).path("agriculture", "db").read_text() == "s3cret-value"
    assert bdap("list", "agriculture").split() == ["db", "weather-key"]
    assert "no project 'nowhere'" in bdap("set", "nowhere", "x", given="1")
    assert "is gone" in bdap("remove", "agriculture", "db")
    assert "has no secret 'db'" in bdap("remove", "agriculture", "db")
    noted = [(event.action, event.subject) for event in latest(connect(tree.database), 9)]
    assert noted == [("dashboard.secret-remove", "agriculture/db"), ("dashboard.secret-set", "agriculture/db")]
