"""What is wrong with a file of an image, and which packages it tells of. PURE: no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import Any

from .advisories import Package

PYTHON_METADATA = re.compile(r"(?:site|dist)-packages/[^/]+\.(?:dist|egg)-info/(?:METADATA|PKG-INFO)$")
DPKG_STATUS = "var/lib/dpkg/status"
# Keys below a folder of tests are published with their package.
FOR_TESTS = re.compile(r"(^|/)(tests?|testing|examples?)/")
PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+(?:[A-Za-z-]+: .*\s+)*[A-Za-z0-9+/=\r\n]{64}")
TOKEN = re.compile(
    rb"(?<![A-Za-z0-9_-])(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{60,}|glpat-[A-Za-z0-9_-]{20,}"
    rb"|pypi-AgEIcHlwaS5vcmc[A-Za-z0-9_-]{50,}|hf_[A-Za-z0-9]{34}|xox[abps]-[A-Za-z0-9-]{20,}|AKIA[0-9A-Z]{16})"
    rb"(?![A-Za-z0-9])"
)
# Each token begins with one of these: looking for them first is ten times as fast.
TOKEN_BEGINS = (
    *(b"gh" + kind + b"_" for kind in (b"p", b"o", b"u", b"s", b"r")),
    b"github_pat_",
    b"glpat-",
    b"pypi-Ag",
    b"hf_",
    b"xox",
    b"AKIA",
)
IN_ADDRESS = re.compile(rb"://[^/\s:@\"'{}$<>]+:[^/\s@\"'{}$<>]+@")
HELD_BY_A_PERSON = re.compile(
    r"(^|/)(\.netrc|\.git-credentials|\.pypirc|\.docker/config\.json|containers/auth\.json|\.aws/credentials"
    r"|\.ssh/id_[a-z0-9]+|krb5cc_[^/]+|oauthtk_[^/]+|\.kube/config)$"
)
# Where tools keep addresses of registries, sometimes with a password in them.
NAMES_REGISTRIES = re.compile(
    r"(^|/)(pip\.conf|uv\.toml|\.condarc|\.npmrc|\.wgetrc|\.?gitconfig|sources\.list|[^/]+\.sources|auth\.conf)$"
)
PASSWORD_LINE = re.compile(rb"(?im)^\s*(?:password|//[^\s=]+:_authToken|machine\s+\S+\s+login)\b")


@dataclass(frozen=True)
class File:
    """A file or folder of one layer. `content` is None for folders, links and what is too large to search."""

    path: str
    mode: int
    uid: int
    layer: int
    is_folder: bool = False
    content: bytes | None = None
    capable: bool = False  # it has capabilities of its own


@dataclass(frozen=True)
class Finding:
    """A problem: its kind, where it is, and what it means. A serious one makes the scan fail."""

    kind: str
    where: str
    what: str
    serious: bool = True


def configured(configuration: dict[str, Any]) -> Iterator[Finding]:
    """What the image's own configuration says."""
    given = configuration.get("config") or {}
    if (given.get("User") or "0").partition(":")[0] in ("0", "root"):
        yield Finding("root", "USER", "who forgets to give a uid runs it as root")
    for variable in given.get("Env") or ():
        name, _, value = variable.partition("=")
        if IN_ADDRESS.search(value.encode()) or TOKEN.search(value.encode()):
            yield Finding("secret", f"ENV {name}", "holds a password or token")


def rights(file: File) -> Finding | None:
    """A program that may change its user, or what everybody may write to."""
    if not file.is_folder and file.mode & 0o6000:
        return Finding("setuid", file.path, f"mode {file.mode & 0o7777:o}: runs as its owner or group")
    if file.capable:
        return Finding("capability", file.path, "runs with capabilities of its own")
    if file.mode & 0o002 and not (file.is_folder and file.mode & 0o1000):
        what = f"mode {file.mode & 0o7777:o}: everybody may change it"
        return Finding("world-writable", file.path, what, serious=file.is_folder)
    if re.match(r"var/lib/apt/lists/.*Packages", file.path):
        return Finding("apt-lists", "var/lib/apt/lists", "package lists that nobody needs", serious=False)
    return None


def secrets(file: File, site_certificates: Iterable[bytes] = ()) -> Iterator[Finding]:
    """Passwords, tokens and keys in a file; and the certificates of the site, which were only lent."""
    content, path = file.content or b"", file.path
    if HELD_BY_A_PERSON.search(path) and content.strip():
        yield Finding("secret", path, "a file in which people keep their credentials")
    elif NAMES_REGISTRIES.search(path) and (IN_ADDRESS.search(content) or PASSWORD_LINE.search(content)):
        yield Finding("secret", path, "names a registry with its password")
    # Programs and packages' tests carry keys that everybody has.
    serious = b"\0" not in content[:4096] and not FOR_TESTS.search(path)
    if b"PRIVATE KEY-----" in content and PRIVATE_KEY.search(content):
        yield Finding("private-key", path, "holds a private key", serious)
    if any(begin in content for begin in TOKEN_BEGINS) and TOKEN.search(content):
        yield Finding("secret", path, "holds an access token", serious)
    if any(one in content for one in site_certificates):
        yield Finding("site-ca", path, "holds a certificate authority of this site")


def packages(file: File) -> Iterator[Package]:
    """The packages that a file describes: dpkg's list, or a Python distribution's metadata."""
    if file.content is None:
        return
    if file.path == DPKG_STATUS:
        for paragraph in file.content.decode(errors="replace").split("\n\n"):
            fields = HeaderParser().parsestr(paragraph)
            if fields["Package"] and "installed" in (fields["Status"] or "").split():
                source = (fields["Source"] or "").partition(" ")[0]
                yield Package("debian", fields["Package"], fields["Version"] or "", source)
    elif PYTHON_METADATA.search(file.path):
        fields = HeaderParser().parsestr(file.content.decode(errors="replace").partition("\n\n")[0])
        if fields["Name"]:
            yield Package("python", fields["Name"], fields["Version"] or "")


def hidden_by(path: str) -> tuple[str, bool] | None:
    """What a layer's whiteout hides of the layers below: a path, and whether only what lies in that folder.

    >>> hidden_by("etc/.wh.passwd"), hidden_by("opt/.wh..wh..opq"), hidden_by("etc/hosts")
    (('etc/passwd', False), ('opt', True), None)
    """
    folder, _, name = path.rpartition("/")
    if name == ".wh..wh..opq":
        return folder, True
    if name.startswith(".wh."):
        return f"{folder}/{name[4:]}".lstrip("/"), False
    return None
