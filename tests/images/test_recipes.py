"""An image's hash: the same for the same inputs, another for any change of what the image is made of."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from bdap_hub.errors import BadRequest, BadSettings
from bdap_hub.spawning.images import recipes

SOURCE = recipes.ROOT


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what images are built from, free to change."""
    for folder in ("images", "extensions"):
        shutil.copytree(
            SOURCE / folder, tmp_path / folder, ignore=shutil.ignore_patterns("node_modules", "__pycache__")
        )
    monkeypatch.setattr(recipes, "ROOT", tmp_path)
    monkeypatch.delenv("BASE_IMAGE", raising=False)
    return tmp_path


def hashes() -> dict[str, str]:
    return {name: recipes.inputs_hash(name) for name in recipes.names()}


def test_parents_come_before_children(checkout: Path) -> None:
    names = recipes.names()
    assert {"tools", "base", "lab", "lab-vois", "dashboard", "dashboard-vois", "gpu", "hub", "udf", "painter"} <= set(
        names
    )
    for name in names:
        assert all(names.index(parent) < names.index(name) for parent in recipes.recipe(name).parents)


def test_same_inputs_same_hash(checkout: Path) -> None:
    before = hashes()
    for path in checkout.rglob("*"):
        path.touch()
    (checkout / "extensions/bdap/__pycache__").mkdir()
    (checkout / "extensions/bdap/__pycache__/x.pyc").write_text("compiled anew at every import")
    (checkout / "images/base/verify.py").write_bytes((SOURCE / "images/base/verify.py").read_bytes())
    assert hashes() == before


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("\n# changed\n")


def make_executable(path: Path) -> None:
    path.chmod(0o755)


EVERYTHING = {"tools", "base", "lab", "dashboard", "dashboard-vois", "gpu", "lab-vois", "udf"}
CHANGES = {
    "a lock": (append, "images/lab/requirements.lock", {"lab", "gpu", "lab-vois"}),
    "a Dockerfile": (append, "images/dashboard/Dockerfile", {"dashboard", "dashboard-vois"}),
    "a tool": (append, "images/tools/install-locked", EVERYTHING | {"builder", "painter"}),
    "a mode": (make_executable, "images/base/verify.py", EVERYTHING - {"tools"}),
    "a new file": (append, "images/hub/note", {"hub"}),
    "the notebook library": (append, "extensions/bdap/pyproject.toml", EVERYTHING - {"tools"}),
    "the JupyterLab extension": (append, "extensions/jupyterlab-bdap/pyproject.toml", {"lab", "gpu", "lab-vois"}),
}


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_makes_out_of_date_what_is_built_from_it_and_nothing_else(checkout: Path, what: str) -> None:
    change, path, expected = CHANGES[what]
    before = hashes()
    change(checkout / path)
    after = hashes()
    assert {name for name in after if after[name] != before[name]} == expected


def test_base_image_and_arguments_are_inputs() -> None:
    plain = recipes.inputs_hash("gpu")
    assert recipes.inputs_hash("gpu", base_image="debian:trixie-slim") != plain
    assert recipes.inputs_hash("gpu", arguments=["VARIANT=cpu"]) != plain
    assert recipes.inputs_hash("gpu", arguments=[]) == plain


@pytest.mark.parametrize("name", ["nosuch", "../lab", "Lab", "", "lab/../base"])
def test_unknown_names_are_refused(name: str) -> None:
    assert recipes.recipe("lab").name == "lab"
    with pytest.raises(BadRequest, match=re.escape(repr(name))):
        recipes.recipe(name)


def test_an_installed_package_without_the_source_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "ROOT", tmp_path)
    with pytest.raises(BadSettings, match="no images folder"):
        recipes.names()


LOCKS = sorted(
    [*SOURCE.glob("images/*/*.lock"), *SOURCE.glob("bdap_hub/demo/node/*.lock"), SOURCE / "requirements.lock"]
)


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(SOURCE)))
def test_locks_pin_by_hash_and_name_no_index(lock: Path) -> None:
    text = lock.read_text()
    pins = re.findall(r"^[a-z0-9][\w.\[\],-]*==", text, re.MULTILINE)
    assert pins
    assert text.count("--hash=sha256:") >= len(pins)
    assert "://" not in text
    assert "--index" not in text and "--find-links" not in text and " @ " not in text


def test_widgets_are_the_same_in_servers_and_dashboards() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (SOURCE / f"images/{name}/requirements.lock").read_text(), re.MULTILINE))

    assert pins("base") <= pins("lab")
    assert pins("base") <= pins("dashboard")


@pytest.mark.parametrize(("name", "older"), [("lab", "lab-vois"), ("dashboard", "dashboard-vois")])
def test_what_vois_replaces_is_what_it_needs_older(name: str, older: str) -> None:
    def pins(name: str) -> dict[str, str]:
        text = (SOURCE / f"images/{name}/requirements.lock").read_text()
        return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, re.MULTILINE))

    plain, vois = pins(name), pins(older)
    replaced = {"ipyvue", "ipyvuetify", "plotly"} & set(plain)
    assert {each for each in vois if plain.get(each, vois[each]) != vois[each]} == replaced


def test_the_proxys_lock_pins_by_hash_and_names_no_registry() -> None:
    lock = json.loads((SOURCE / "bdap_hub/demo/node/package-lock.json").read_text())
    packages = {path: one for path, one in lock["packages"].items() if path}
    assert packages["node_modules/configurable-http-proxy"]["version"] == "5.3.0"
    for path, one in packages.items():
        assert one["integrity"].startswith("sha512-"), path
        assert "resolved" not in one, path


def test_what_is_in_an_image_is_said_by_its_locks() -> None:
    lab = recipes.headlines(recipes.recipe("lab"))
    gpu = recipes.headlines(recipes.recipe("gpu"), ("VARIANT=cpu",))
    assert lab[0] == "Python 3.13" and re.fullmatch(r"JupyterLab 4\.\d+", lab[1]) and "PyTorch" not in " ".join(lab)
    assert any(one.startswith("JAX ") for one in gpu) and "PyTorch" not in " ".join(gpu)
    assert any(one.startswith("PyTorch ") for one in recipes.headlines(recipes.recipe("gpu")))
