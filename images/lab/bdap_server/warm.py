"""A container that waits: everything is imported, nobody's yet. One claim makes it the server of one person, for good.

It starts as root with three capabilities (SETUID, SETGID, SETPCAP) and no-new-privileges, holds no data and listens on
a socket that only root of the host can reach. The first connection is the only one; a wrong secret ends it.
"""

import ctypes
import gc
import hmac
import importlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from . import markers
from .gitlab_panel import turn_on
from .slim import call_it, import_server

FOLDER = Path("/run/bdap")
SOCKET, SECRET = FOLDER / "claim", FOLDER / "secret"
LARGEST, DAY = 1_000_000, 86_400
PR_CAPBSET_DROP, PR_SET_DUMPABLE = 24, 4
# What a server imports only once it runs; further images may lack some.
LATER = (
    "tornado.platform.asyncio",
    "jupyter_server.services.contents.largefilemanager",
    "zmq.eventloop.zmqstream",
    "jinja2.ext",
    "jupyterlab_git.handlers",
    "jupyter_lsp.serverextension",
    "jupyter_lsp.virtual_documents_shadow",
)


def import_everything() -> Callable[[], None]:
    """The server and this image's extensions; not jupyterhub.singleuser.app, which breaks the login."""
    server = import_server()
    import jupyterlab.labapp  # noqa: F401
    from jupyter_core.paths import jupyter_config_path
    from jupyter_server import serverapp
    from jupyter_server.extension.config import ExtensionConfigManager

    known = ExtensionConfigManager(read_config_path=jupyter_config_path()).get_jpserver_extensions()
    for name in (name for name, enabled in known.items() if enabled):
        importlib.import_module(name)
    for name in LATER:
        with suppress(ImportError):
            importlib.import_module(name)
    for name in set(serverapp.JUPYTER_SERVICE_HANDLERS):
        for module in serverapp.JUPYTER_SERVICE_HANDLERS[name] or ():
            importlib.import_module(module)
    return server


def the_claim() -> dict:
    """Wait for it; ends the container where it is not the one that this container was made for."""
    FOLDER.chmod(0o700)
    secret = SECRET.read_bytes().strip()
    SECRET.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(SOCKET))
        SOCKET.chmod(0o600)
        listener.listen(1)
        listener.settimeout(DAY)  # a container that everybody forgot does not wait for ever
        print("bdap: waiting for a claim", flush=True)
        connection, _ = listener.accept()
    SOCKET.unlink()
    FOLDER.rmdir()
    with connection, connection.makefile("rwb") as stream:
        connection.settimeout(2)
        claim = json.loads(stream.readline(LARGEST))
        if not hmac.compare_digest(secret, str(claim.pop("secret", "")).encode()):
            sys.exit("bdap: a claim with a wrong secret; this container ends")
        stream.write(b"claimed\n")
    return claim


def become(claim: dict) -> None:
    """The person's ids and the plan's rights; ends the container rather than keep any of root's."""
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    os.umask(int(claim["umask"], 8))
    os.setgroups(claim["groups"])
    os.setresgid(claim["gid"], claim["gid"], claim["gid"])
    os.setresuid(claim["uid"], claim["uid"], claim["uid"])
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # as after any program's start: its files in /proc are the person's
    rights = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines())
    kept = [name for name in rights if name.startswith("Cap") and int(rights[name], 16)]
    if kept or rights["NoNewPrivs"] != "1" or 0 in os.getresuid() + os.getresgid():
        sys.exit(f"bdap: could not give up {kept or 'root'}; this container ends")
    os.chdir(claim["folder"])


def stay_as_init(server: int) -> None:
    """As the container's first process: pass signals on, collect what has ended, end as the server ends."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: os.kill(server, received))
    while True:
        ended, status = os.wait()
        if ended == server:
            os._exit(os.waitstatus_to_exitcode(status) % 256)


def main() -> None:
    """Import, wait, and run the normal server in a child: the parent is the container's init."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # the first process of a container has no default for it
    environment = dict(os.environ)
    os.environ.update(markers.VALUES)
    serve = import_everything()
    found = markers.find()
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        sys.exit("bdap: an extension starts threads at its import: this image cannot wait for a claim")
    gc.collect()
    gc.freeze()  # the child's collections leave the shared pages alone
    claim = the_claim()
    become(claim)
    os.environ.clear()
    os.environ.update({**environment, **claim["environment"]})
    server = os.fork()
    if server:
        del claim
        stay_as_init(server)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    markers.replace(found, os.environ)
    sys.argv = claim["command"]
    call_it(sys.argv[0])
    turn_on(os.environ)
    serve()
