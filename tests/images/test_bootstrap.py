"""bootstrap.sh: what is up to date is skipped at once, what cannot be had is named with its remedy."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = ("bdap_hub/demo/bootstrap.sh", "bdap_hub/demo/in_image.sh", ".ci/run", "images/tools/install-locked")
# What a minimal system has; no Python, apt, sudo, Docker, Node.
PROGRAMS = (
    "bash",
    "sh",
    "cat",
    "sha256sum",
    "cut",
    "id",
    "sed",
    "dirname",
    "mkdir",
    "grep",
    "mktemp",
    "stat",
    "rm",
    "find",
    "sort",
)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with nothing installed, and a PATH (bin) with hardly anything on it."""
    for name in ("bdap_hub/demo", "images/tools", "bin"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("bdap_hub/demo/bootstrap.sh", "bdap_hub/demo/in_image.sh", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "images/tools/requirements.lock", tmp_path / "images/tools")
    for name in ("bdap_hub/demo/node", "bdap_hub/dashboards/stage/node"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "extensions", tmp_path / "extensions", ignore=shutil.ignore_patterns("__pycache__"))
    for program in PROGRAMS:
        (tmp_path / "bin" / program).symlink_to(shutil.which(program) or "/nowhere")
    return tmp_path


def run(checkout: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    given = {"PATH": str(checkout / "bin"), "HOME": str(checkout), **environment}
    command = [str(checkout / "bin/bash"), "bdap_hub/demo/bootstrap.sh", *arguments]
    return subprocess.run(command, cwd=checkout, env=given, capture_output=True, text=True, timeout=30, check=False)


def pretend_installed(checkout: Path) -> None:
    """Every stamp as the script itself would have left it."""
    (checkout / ".venv/bin").mkdir(parents=True)
    for name in ("node", "node-widgets"):
        (checkout / "var" / name).mkdir(parents=True)
    for name, script in (("python", "exit 1"), ("node", "echo true"), ("npm", "exit 1")):
        (checkout / ".venv/bin" / name).write_text(f"#!/bin/sh\n{script}\n")
        (checkout / ".venv/bin" / name).chmod(0o755)
    node, widgets = "bdap_hub/demo/node", "bdap_hub/dashboards/stage/node"
    for stamp, inputs in {
        ".venv/.bdap-stamp": "requirements.lock images/tools/requirements.lock pyproject.toml "
        "$(find extensions -type f | sort)",
        "var/node/.stamp": f"{node}/package.json {node}/package-lock.json",
        "var/node-widgets/.stamp": f"{widgets}/package.json {widgets}/package-lock.json",
    }.items():
        script = f"cat {inputs} | sha256sum | cut -c1-64 > {stamp}"
        subprocess.run(["bash", "-c", script], cwd=checkout, check=True)


def test_up_to_date_is_skipped_at_once_and_in_silence(checkout: Path) -> None:
    pretend_installed(checkout)
    done = run(checkout, "demo", "sh", "-c", "echo became the command")
    assert (done.returncode, done.stdout, done.stderr) == (0, "became the command\n", "")


def test_the_commands_exit_status_is_the_scripts(checkout: Path) -> None:
    pretend_installed(checkout)
    assert run(checkout, "demo", "sh", "-c", "exit 7").returncode == 7


def test_a_changed_lock_is_installed_anew(checkout: Path) -> None:
    pretend_installed(checkout)
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("# changed\n")
    done = run(checkout, "demo", "sh", "-c", "echo not reached")
    assert "Python packages" in done.stdout
    assert "not reached" not in done.stdout
    assert done.returncode != 0


def test_what_is_compiled_is_kept(checkout: Path) -> None:
    """Where the environment says otherwise, each of the platform's processes would compile all that it imports anew."""
    pretend_installed(checkout)
    done = run(checkout, "demo", "sh", "-c", "echo =$PYTHONDONTWRITEBYTECODE=", PYTHONDONTWRITEBYTECODE="1")
    assert done.stdout.strip() == "=="


@pytest.mark.parametrize(("exists", "expected"), [(True, "{ca}"), (False, "")], ids=["kept", "unset"])
def test_a_ca_file_that_is_not_there_is_unset(checkout: Path, exists: bool, expected: str) -> None:
    pretend_installed(checkout)
    ca = checkout / "site-ca.crt"
    if exists:
        ca.touch()
    done = run(checkout, "demo", "sh", "-c", "echo $GIT_SSL_CAINFO", GIT_SSL_CAINFO=str(ca))
    assert done.stdout.strip() == expected.format(ca=ca)


def test_no_python_no_apt_no_docker_is_one_line_with_a_remedy(checkout: Path) -> None:
    done = run(checkout, "demo", "true", BDAP_PYTHON="none", SSL_CERT_FILE=os.devnull)
    assert done.returncode == 1
    assert done.stderr.startswith("bdap: ")
    assert "is missing" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 2


def test_a_profile_is_needed(checkout: Path) -> None:
    done = run(checkout)
    assert done.returncode != 0
    assert "usage: bootstrap.sh demo|unit|test|check" in done.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_parse(script: str) -> None:
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_scripts_pass_shellcheck() -> None:
    scripts = [script for script in SCRIPTS if script != "bdap_hub/demo/in_image.sh"]
    done = subprocess.run(["shellcheck", "-x", *scripts], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
