"""A folder of a git repository at one commit, fetched with the git of whoever publishes, and so with their rights."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...errors import BadRequest
from ...telemetry import redact
from ..steps import Tell, silent

SECONDS = 300
REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/+-]{0,200}")


@contextmanager
def checked_out(url: str, ref: str, path: str = ".", tell: Tell = silent) -> Iterator[Path]:
    """The file or folder `path` of the repository, as it is at a branch, tag or commit; gone after the block."""
    if not REF.fullmatch(ref) or ".." in ref:
        raise BadRequest(f"ref: {ref!r:.80} is no branch, tag or commit", "name one, such as main or v1.2")
    if url.startswith("-") or "::" in url or not url:
        raise BadRequest(f"git: {redact(url)!r:.200} is no address of a repository", "write it as git clone takes it")
    with tempfile.TemporaryDirectory(prefix="bdap-git-") as place:
        clone = Path(place) / (url.rstrip("/").rpartition("/")[2].removesuffix(".git") or "repository")
        clone.mkdir()
        tell(f"fetching {ref}")
        _git(clone, "init", "-q")
        _git(clone, "fetch", "-q", "--depth=1", "--no-tags", url, ref)
        _git(clone, "checkout", "-q", "--detach", "FETCH_HEAD")
        tell(f"commit {_git(clone, 'rev-parse', 'HEAD')}")
        found = (clone / path).resolve()
        if not found.is_relative_to(clone.resolve()) or not found.exists():
            raise BadRequest(f"the repository has no {path!r:.200}", "name a notebook or folder by its path in it")
        yield found


def _git(clone: Path, *arguments: str) -> str:
    """What git says; BadRequest with its last line where it fails."""
    command = ["git", "-c", "protocol.ext.allow=never", "-C", str(clone), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise BadRequest("git is not installed here", "install it, or publish a folder") from None
    except subprocess.TimeoutExpired:
        raise BadRequest(f"git did not end within {SECONDS} s", "publish a folder, or a smaller repository") from None
    if done.returncode:
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise BadRequest(
            f"git {arguments[0]} failed: {redact(last)[:300]}", "look at the address, the ref, your rights"
        )
    return done.stdout.strip()
