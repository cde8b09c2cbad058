"""The playbook as written: it parses, its documented options are its defaults, its lock is the platform's."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jinja2 import ChainableUndefined, Environment

from bdap_hub.demo.people import PROJECTS
from bdap_hub.demo.prepare import SECRETS

ANSIBLE = Path(__file__).parents[2] / "ansible"
ROLES = sorted(path.name for path in (ANSIBLE / "roles").iterdir())


def _read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


@pytest.mark.parametrize("inventory", ["demo", "production"])
@pytest.mark.parametrize("playbook", ["site.yml", "verify.yml", "nodes.yml", "dashboards.yml"])
def test_syntax(ansible_playbook: str, inventory: str, playbook: str, run: Any) -> None:
    run(
        ansible_playbook,
        "--syntax-check",
        "-i",
        f"inventories/{inventory}",
        playbook,
        cwd=ANSIBLE,
        env=dict(os.environ),
    )


@pytest.mark.parametrize("role", ROLES)
def test_every_default_is_documented_with_its_value(role: str) -> None:
    options = _read(ANSIBLE / "roles" / role / "meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    defaults = _read(ANSIBLE / "roles" / role / "defaults/main.yml")
    assert set(defaults) <= set(options)
    documented = {name: option["default"] for name, option in options.items() if "default" in option}
    assert documented == {name: value for name, value in defaults.items() if name in documented}
    shared = set(_read(ANSIBLE / "group_vars/all.yml"))
    assert {name for name, option in options.items() if option.get("required")} <= shared


@pytest.mark.parametrize("allowed", [False, True])
def test_processing_starts_containers_only_where_code_is_allowed(allowed: bool) -> None:
    role = ANSIBLE / "roles/services"
    defaults, unit = _read(role / "defaults/main.yml"), (role / "templates/bdap.service.j2").read_text()
    assert defaults["services_code"] is False

    def groups(part: str) -> str:
        drawn = Environment(undefined=ChainableUndefined, trim_blocks=True, autoescape=False).from_string(unit)
        values = {"part": defaults["services_table"][part], "item": part, "bdap_process_environment": {}}
        text = drawn.render(**{**defaults, **values, "services_code": allowed})
        found = re.search(r"^SupplementaryGroups=(.*)$", text, re.MULTILINE)
        return found[1] if found else ""

    assert groups("processing") == ("docker" if allowed else "")
    assert groups("gateway") == "docker" and groups("catalogue") == ""


def test_the_hosts_lock_has_the_versions_we_test_with() -> None:
    def pins(path: Path) -> dict[str, str]:
        return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", path.read_text(), re.MULTILINE))

    tested, deployed = pins(ANSIBLE.parent / "requirements.lock"), pins(ANSIBLE / "platform.lock")
    builders = {"hatchling", "editables", "tomlkit", "trove-classifiers", "pathspec", "pluggy"}
    different = {name: version for name, version in deployed.items() if tested.get(name) != version}
    assert set(different) <= builders, f"ansible/platform.lock is out of date: {different}"
    assert "jupyterhub" in deployed
    assert "pytest" not in deployed


def test_the_demo_inventory_has_the_demos_projects() -> None:
    inventory = _read(ANSIBLE / "inventories/demo/group_vars/bdap.yml")
    assert inventory["bdap_projects"] == [dict(project) for project in PROJECTS]


def test_production_draws_every_secret_but_the_providers_and_the_demos() -> None:
    drawn = set(_read(ANSIBLE / "roles/platform/defaults/main.yml")["platform_generated_secrets"])
    assert drawn == set(SECRETS) - {"oidc-client-secret", "service-demo"}


def test_no_secret_stands_in_an_inventory() -> None:
    for path in (ANSIBLE / "inventories").rglob("*.yml"):
        assert not re.search(r"(secret|password|token)\w*:\s*\S", path.read_text()), path
