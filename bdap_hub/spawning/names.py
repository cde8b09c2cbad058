"""Names that are safe in container names, labels and paths, whatever an account is called. PURE."""

from __future__ import annotations

import hashlib
import re

_PLAIN = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
LONGEST = 32


def safe_name(name: str) -> str:
    """`name` itself if it is plain (lower case, digits, single hyphens, at most 32), else a readable, unique stand-in.

    A stand-in ends in `--` and 10 hex digits of the name's SHA-256; plain names hold no `--`: no two names collide.

    >>> safe_name("ana"), safe_name("Ana"), safe_name("../root")
    ('ana', 'ana--dea210f058', 'root--5ed4b22f51')
    """
    if len(name) <= LONGEST and _PLAIN.fullmatch(name):
        return name
    readable = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[: LONGEST - 12].strip("-")
    return f"{readable}--{hashlib.sha256(name.encode()).hexdigest()[:10]}"


def server_name(person: str, server: str = "") -> str:
    """The part of a container's name that tells a person's servers apart: no two of anybody's are called the same.

    >>> server_name("ana"), server_name("ana", "train")
    ('ana', 'ana-train--3897bc2805')
    """
    return safe_name(f"{person}\0{server}") if server else safe_name(person)
