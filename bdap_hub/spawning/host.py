"""What must be known of this host's mounts before a server is planned."""

from __future__ import annotations

from pathlib import Path

from .store.mounts import Propagation


def propagation_of(path: Path, mountinfo: str | None = None) -> Propagation:
    """`rslave` when the mount that holds `path` is shared or a slave itself (Docker refuses it otherwise).

    With rslave a store that is mounted, or mounted again, after a server's start appears in the running server.
    """
    lines = (mountinfo if mountinfo is not None else Path("/proc/self/mountinfo").read_text()).splitlines()
    best, shared = "", False
    for fields in (line.split() for line in lines):
        point = fields[4].encode().decode("unicode_escape")
        if path.is_relative_to(point) and len(point) >= len(best):
            optional = fields[6 : fields.index("-")]
            best, shared = point, any(f.startswith(("shared:", "master:")) for f in optional)
    return "rslave" if shared else "rprivate"
