"""The settings tree: sources, refusals with one clear line, paths of the store, the generated reference."""

from __future__ import annotations

from pathlib import Path

import pytest

from bdap_hub import settings as tree
from bdap_hub.errors import BadSettings
from bdap_hub.settings import StoreSettings, reference

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _nothing_around(monkeypatch, tmp_path):
    monkeypatch.setenv("BDAP_CONFIG", str(tmp_path / "bdap.yaml"))


def test_the_environment_wins_over_the_file_within_a_section(tmp_path, monkeypatch):
    (tmp_path / "bdap.yaml").write_text("environment: demo\nhub: {api_port: 1, api_bind: 10.0.0.1}\n")
    monkeypatch.setenv("BDAP_HUB__API_PORT", "2")
    found = tree.load()
    assert (found.hub.api_port, found.hub.api_bind) == (2, "10.0.0.1")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("identity: {algorithms: [none]}", "may not contain 'none'"),
        ("identity: {levels: []}", "MFA would not be proven"),
        ("environment: production", "production needs https"),
        ("{}", "production needs https"),
        ("environment: demo\nhub: {pubic_url: x}", "pubic_url"),
        ("projects: [{name: Agri, title: A, group: g}]", "projects.0.name"),
        ("projects: [{name: agri, title: A, group: g, images: [latex]}]", "latex"),
        ("environment: demo\nprocessing: {jobs: {runner: htcondor}}", "batch.collector is empty"),
        ("environment: demo\nprocessing: {jobs: {runner: htcondor}}\nbatch: {collector: 'x:9618'}", "batch.domain"),
        ("environment: demo\nprocessing: {jobs: {runner: slurm}}", "'slurm' is unknown"),
        ("environment: staging", "environment"),
        ("environment: demo\nhub: {public_url: 'http://192.0.2.1', subdomains: true}", "give the hub a name"),
        (
            "environment: demo\nhub: {public_url: 'http://b.eu'}\ndashboards: {origin: 'http://b.eu:8030'}",
            "give dashboards a host of their own",
        ),
        ("environment: demo\nmail: {user: u, security: none}", "in the clear"),
        ('environment: demo\nmail: {sender: "a@b.eu\\nBcc: c@d.eu"}', "mail.sender"),
        ("projects: [{name: a, title: A, group: g, lead_group: bdap-admins}]", "shares the group 'bdap-admins'"),
        (
            "projects: [{name: a, title: A, group: g}, {name: b, title: B, group: g-leads}]",
            "shares the group 'g-leads'",
        ),
        ("projects: [{name: a, title: A, group: g, lead_group: g}]", "lead_group is 'g'"),
    ],
)
def test_wrong_settings_are_refused_by_name(tmp_path, text, sentence):
    (tmp_path / "bdap.yaml").write_text(text)
    with pytest.raises(BadSettings, match=sentence):
        tree.load()


def test_right_settings_are_not(tmp_path):
    (tmp_path / "bdap.yaml").write_text(
        "environment: production\nidentity: {issuer: 'https://login.example'}\nhub: {public_url: 'https://hub.example'}\n"
        "projects: [{name: agri, title: A, group: g, images: [lab]}]\n"
    )
    assert tree.load().policy().project("agri").images == ("lab",)


def test_a_pool_that_is_named_takes_jobs(tmp_path):
    (tmp_path / "bdap.yaml").write_text(
        "environment: demo\nprocessing: {jobs: {runner: htcondor}}\nbatch: {collector: 'x:9618', domain: y}\n"
    )
    assert tree.load().processing.jobs.runner == "htcondor"


@pytest.mark.parametrize(
    ("environment", "stated", "required"),
    [
        ("production", "", True),
        ("production", "{days: 30}", True),
        ("production", "{required: null}", True),
        ("production", "{required: true}", True),
        ("production", "{required: false}", False),
        ("demo", "", False),
        ("demo", "{required: true}", True),
    ],
)
def test_people_register_in_production_unless_said_otherwise(tmp_path, environment, stated, required):
    (tmp_path / "bdap.yaml").write_text(
        f"environment: {environment}\nidentity: {{issuer: 'https://login.example'}}\n"
        f"hub: {{public_url: 'https://hub.example'}}\n" + (f"registration: {stated}\n" if stated else "")
    )
    found = tree.load()
    assert found.registration.required is required
    assert tree.Settings(**found.model_dump()).registration.required is required
    assert tree.RegistrationSettings().required is None  # nothing that others share has changed


def test_groups_may_be_shared_where_nobody_is_added_here(tmp_path):
    shared = "{title: T, group: g, lead_group: bdap-admins, membership: provider"
    (tmp_path / "bdap.yaml").write_text(f"environment: demo\nprojects: [{shared}, name: a}}, {shared}, name: b}}]\n")
    assert len(tree.load().projects) == 2


def test_a_missing_secret_says_where_it_belongs(settings):
    with pytest.raises(BadSettings, match="'nothing' is missing"):
        settings.secret("nothing")
    assert settings.secret("signing")


@pytest.mark.parametrize(
    ("name", "content", "good"),
    [
        ("signing", "s3cret", False),
        ("service-admin", "\n", False),
        ("proxy-auth-token", "x" * 31 + "\n", False),
        ("proxy-auth-token", "x" * 32 + "\n", True),
        ("hub-crypt-key", "s3cret", False),
        ("oidc-client-secret", "s3cret", True),  # the login provider's choice
        ("smtp-password", "s3cret", True),
        ("oidc-client-secret", "\n", False),
    ],
)
def test_a_secret_that_could_be_guessed_is_refused(settings, name, content, good):
    (settings.var / "secrets" / name).write_text(content)
    if good:
        assert settings.secret(name) == content.strip()
        return
    with pytest.raises(BadSettings, match=f"'{name}' has {len(content.strip())} characters") as refused:
        settings.secret(name)
    assert ("openssl rand" in refused.value.remedy) == (name != "oidc-client-secret")
    assert "s3cret" not in str(refused.value)


def test_hrefs_stay_in_the_store(tmp_path):
    store = StoreSettings(root=tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.tif").write_text("")
    (tmp_path / "data" / "out").symlink_to("/etc")
    assert store.path_of("/eos/data/x.tif") == tmp_path / "data" / "x.tif"
    assert store.href_of(tmp_path / "data" / "x.tif") == "/eos/data/x.tif"
    for href in ("/etc/passwd", "/eos/data/../../etc/passwd", "/eos/data/out/passwd", "/eos/x.tif", "data/x.tif", ""):
        with pytest.raises(ValueError, match=r"store|not under"):
            store.path_of(href)
    with pytest.raises(ValueError, match="not in the store"):
        store.href_of(Path("/etc/passwd"))


def test_a_link_in_a_projects_folder_leads_to_no_other_project(tmp_path):
    store, projects = StoreSettings(root=tmp_path), tmp_path / "projects"
    for name in ("forest", "farms"):
        (projects / name).mkdir(parents=True)
        (projects / name / "x.tif").write_text("")
    (projects / "forest" / "own.tif").symlink_to("x.tif")
    (projects / "forest" / "theirs.tif").symlink_to("../farms/x.tif")
    assert store.path_of("/eos/projects/forest/own.tif") == projects / "forest" / "x.tif"
    for href in ("/eos/projects/forest/theirs.tif", "/eos/projects/forest/../farms/x.tif", "/eos/projects/../data/x"):
        with pytest.raises(ValueError, match="leaves the store"):
            store.path_of(href)


def test_the_reference_page_says_what_the_tree_says():
    page = ROOT / "docs" / "reference" / "settings.md"
    assert page.read_text() == reference.render(), "run `make docs`"
