"""Finds what must not leave an author's folder: private keys, access tokens, environment files. PURE."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath

_FILES = re.compile(
    r"(?i)^(\.env(\..+)?|\.netrc|_netrc|\.pgpass|\.git-credentials|id_(rsa|dsa|ecdsa|ed25519)|.+\.kdbx)$"
)
_FOLDERS = {".git": "a git repository", ".ssh": "SSH keys", ".aws": "cloud credentials", ".gnupg": "GnuPG keys"}
_CONTENT = (
    ("a private key", re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----")),
    ("a GitHub token", re.compile(rb"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})")),
    ("a GitLab token", re.compile(rb"\bgl(?:pat|dt|rt|cbt|ptt)-[A-Za-z0-9_-]{20,}")),
    ("a cloud access key", re.compile(rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a Slack token", re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{10,}")),
    (
        "a hub token",
        re.compile(rb"(?i)JUPYTERHUB_API_TOKEN[\"']?\]?\s*[=:]\s*\\?[\"'][0-9a-f-]{32,}\\?[\"']"),
    ),
)
_JWT = ("a signed token (JWT)", re.compile(rb"\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{16,}"))


def find_secret(path: str, content: bytes) -> str | None:
    """Why the file must not be published ("a private key"), or None.

    A JWT in a notebook's saved outputs is let pass: signed tile addresses stand there, they expire
    within hours, and outputs are computed anew when the dashboard is served.
    """
    if reason := _by_name(path):
        return reason
    for reason, pattern in _CONTENT:
        if pattern.search(content):
            return reason
    text = _sources(content) if path.endswith(".ipynb") else content
    return _JWT[0] if _JWT[1].search(text) else None


def _by_name(path: str) -> str | None:
    parts = PurePosixPath(path).parts
    for part in parts[:-1]:
        if part in _FOLDERS:
            return _FOLDERS[part]
    return "a file that usually holds credentials" if _FILES.match(parts[-1]) else None


def _sources(content: bytes) -> bytes:
    try:
        cells = json.loads(content).get("cells", [])
        return "\n".join("".join(cell.get("source", "")) for cell in cells).encode()
    except (ValueError, AttributeError, TypeError):
        return content
