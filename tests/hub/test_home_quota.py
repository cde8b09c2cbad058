"""Homes with a quota: people are told, and a full home keeps nobody from starting the server to tidy it up."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import httpx
import pytest

from .conftest import Platform, with_docker
from .test_servers import LAB, Server

pytestmark = [pytest.mark.docker, pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system: needs root")]


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Ana's home is a disk of its own, and that is full to the last byte."""
    folder = tmp_path_factory.mktemp("quota")
    home = folder / "var" / "homes" / "ana"
    home.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", home], check=True)
    try:
        with (home / "big.bin").open("wb") as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(b"x" * 4096)
                file.flush()
        with with_docker(folder, home_quota="1M", warm={"most": 0}) as found:
            yield found
    finally:
        subprocess.run(["umount", "-l", home], check=False)


def told(platform: Platform, name: str) -> str:
    with platform.browser(name) as client:
        return client.get(f"{platform.url}/hub/home").text.partition('id="home-use"')[2].partition("</p>")[0]


def test_a_full_home_can_be_tidied_up(platform: Platform) -> None:
    platform.start("ana", LAB)
    ana = Server(platform, "ana")
    code, said = ana.sh("cp /etc/passwd ~/more.txt")
    assert code and "No space left" in said  # it is full
    platform.wait(lambda: "is full: it holds 1 of 1 MB" in told(platform, "ana"), 20, "the notice of a full home")
    headers = {"Authorization": f"token {platform.token_of('ana')}"}
    contents = f"{platform.url}/user/ana/api/contents"
    assert httpx.get(contents, headers=headers, timeout=30).status_code == 200
    # the browser's file list deletes outright where there is no room for a waste bin
    answer = httpx.delete(f"{contents}/big.bin", headers=headers, timeout=30)
    assert answer.status_code == 204, answer.text
    assert ana.sh("cp /etc/passwd ~/more.txt && ls ~") == (0, "more.txt")
    kernel = httpx.post(f"{platform.url}/user/ana/api/kernels", headers=headers, timeout=60)
    assert kernel.status_code == 201
    platform.stop("ana")


def test_one_who_has_room_is_told_how_much(platform: Platform) -> None:
    platform.start("ben", {"project": "forest", "image": "lab"})
    platform.wait(lambda: "of 1 MB" in told(platform, "ben"), 20, "the use of the home")
    assert "full" not in told(platform, "ben")
    platform.stop("ben")
