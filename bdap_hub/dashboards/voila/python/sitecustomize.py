"""Read by every Python of a release's container: its processes share a user id, and none reads another's memory.

PR_SET_DUMPABLE 0 gives what the kernel shows of a process (/proc/<pid>/mem, environ, maps) to root alone.
"""

import contextlib

with contextlib.suppress(Exception):
    import ctypes

    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
