"""A Docker engine of the tests' own, which they may kill, hang and fill, with a stand-in for NVIDIA's hook on its PATH.

Docker's own way to a GPU is real up to that hook. The image is Debian with a few lines that answer HTTP instead of
JupyterLab.
"""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import psutil
import pytest

from bdap_hub.demo import mounts
from bdap_hub.settings import Settings
from tests.conftest import make_settings
from tests.side_by_side import draw_network

IMAGE = "bdaptest/gpu:latest"
UUIDS = ("GPU-00000000-0000-0000-0000-00000000000a", "GPU-00000000-0000-0000-0000-00000000000b")
HOOK = "#!/bin/sh\ncat > /dev/null\n"
# It answers anything; `…/eat` takes memory until somebody stops it, `…/fail` ends it with an error.
SERVER = """\
#!/usr/bin/perl
use IO::Socket::INET;
my ($port) = $ENV{JUPYTERHUB_SERVICE_URL} =~ /:(\\d+)/;
my $listen = IO::Socket::INET->new(LocalPort => $port, Listen => 9, ReuseAddr => 1) or die $!;
$SIG{TERM} = sub { exit 0 };
while (my $one = $listen->accept) {
    my $asked = <$one>;
    while (<$one>) { last if /^\\r?$/ }
    if ($asked =~ m{/eat }) { my @all; push @all, "x" x 1048576 while 1 }
    exit 3 if $asked =~ m{/fail };
    print $one "HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\n{}";
    close $one;
}
"""
PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"


class OwnEngine:
    """One dockerd and its containerd. `folder` holds all of it; `data`, its disk, is small enough to be filled."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder, self.arguments = folder, arguments
        self.socket = f"unix://{folder}/docker.sock"
        self.bridge = f"bdaptest-{secrets.token_hex(3)}"  # with none, an engine takes docker0 away from the host's own
        self.data = folder / "data"
        self.data.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", self.data], check=True)
        self.daemon: subprocess.Popen[bytes] | None = None
        hook = folder / "bin" / "nvidia-container-runtime-hook"
        hook.parent.mkdir()
        hook.write_text(HOOK)
        hook.chmod(0o755)
        _ip("link", "add", self.bridge, "type", "bridge")
        _ip("addr", "add", f"10.214.{draw_network(214)}.1/24", "dev", self.bridge)

    def start(self) -> Any:
        """A client of it, once it answers."""
        dockerd = shutil.which("dockerd", path=PATH)
        command = [dockerd, "-H", self.socket, "--data-root", self.data, "--exec-root", self.folder / "exec"]
        command += ["--pidfile", self.folder / "pid", "--bridge", self.bridge, *self.arguments]
        command += ["--iptables=false", "--ip6tables=false", "--ip-masq=false"]
        environment = {**os.environ, "PATH": f"{self.folder / 'bin'}:{PATH}"}
        with (self.folder / "log").open("a") as log:
            self.daemon = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 60
        while True:
            try:
                return docker.DockerClient(base_url=self.socket, timeout=60)
            except docker.errors.DockerException:
                if self.daemon.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"the second engine does not start:\n{(self.folder / 'log').read_text()[-3000:]}")
                time.sleep(0.1)

    def stop(self) -> None:
        """As `systemctl stop docker` does."""
        assert self.daemon is not None
        self.daemon.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.daemon.wait(40)
            return
        self.kill()

    def kill(self) -> None:
        """As when the machine's memory ran out."""
        assert self.daemon is not None
        self.daemon.kill()  # its containerd ends with it
        self.daemon.wait(10)
        for stale in (self.folder / "pid", self.folder / "exec" / "containerd" / "containerd.pid"):
            stale.unlink(missing_ok=True)

    @contextlib.contextmanager
    def full_disk(self) -> Iterator[None]:
        """There is no room left for a byte."""
        filler = self.data / "filler"
        with filler.open("wb") as file, contextlib.suppress(OSError):
            while True:
                os.posix_fallocate(file.fileno(), filler.stat().st_size, _room(self.data))
        try:
            yield
        finally:
            filler.unlink()

    def hang(self) -> None:
        """It is there, takes connections, and answers none."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGSTOP)

    def wake(self) -> None:
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGCONT)

    def remove(self) -> None:
        """All of it, containers that outlived the daemon too."""
        if self.daemon is not None and self.daemon.poll() is None:
            self.wake()
            self.stop()
        for process in psutil.process_iter(["cmdline"]):  # of this engine alone: its folder is in their command
            if str(self.folder / "exec") in " ".join(process.info["cmdline"] or []):
                with contextlib.suppress(psutil.NoSuchProcess):
                    for child in process.children(recursive=True):
                        child.kill()
                    process.kill()
        _ip("link", "delete", self.bridge)
        for line in reversed(Path("/proc/mounts").read_text().splitlines()):
            if (point := line.split()[1]).startswith(f"{self.folder}/"):
                subprocess.run(["umount", "-l", point], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def _room(folder: Path) -> int:
    """Bytes of free disk, at least one: to ask for one more than there are says that it is full."""
    return max(1, shutil.disk_usage(folder).free)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, env={**os.environ, "PATH": PATH})


@contextlib.contextmanager
def all_control_groups() -> Iterator[None]:
    """Mounted where this machine lacks some: else its engine reads no CPU time and sees no kill for memory."""
    made = mounts.ensure_cgroups([], print)
    try:
        yield
    finally:
        for one in reversed(made):
            subprocess.run(["umount", "-R", "-l", one], check=False, capture_output=True)


@contextlib.contextmanager
def own_engine(folder: Path, *arguments: str, image: bool = True) -> Iterator[tuple[OwnEngine, Any]]:
    """An engine that runs, and a client of it; with IMAGE unless told otherwise."""
    if shutil.which("dockerd", path=PATH) is None or os.geteuid() != 0:
        pytest.skip("needs dockerd and root, to start an engine of its own")
    engine = OwnEngine(folder, *arguments)
    with all_control_groups():
        try:
            client = engine.start()
            client.socket = engine.socket
            if image:
                import_image(client, folder)
            yield engine, client
            if engine.daemon is not None and engine.daemon.poll() is None:
                for one in client.containers.list(all=True, ignore_removed=True):
                    one.remove(force=True)
        finally:
            engine.remove()


def import_image(client: Any, folder: Path) -> None:
    """Debian from the host's engine, with the stand-in for JupyterLab."""
    host = docker.from_env()
    try:
        source = host.containers.create("bdap/debian:trixie", "true")
    except docker.errors.ImageNotFound:
        pytest.fail("bdap/debian:trixie is missing: run `make images`")
    try:
        with (folder / "root.tar").open("wb") as out:
            for chunk in source.export(chunk_size=2**20):
                out.write(chunk)
    finally:
        source.remove()
        host.close()
    with tarfile.open(folder / "root.tar", "a") as archive:
        entry = tarfile.TarInfo("usr/local/bin/jupyterhub-singleuser")
        entry.size, entry.mode = len(SERVER), 0o755
        archive.addfile(entry, io.BytesIO(SERVER.encode()))
    client.api.import_image_from_file(str(folder / "root.tar"), repository="bdaptest/gpu", tag="latest")
    (folder / "root.tar").unlink()


@contextlib.contextmanager
def network_of(client: Any) -> Iterator[tuple[str, str]]:
    """(name, gateway) of a network for servers; what is on it goes with it."""
    third = draw_network(213)
    gateway = f"10.213.{third}.1"
    network = client.networks.create(
        f"bdaptest-{secrets.token_hex(3)}",
        driver="bridge",
        options={"com.docker.network.bridge.enable_icc": "false"},
        ipam=docker.types.IPAMConfig(
            pool_configs=[docker.types.IPAMPool(subnet=f"10.213.{third}.0/24", gateway=gateway)]
        ),
    )
    try:
        yield network.name, gateway
    finally:
        with contextlib.suppress(docker.errors.DockerException, OSError):
            for one in client.containers.list(all=True, ignore_removed=True):
                one.remove(force=True)
            network.remove()


def settings_on(folder: Path, network: str, gateway: str, **spawning: Any) -> Settings:
    """Settings whose images all are IMAGE, in servers on that network."""
    services: dict[str, dict[str, Any]] = {
        name: {"bind": gateway} for name in ("processing", "catalogue", "dashboards")
    }
    settings = make_settings(
        folder / "var",
        spawning={"network": network, "memory": "200M", "idle_timeout": 0, **spawning},
        hub={"api_bind": gateway},
        **services,
    )
    settings.images = tuple(image.model_copy(update={"reference": IMAGE}) for image in settings.images)
    return settings
