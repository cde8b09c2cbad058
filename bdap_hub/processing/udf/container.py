"""The sandbox: a container without network, rights or files of anybody, spoken to by its standard input and output."""

from __future__ import annotations

import contextlib
import functools
import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import LogConfig, Ulimit

from ...errors import Unavailable
from ...settings import Settings
from . import messages
from .deadline import Deadline
from .messages import Arrays, Broken

log = logging.getLogger("bdap.processing")
FIRST_UID, UIDS = 1_900_000_000, 10**8
"""Far beyond people's; each sandbox has one of its own."""
PIDS, TMP_MB, SHARED_MB = 32, 32, 8
CPU_SECONDS = 900
START_SECONDS = 60.0
SLOW, PART = 0.5, 2**18
WEIGHT = 256
"""The share of a busy processor, where a service has 1024."""


@functools.cache
def seccomp() -> str:
    """What may be called of the kernel, as the engine reads it: no sockets, no tracing, no io_uring, no namespaces."""
    return (files(__package__) / "seccomp.json").read_text("utf-8")


@functools.cache
def program() -> str:
    """What runs in it."""
    return (files(__package__) / "worker.py").read_text("utf-8")


def container_spec(settings: Settings, uid: int, name: str) -> dict[str, Any]:
    """What the container is created with. PURE: compared in tests."""
    udf = settings.processing.udf
    return {
        "image": udf.image,
        "name": name,
        "entrypoint": ["python", "-I", "-u", "-c", program()],
        "command": [],
        "working_dir": "/tmp",  # noqa: S108
        "hostname": "udf",
        "user": f"{uid}:{uid}",
        "environment": {"HOME": "/tmp", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},  # noqa: S108
        "labels": {"bdap.hub": settings.install_id, "bdap.kind": "udf"},
        "network_mode": "none",
        "ipc_mode": "private",
        "read_only": True,
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,noexec,size={TMP_MB}m,mode=1777"},  # noqa: S108
        "shm_size": f"{SHARED_MB}m",
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true", f"seccomp={seccomp()}"],
        "mem_limit": udf.memory,
        "memswap_limit": udf.memory,
        "nano_cpus": 10**9,
        "cpu_shares": WEIGHT,
        "pids_limit": PIDS,
        "ulimits": [
            Ulimit(name="core", soft=0, hard=0),
            Ulimit(name="nofile", soft=128, hard=128),
            Ulimit(name="cpu", soft=CPU_SECONDS, hard=CPU_SECONDS),
        ],
        "oom_score_adj": 800,  # where the host's memory runs out, the kernel takes a sandbox first
        "log_config": LogConfig(type="none"),
        "stdin_open": True,
        "auto_remove": True,
        "detach": False,
    }


class Sandbox:
    """One container. Its methods block, at most until a deadline, and are for one thread at once.

    After Broken or TimeoutError it is gone.
    """

    def __init__(self, settings: Settings, client: Any) -> None:
        self.most = settings.processing.udf.array_mb * 2**20
        uid = FIRST_UID + secrets.randbelow(UIDS)
        self.name = f"bdap-{settings.install_id}-udf-{secrets.token_hex(6)}"
        self.known: set[str] = set()
        self.ended = False
        self._client, self._in_frame = client, 0
        self._stream: Any = None
        self._socket: Any = None
        try:
            created = client.containers.create(**container_spec(settings, uid, self.name))
            self._stream = client.api.attach_socket(created.id, params={"stdin": 1, "stdout": 1, "stream": 1})
            self._socket = getattr(self._stream, "_sock", self._stream)
            created.start()
        except ImageNotFound:
            image = settings.processing.udf.image
            raise Unavailable(
                f"no code of people runs here: the image {image} is not built",
                "tell the platform's operators: `bdap images build udf` makes it",
            ) from None
        except (APIError, DockerException, OSError) as error:
            self.end()
            raise Unavailable("the engine refused a sandbox for code", str(error)[:200]) from None

    def hello(self, deadline: Deadline) -> dict[str, Any]:
        """What it says once it is ready: the versions of Python and of the libraries."""
        return self._guarded(deadline, b"")[0]

    def load(self, key: str, code: str, deadline: Deadline) -> str:
        """Make some code known under a key; why it cannot be, where it cannot."""
        header, _ = self._guarded(deadline, messages.code_message(key, code))
        if "error" in header:
            return messages.text_of(header["error"])
        self.known.add(key)
        return ""

    def call(self, key: str, given: Arrays, context: Any, deadline: Deadline) -> Arrays | str:
        """The result of some code for an array, or its complaint."""
        header, content = self._guarded(deadline, messages.call_message(key, given, context))
        if "error" in header:
            return messages.text_of(header["error"])
        try:
            return messages.arrays_of(header, content)
        except Broken:
            self.end()
            raise

    def end(self) -> None:
        """Kill and remove it."""
        self.ended = True
        if self._stream is not None:  # first: the engine may be waiting for somebody to read
            with contextlib.suppress(OSError, ValueError):
                self._socket.shutdown(socket.SHUT_RDWR)
            with contextlib.suppress(OSError, ValueError):
                self._stream._response.close()
                self._stream.close()
        try:
            self._client.api.remove_container(self.name, force=True)
        except NotFound:
            return
        except (APIError, DockerException, OSError) as error:
            log.warning("the sandbox %s could not be removed now: %s", self.name, error)

    def _guarded(self, deadline: Deadline, message: bytes) -> tuple[dict[str, Any], bytes]:
        try:
            return self._exchange(deadline, message)
        except (Broken, TimeoutError):
            self.end()
            raise
        except (OSError, ValueError):
            self.end()
            raise Broken("it ended") from None

    def _exchange(self, deadline: Deadline, message: bytes) -> tuple[dict[str, Any], bytes]:
        left = memoryview(message)
        while left:
            left = left[self._patiently(functools.partial(self._socket.send, left[:PART]), deadline) :]
        text, content = messages.sizes(self._take(messages.HEAD.size, deadline), self.most)
        header = messages.header_of(self._take(text, deadline))
        return header, self._take(content, deadline)

    def _patiently[T](self, act: Callable[[], T], deadline: Deadline) -> T:
        while (left := deadline.left) > 0:
            self._socket.settimeout(min(left, SLOW))
            try:
                return act()
            except TimeoutError:
                pass  # the deadline may be another by now
        raise TimeoutError

    def _take(self, count: int, deadline: Deadline) -> bytes:
        """So many bytes of its standard output, which the engine sends in frames with a head of 8 bytes."""
        out = bytearray()
        while len(out) < count:
            if not self._in_frame:
                self._in_frame = int.from_bytes(self._received(8, deadline)[4:], "big")
            part = self._received(min(count - len(out), self._in_frame), deadline)
            self._in_frame -= len(part)
            out += part
        return bytes(out)

    def _received(self, count: int, deadline: Deadline) -> bytes:
        out = bytearray()
        while len(out) < count:
            part = self._patiently(functools.partial(self._socket.recv, count - len(out)), deadline)
            if not part:
                raise Broken("it ended")
            out += part
        return bytes(out)


class Engine:
    """The Docker engine of this machine, as far as sandboxes need it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._client: Any = None

    def start(self) -> tuple[Sandbox, dict[str, Any]]:
        """A new sandbox, ready, and what it said of itself."""
        sandbox = Sandbox(self.settings, self._connected())
        try:
            return sandbox, sandbox.hello(Deadline(START_SECONDS))
        except (Broken, TimeoutError):
            raise Unavailable("a sandbox for code did not start", "look at the engine and its image") from None

    def sweep(self, older: float) -> None:
        """Remove sandboxes of this install that a service left behind: those that are older than it lets any live."""
        filters = {"label": [f"bdap.hub={self.settings.install_id}", "bdap.kind=udf"]}
        for container in self._connected().api.containers(all=True, filters=filters):
            if time.time() - container["Created"] > older:
                with contextlib.suppress(NotFound, APIError):
                    self._connected().api.remove_container(container["Id"], force=True)

    def _connected(self) -> Any:
        with self._lock:
            if self._client is None:
                try:
                    self._client = docker.from_env(timeout=60)
                    self._client.ping()
                except DockerException:
                    self._client = None
                    raise Unavailable("the Docker engine does not answer", "start it") from None
            return self._client
