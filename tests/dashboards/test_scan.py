"""What must not leave: a table of secrets as they are written, each beside what only looks like one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bdap_hub.dashboards.bundles.client import pack
from bdap_hub.dashboards.bundles.scan import find_secret
from bdap_hub.errors import BadRequest

from .conftest import notebook, zipped

A40, HEX = "aB3" * 13 + "d", "0a" * 16
SECRETS = [
    ("a private key", "-----BEGIN PRIVATE KEY-----"), ("a private key", "-----BEGIN PGP PRIVATE KEY BLOCK-----"),
    ("a private key", "-----BEGIN ENCRYPTED PRIVATE KEY-----"), ("a private key", "PuTTY-User-Key-File-3: ssh-rsa"),
    ("a private key", '{"private_key": "-----BEGIN RSA PRIVATE KEY-----\\nMII"}'),
    ("a GitHub token", f"gho_{A40}"), ("a GitHub token", f"github_pat_{A40}"),
    ("a GitLab token", "glpat-" + "a" * 20), ("a GitLab token", "glagent-" + "a" * 50),
    ("a cloud access key", "ASIA" + "A" * 16), ("a cloud access key", "AIza" + "b" * 35),
    ("a cloud secret key", f"aws_secret_access_key = {A40}"), ("a cloud secret key", f'AWS_SECRET_ACCESS_KEY="{A40}"'),
    ("a cloud secret key", f"os.environ['AWS_SECRET_ACCESS_KEY'] = '{A40}'"),
    ("a cloud access key", "AccountKey=" + "a" * 86 + "=="),
    ("a Slack token", "xoxb-0123456789-abc"), ("a token of a model service", "hf_" + "a" * 34),
    ("a token of a model service", "sk-proj-" + "a1_-" * 12), ("a token of a model service", "sk-" + "a1" * 24),
    ("a token of a package registry", "npm_" + "a" * 36), ("a payment key", "sk_live_" + "a" * 24),
    ("a hub token", f"BDAP_TOKEN = '{HEX}'"), ("a hub token", f'export JUPYTERHUB_API_TOKEN="{HEX}"'),
    ("a hub token", f"headers = {{'Authorization': 'token {HEX}'}}"),
    ("a hub token", f'"Authorization": "Bearer {HEX}"'),
    ("an address with a password", "postgresql+psycopg://reader:tr0ub4dor@db/regions"),
    ("an address with a password", "https://ana:tr0ub4dor@git.example.org/x.git"),
    ("an address with a password", "redis://:tr0ub4dor@cache"),
    ("a signed token", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJlc2lnbmF0dXJl"),
]  # fmt: skip
HARMLESS = [
    "-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----", "gho_short", "glpat-xxx", "AKIA in a text",
    "aws_access_key = os.environ['KEY']", f"sha1: {'a' * 40}", "key = 'sk-container-id-1 sk-top-container-of-things'",
    "BDAP_TOKEN = os.environ['BDAP_TOKEN']", "Authorization: Bearer $TOKEN", f"git_commit = '{'0a' * 20}'",
    "'Authorization': f'Bearer {token}'", "postgresql://user:password@host/db", "postgresql://{user}:{password}@host",
    "https://user:$PASSWORD@host", "https://example.org:8443/@ana/x", "https://tiles.example.org/a:b/c@2x.png",
    "ana@example.org", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA",
]  # fmt: skip


@pytest.mark.parametrize(("reason", "text"), SECRETS)
def test_secrets_in_files_and_cells(reason: str, text: str):
    assert (find_secret("a.py", text.encode()) or "").startswith(reason)
    assert (find_secret("a.ipynb", notebook(text)) or "").startswith(reason)
    assert (find_secret("a.txt", text.encode("utf-16")) or "").startswith(reason)


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_alike(text: str):
    assert find_secret("a.py", text.encode()) is None
    assert find_secret("a.ipynb", notebook(text)) is None


@pytest.mark.parametrize(
    ("name", "found"),
    [
        (".env", True), ("conf/.env.prod", True), ("prod.env", True), (".envrc", True), (".npmrc", True),
        (".pypirc", True),
        ("keys/site.p12", True), ("x.JKS", True), ("id_ed25519", True), (".aws/config", True), (".kube/config", True),
        ("a/.docker/config.json", True), ("kubeconfig", True), ("krb5cc_1000", True), (".env.example", False),
        ("environment.yml", False), ("env.py", False), ("id_rsa.pub", False), ("docker/config.json", False),
        ("aws/config", False), ("keys.csv", False),
    ],
)  # fmt: skip
def test_files_that_hold_credentials_by_their_name(name: str, found: bool):
    assert (find_secret(name, b"x") is not None) is found


def test_archives_are_looked_into():
    assert (
        find_secret("a.zip", zipped({"x/.env": b"A=1"}))
        == "an archive with a file that usually holds credentials in it"
    )
    assert find_secret("a.whl", zipped({"c.py": f"gho_{A40}".encode()})) == "an archive with a GitHub token in it"
    assert find_secret("a.zip", zipped({"c.py": b"x = 1", "keys/": b""})) is None
    broken = bytearray(zipped({"c.py": b"x = 1" * 100}))
    broken[40:60] = b"?" * 20
    assert find_secret("a.zip", bytes(broken)) is None


def test_a_signed_address_in_saved_outputs_passes_but_no_key_does():
    nb = json.loads(notebook("m"))
    for text, found in ((SECRETS[-1][1], None), (f"gho_{A40}", "a GitHub token")):
        nb["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": text}]
        assert find_secret("a.ipynb", json.dumps(nb).encode()) == found


def test_the_command_line_sends_nothing_that_holds_a_secret(tmp_path: Path):
    (tmp_path / "index.ipynb").write_bytes(notebook("1"))
    for name in (".git/config", ".venv/bin/x.pem", "node_modules/a/.env", "__pycache__/x.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("-----BEGIN PRIVATE KEY-----")  # left out, as nobody needs it
    name, content = pack(tmp_path)
    assert (name, content) == (f"{tmp_path.name}.zip", pack(tmp_path)[1])  # the same files, the same archive
    (tmp_path / ".env").write_text("A=1")
    with pytest.raises(BadRequest, match=r"\.env is a file that usually holds credentials") as refused:
        pack(tmp_path)
    assert "nothing was sent" in refused.value.remedy
