"""A folder of a git repository as the platform itself fetches it: over https, from hosts that the operator named.

Nothing of a repository is ever checked out: its files are read from a bare copy, so that no hook, filter, attribute,
link or submodule of it does anything here.
"""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from urllib.parse import urlsplit

from ...errors import BadRequest, NotFound, TooMuch, Unavailable
from ...settings import Settings
from ...telemetry import redact
from .bundle import MAX_FILES, UNPACKED_FACTOR
from .client import LEFT_OUT, LONG_AGO
from .source import REF

SECONDS = 120
LOOK_SECONDS = 0.05
MEMORY = 2 * 2**30
STAGING = "git"
MOST_LISTED = 8 * 2**20  # bytes of a list of files
_in_memory = threading.Lock()  # one repository's files at a time
_URL = re.compile(r"https://[a-z0-9.-]+(:[0-9]{1,5})?(/[A-Za-z0-9_~+-][A-Za-z0-9._~+-]*)+/?")
_FOLDER = re.compile(r"[^\x00-\x1f\x7f:\\]{1,500}")
_LFS = b"version https://git-lfs.github.com/spec/"
_FILE, _LINK, _SUBMODULE = ("100644", "100755", "100664"), "120000", "160000"
_CONFIG = {
    "http.followRedirects": "false", "http.lowSpeedLimit": "1000", "http.lowSpeedTime": "20", "credential.helper": "",
    "core.hooksPath": "/dev/null", "core.fsmonitor": "false", "core.bigFileThreshold": "16m", "pack.threads": "1",
    "fetch.recurseSubmodules": "false", "fetch.unpackLimit": "1", "gc.auto": "0", "maintenance.auto": "false",
}  # fmt: skip
_PROXY = ("https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY")


@dataclass(frozen=True)
class Place:
    """Where a bundle lies: the repository's address, a branch, tag or commit, and a notebook's or folder's path."""

    url: str
    ref: str
    folder: str = "."


@dataclass(frozen=True)
class Fetched:
    """What lay there: the commit, and its content as an upload would bring it."""

    commit: str
    name: str
    content: bytes


@dataclass(frozen=True)
class _File:
    path: str
    blob: str
    size: int


def place(settings: Settings, url: str, ref: str, folder: str) -> Place:
    """The place as people write it, checked; BadRequest naming what cannot be, Unavailable where the server asks no
    repository at all."""
    hosts = settings.dashboards.git_hosts
    if not hosts:
        raise Unavailable(
            "this platform fetches from no git repository",
            "publish with your own git (bdap publish FOLDER --git URL), or ask the operator for dashboards.git_hosts",
        )
    scheme, _, rest = url.strip().partition("://")
    host, slash, path = rest.partition("/")
    address = f"{scheme.lower()}://{host.lower()}{slash}{path}"
    if not _URL.fullmatch(address) or len(address) > 500 or ".." in address:
        raise BadRequest(
            f"git: {redact(url)!r:.200} is no address of a repository that is fetched here",
            "write https://HOST/PATH, without a login in it; a token is a secret of the project",
        )
    if urlsplit(address).netloc not in hosts:
        raise BadRequest(f"git: {host!r:.100} is not among {', '.join(hosts)}", "ask the operator for that host")
    if not REF.fullmatch(ref) or ".." in ref:
        raise BadRequest(f"ref: {ref!r:.80} is no branch, tag or commit", "name one, such as main or v1.2")
    folder = folder.strip().strip("/") or "."
    if not _FOLDER.fullmatch(folder) or {"..", ".git"} & set(folder.split("/")):
        raise BadRequest(f"folder: {folder!r:.200} is no path in a repository", "write it as maps/fields")
    return Place(address, ref, "." if folder == "." else folder.removeprefix("./"))


def fetch(settings: Settings, where: Place, token: str = "") -> Fetched:
    """What lies there now. BadRequest, NotFound or TooMuch with the reason; the token stands in none of them."""
    if missing := [one for one in ("git", "prlimit") if shutil.which(one) is None]:
        raise Unavailable(f"{' and '.join(missing)} are not installed on the platform", "tell its operators")
    root = settings.var.resolve() / "dashboards" / STAGING
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    limit = settings.dashboards.max_bundle_mb * 2**20 * UNPACKED_FACTOR
    with tempfile.TemporaryDirectory(prefix="fetch-", dir=root) as folder:
        git = _Git(Path(folder), limit, settings.dashboards.git_ca)
        git("init", "-q", "--bare", "--template=")
        git("fetch", "-q", "--depth=1", "--no-tags", "--", where.url, where.ref, config=_login(where.url, token))
        commit = git("rev-parse", "--verify", "FETCH_HEAD^{commit}").decode().strip()
        files = _files(git, commit, where)
        if sum(one.size for one in files) > limit:
            raise TooMuch(f"{where.folder!r:.200} has more than {limit / 2**20:.0f} MiB", "leave large data out")
        with _in_memory:
            content = _contents(git, files)
            if len(files) == 1 and files[0].path == where.folder:
                return Fetched(commit, where.folder.rpartition("/")[2], content[files[0].path])
            return Fetched(commit, "folder.zip", _packed(content))


class _Git:
    """git in a bare repository of its own: without a home, a configuration, a terminal; bounded in time and bytes."""

    def __init__(self, folder: Path, limit: int, authorities: Path | None) -> None:
        self._folder, self._limit, self._authorities = folder, limit, authorities
        self._until = time.monotonic() + SECONDS

    def __call__(
        self, *arguments: str, config: Mapping[str, str] = MappingProxyType({}), said: bytes = b"", most: int = 0
    ) -> bytes:
        """What it prints, `most` bytes of it where that is given; `said` is its input. Only `fetch` reaches the
        network."""
        network = arguments[0] == "fetch"
        limits = ["prlimit", f"--as={MEMORY}", f"--fsize={most or self._limit}", "--core=0", "--"]
        tell, out, err = (self._folder / name for name in ("in", "out", "err"))
        tell.write_bytes(said)
        with tell.open("rb") as stdin, out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                [*limits, "git", *arguments],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=self._environment({**_CONFIG, **config}, network),
                cwd=self._folder,
                start_new_session=True,
            )
            try:
                self._wait(process, self._limit * (1 if network else 2))
            finally:
                _end(process)
        cut = most and out.stat().st_size >= most
        if process.returncode and not cut:
            raise _failure(arguments[0], err.read_text(errors="replace"))
        return out.read_bytes()

    def _wait(self, process: subprocess.Popen[bytes], limit: int) -> None:
        ended = None
        while ended is None:
            ended = process.poll()
            if (held := _size(self._folder)) > limit or (ended and held >= self._limit):
                raise TooMuch(
                    f"the repository has more than {self._limit / 2**20:.0f} MiB at that commit", "leave large data out"
                )
            if time.monotonic() > self._until:
                raise BadRequest(f"git did not end within {SECONDS} s", "use a smaller repository")
            if ended is None:
                time.sleep(LOOK_SECONDS)

    def _environment(self, config: Mapping[str, str], network: bool) -> dict[str, str]:
        found = {
            "PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._folder / "home"), "LC_ALL": "C",
            "GIT_DIR": str(self._folder / "repository"), "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "/bin/false",
            "GIT_ALLOW_PROTOCOL": "https" if network else "none", "GIT_CONFIG_COUNT": str(len(config)),
        }  # fmt: skip
        for number, (name, value) in enumerate(config.items()):
            found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
        if self._authorities is not None:
            found["GIT_SSL_CAINFO"] = str(self._authorities.resolve())
        return found | {name: os.environ[name] for name in _PROXY if name in os.environ}


def _login(url: str, token: str) -> dict[str, str]:
    """git's setting that sends the token, which may be NAME:TOKEN, to that host alone."""
    if not token:
        return {}
    parts, login = urlsplit(url), token if ":" in token else f"oauth2:{token}"
    header = f"Authorization: Basic {base64.b64encode(login.encode()).decode()}"
    return {f"http.{parts.scheme}://{parts.netloc}/.extraHeader": header}


def _files(git: _Git, commit: str, where: Place) -> list[_File]:
    """The files at the place. BadRequest for what is none: links, submodules."""
    tree = commit if where.folder == "." else f"{commit}:{where.folder}"
    try:
        kind = git("cat-file", "-t", tree).decode().strip()
    except BadRequest:
        raise NotFound(f"the repository has no {where.folder!r:.200}", "name a notebook or folder of it") from None
    if kind == "blob":
        blob = git("rev-parse", tree).decode().strip()
        return [_File(where.folder, blob, int(git("cat-file", "-s", tree)))]
    files = []
    for line in filter(None, _listed(git, tree).split(b"\0")):
        said, _, name = line.partition(b"\t")
        mode, _, blob, size = said.decode().split()
        path = name.decode(errors="replace")
        if LEFT_OUT & set(path.split("/")):
            continue
        if mode == _LINK:
            raise BadRequest(f"{path!r:.200} is a link", "put the file itself into the repository")
        if mode == _SUBMODULE:
            raise BadRequest(f"{path!r:.200} is a submodule", "put its files into the repository")
        files.append(_File(path, blob, int(size)))
        if len(files) > MAX_FILES:
            raise TooMuch(f"{where.folder!r:.200} has more than {MAX_FILES} files", "leave large data out")
    if not files:
        raise BadRequest(f"{where.folder!r:.200} is empty at that commit", "name another folder")
    return files


def _listed(git: _Git, tree: str) -> bytes:
    """The files below it, as git says them; TooMuch where that alone is very long."""
    listed = git("ls-tree", "-r", "-z", "-l", tree, most=MOST_LISTED)
    if len(listed) >= MOST_LISTED:
        raise TooMuch("the repository has very many files", "publish from a repository of the dashboard's own")
    return listed


def _contents(git: _Git, files: list[_File]) -> dict[str, bytes]:
    stream = io.BytesIO(git("cat-file", "--batch", said="".join(f"{one.blob}\n" for one in files).encode()))
    found = {}
    for one in files:
        blob, kind, size = stream.readline().decode().split()
        if (blob, kind, int(size)) != (one.blob, "blob", one.size):
            raise BadRequest(f"{one.path!r:.200} cannot be read", "push it again")
        found[one.path] = stream.read(one.size)
        stream.read(1)
        if found[one.path].startswith(_LFS):
            raise BadRequest(f"{one.path!r:.200} is kept in Git LFS, which is not fetched", "put the file itself there")
    return found


def _packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path, LONG_AGO), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _failure(step: str, said: str) -> BadRequest:
    """git's last word."""
    lines = [line for line in said.splitlines() if line.startswith(("fatal:", "error:", "remote:"))]
    last = redact((lines or said.splitlines() or ["it said nothing"])[-1])
    return BadRequest(
        f"git {step} failed: {last[:200]}", "look at the address, the branch or tag, and the token's rights"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """All of it: git's helpers, too."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size
        except OSError:  # git renames and removes what it is through with
            continue
    return total
