"""What the demo writes before it starts: private, complete, the same on the second run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from bdap_hub import database
from bdap_hub.demo import people, prepare, run
from bdap_hub.errors import Conflict
from bdap_hub.identity import people as accounts
from bdap_hub.spawning.store.folders import ensure_home
from tests.conftest import make_settings

TERMS = Path(people.__file__).with_name("terms.txt")


def test_secrets_are_drawn_once_and_are_private(tmp_path):
    prepare.ensure_secrets(tmp_path)
    vault = tmp_path / "secrets"
    first = {path.name: path.read_text() for path in vault.iterdir()}
    prepare.ensure_secrets(tmp_path)
    assert {path.name: path.read_text() for path in vault.iterdir()} == first
    assert set(first) == set(prepare.SECRETS)
    assert len(set(first.values())) == len(first)
    assert vault.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in vault.iterdir())


def test_the_settings_file_names_where_services_listen_and_ones_own_store(tmp_path):
    path = prepare.write_settings(tmp_path, "docker", "172.18.0.1", "172.19.0.1", tmp_path)
    tree = yaml.safe_load(path.read_text())
    assert tree["dashboards"] == tree["admin"] == {"bind": "172.18.0.1"}
    assert tree["processing"] == tree["catalogue"] == {"bind": "172.18.0.1", "also_bind": "172.19.0.1"}
    assert tree["store"]["data_root"] == str(tmp_path)
    assert tree["identity"]["step_up"] == {"administer": {"max_age": 3600}, "gpu": {"max_age": 900}}
    assert path.stat().st_mode & 0o777 == 0o600


def test_demo_json_is_private_and_lets_a_script_in(tmp_path):
    settings = make_settings(tmp_path)
    prepare.ensure_secrets(tmp_path)
    path = prepare.write_demo_file(settings, [{"name": "ana", "password": "p", "totp_secret": "s"}])
    assert path.stat().st_mode & 0o777 == 0o600
    facts = json.loads(path.read_text())
    assert facts["addresses"]["hub"] == settings.hub.public_url
    assert facts["accounts"][0]["password"] == "p"
    assert facts["tokens"]["hub_api"]


def test_a_port_in_use_is_named_with_the_remedy(tmp_path):
    import socket

    settings = make_settings(tmp_path)
    run._check_ports(settings)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", settings.catalogue.port))
        taken.listen()
        with pytest.raises(Conflict, match=f"catalogue.port.*{settings.catalogue.port}") as error:
            run._check_ports(settings)
    assert "BDAP_CATALOGUE__PORT" in error.value.remedy


def test_two_demos_in_one_folder_are_refused(tmp_path):
    with run._only_one(tmp_path), pytest.raises(Conflict, match="already running"), run._only_one(tmp_path):
        pass
    with run._only_one(tmp_path):
        pass


def test_the_settings_file_asks_newcomers_to_register(tmp_path):
    tree = yaml.safe_load(prepare.write_settings(tmp_path, "docker", "172.18.0.1", "", None).read_text())
    assert tree["registration"]["required"] is True
    assert "Your account is yours alone." in Path(tree["registration"]["terms"]).read_text()


def test_people_of_the_demo_are_known_but_for_the_newcomer(tmp_path):
    settings = make_settings(tmp_path, registration={"required": True, "terms": TERMS})
    people.seed(settings, people.PEOPLE)
    store = database.connect(settings.database)
    may = {p.name: accounts.refusal_at_login(settings, accounts.find(store, p.name)) for p in people.PEOPLE}
    assert [name for name, refused in may.items() if refused] == ["nora"]
    assert accounts.find(store, "nora") is None


def test_seeding_again_changes_nothing_but_where_the_provider_listens(tmp_path):
    settings = make_settings(tmp_path, registration={"required": True, "terms": TERMS})
    store = database.connect(settings.database)
    people.seed(settings, people.PEOPLE)
    accounts.set_standing(store, "pia", "blocked", "for a test")
    moved = make_settings(tmp_path, registration={"required": True, "terms": TERMS})
    people.seed(moved, people.PEOPLE)
    pia = accounts.find(store, "pia")
    assert (pia.standing, pia.issuer) == ("blocked", moved.identity.issuer) != ("blocked", settings.identity.issuer)


def test_a_new_home_of_the_demo_has_first_notebook_and_gallery(tmp_path):
    settings = make_settings(tmp_path, spawning={"skeleton": str(Path(prepare.__file__).parent / "notebooks")})
    home = ensure_home(settings, "nora", os.getuid(), os.getgid())
    assert (home / "first-map.ipynb").is_file()
    assert not (home / "gallery").is_symlink() and (home / "gallery" / "README.md").is_file()
    assert len(list((home / "gallery").glob("*.ipynb"))) == 12
