"""Finds what must not leave an author's folder: private keys, access tokens, passwords, environment files. PURE."""

from __future__ import annotations

import io
import json
import re
import zipfile
import zlib
from pathlib import PurePosixPath

_FILES = re.compile(
    r"(?i)^(\.env(rc|\..+)?|.+\.env|[._]netrc|\.pgpass|\.my\.cnf|\.git-credentials|\.htpasswd|\.npmrc|\.pypirc|\.vault-token|"
    r"\.s3cfg|\.boto|\.dockercfg|\.rclone\.conf|rclone\.conf|kubeconfig|id_(rsa|dsa|ecdsa|ed25519)(_sk)?|krb5cc_\w+|"
    r".+\.(kdbx?|p12|pfx|jks|keystore|ppk|keytab))$"
)
_PLAIN = re.compile(r"(?i)^\.env\.(example|sample|template|dist)$")
_FOLDERS = {
    ".git": "a git repository",
    ".ssh": "SSH keys",
    ".aws": "cloud credentials",
    ".azure": "cloud credentials",
    ".gcloud": "cloud credentials",
    ".gnupg": "GnuPG keys",
    ".kube": "cluster credentials",
    ".docker": "registry credentials",
}
_ASSIGNED = rb"[\"']?\]?\s*[=:]\s*\\?[\"']"
_CONTENT = (
    ("a private key", re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("a private key", re.compile(rb"\bPuTTY-User-Key-File-\d|\bAGE-SECRET-KEY-1[0-9A-Z]{50,}")),
    ("a GitHub token", re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})")),
    (
        "a GitLab token",
        re.compile(
            rb"\bgl(?:pat|dt|rt|cbt|ptt|oas|soat|ft|imt|agent|wt)-[A-Za-z0-9_-]{20,}|\bGR1348941[A-Za-z0-9_-]{20,}"
        ),
    ),
    ("a cloud access key", re.compile(rb"\b(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16}\b")),
    (
        "a cloud secret key",
        re.compile(
            rb"(?i)aws_?(?:secret_?)?(?:access_?)?key[\"']?\]?\s*[=:]\s*\\?[\"']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
        ),
    ),
    ("a cloud access key", re.compile(rb"\bAIza[0-9A-Za-z_-]{35}\b|\bAccountKey=[A-Za-z0-9+/]{86}==")),
    ("a Slack token", re.compile(rb"\bxox[abeoprs]-[A-Za-z0-9-]{10,}|hooks\.slack\.com/services/T\w+/B\w+/\w{20,}")),
    (
        "a token of a model service",
        re.compile(rb"\bhf_[A-Za-z]{34}\b|\bsk-(?:ant-\w+-|proj-|svcacct-)[\w-]{40,}|\bsk-[A-Za-z0-9]{40,}\b"),
    ),
    (
        "a token of a package registry",
        re.compile(rb"\bpypi-AgE[A-Za-z0-9_-]{50,}|\bnpm_[A-Za-z0-9]{36}\b|\bdckr_pat_\w{20,}"),
    ),
    ("a payment key", re.compile(rb"\b[rs]k_live_[A-Za-z0-9]{20,}")),
    (
        "a hub token",
        re.compile(rb"(?i)(?:JUPYTERHUB_API_TOKEN|BDAP_TOKEN|JPY_API_TOKEN)" + _ASSIGNED + rb"[0-9a-f-]{32,}\\?[\"']"),
    ),
    (
        "a hub token",
        re.compile(rb"(?i)Authorization" + _ASSIGNED + rb"(?:token|bearer) [A-Za-z0-9._~+/-]{24,}=*\\?[\"']"),
    ),
    (
        "an address with a password",
        re.compile(
            rb"\b(?:postgres(?:ql)?|mysql|mariadb|mongodb|redis|amqp|ftps?|https?|ldaps?|smtps?)(?:\+[a-z0-9]+)*://"
            rb"[^\s:/@\"'{}<>$*%]*:(?!pass(?:word)?@|secret@|xxx+@)[^\s/@\"'{}<>$*%]{4,}@[^\s/\"'@]+"
        ),
    ),
)
_JWT = ("a signed token (JWT)", re.compile(rb"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}"))
_BYTE_ORDERS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
MOST_PACKED = 50 * 2**20


def find_secret(path: str, content: bytes) -> str | None:
    """Why the file must not be published ("a private key"), or None. Archives (zip) are looked into, too.

    A JWT in a notebook's saved outputs is let pass: signed tile addresses stand there, they expire
    within hours, and outputs are computed anew when the dashboard is served.
    """
    if reason := _by_name(path):
        return reason
    content = _as_text(content)
    text = _sources(content) if path.endswith(".ipynb") else content
    for reason, pattern in _CONTENT:  # in a notebook both: of its sources as they are typed, and of its outputs
        if pattern.search(content) or (text is not content and pattern.search(text)):
            return reason
    return _JWT[0] if _JWT[1].search(text) else _packed(content)


def _by_name(path: str) -> str | None:
    parts = PurePosixPath(path).parts
    for part in parts[:-1]:
        if part in _FOLDERS:
            return _FOLDERS[part]
    found = parts and _FILES.match(parts[-1]) and not _PLAIN.match(parts[-1])
    return "a file that usually holds credentials" if found else None


def _as_text(content: bytes) -> bytes:
    """UTF-16, as some editors write, in the bytes that the patterns know."""
    for mark, encoding in _BYTE_ORDERS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace").encode()
    return content


def _packed(content: bytes) -> str | None:
    """What stands in a zip archive within the bundle; one that is larger than can be looked into is let pass."""
    if not content.startswith(b"PK\x03\x04"):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            left = MOST_PACKED
            for info in archive.infolist():
                left -= info.file_size
                if left < 0 or info.flag_bits & 0x1:
                    return None
                if not info.is_dir() and (reason := _inside(archive, info)):
                    return reason if reason.endswith("in it") else f"an archive with {reason} in it"
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, OSError, ValueError, RuntimeError):
        return None
    return None


def _inside(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str | None:
    if reason := _by_name(info.filename):
        return reason
    with archive.open(info) as member:
        content = member.read(info.file_size)
    return None if content.startswith(b"PK\x03\x04") else find_secret(info.filename, content)


def _sources(content: bytes) -> bytes:
    try:
        cells = json.loads(content).get("cells", [])
        return "\n".join("".join(cell.get("source", "")) for cell in cells).encode()
    except (ValueError, AttributeError, TypeError):
        return content
