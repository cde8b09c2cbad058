"""What a release answers is its author's: it is read so far and so long, and its paths are taken as they are."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from bdap_hub.dashboards.gateway.limits import Seats
from bdap_hub.dashboards.gateway.proxy import allowed_path
from bdap_hub.dashboards.snapshots import reading
from bdap_hub.dashboards.snapshots.kept import Snapshots

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n"


@contextmanager
def release(*said: bytes, pause: float = 0.0) -> Iterator[str]:
    """The address of a server that says these things, one after the other, to each who asks."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(4096)
                        for part in said:
                            connection.sendall(part)
                            time.sleep(pause)
                    except OSError:
                        pass

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)  # one that waits for a connection would take another after the close


def test_a_whole_answer():
    with release(HEAD, b"<p>", b"wheat") as address:
        answer = reading.read(f"http://{address}/", 10)
    assert (answer.status, answer.text, answer.kind) == (200, "<p>wheat", "text/html")


def test_no_more_than_so_many_bytes():
    with release(HEAD, *[b"x" * 2**20] * 4) as address:
        assert len(reading.read(f"http://{address}/", 10, 4 * 2**20).content) == 4 * 2**20
        with pytest.raises(reading.TooMuchSaid, match="more than 3 MB"):
            reading.read(f"http://{address}/", 10, 3 * 2**20)


@pytest.mark.parametrize("before", [HEAD, b"HTTP/1.1 200 OK\r\nX: "])
def test_no_longer_than_so_many_seconds(before: bytes):
    with release(before, *[b"x"] * 400, pause=0.1) as address:
        started = time.monotonic()
        with pytest.raises(reading.TooMuchSaid):
            reading.read(f"http://{address}/", 1)
    assert time.monotonic() - started < 20  # it would have gone on for 40


async def test_nor_in_the_event_loop():
    with release(HEAD, *[b"x" * 2**20] * 3, pause=0.3) as address:
        async with httpx.AsyncClient(trust_env=False) as client:
            url = httpx.URL(f"http://{address}/")
            assert len((await reading.read_async(client, url, "here", 20)).content) == 3 * 2**20
            for seconds, most in ((20, 2**20), (0.4, 9 * 2**20)):
                with pytest.raises(reading.TooMuchSaid):
                    await reading.read_async(client, url, "here", seconds, most)


def test_whether_something_is_there(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reading, "LOOK_SECONDS", 0.5)
    with release(HEAD) as address:
        assert reading.answers(address)
    assert not reading.answers(address)  # gone
    with release(pause=60) as silent, release(b"SSH-2.0-Other\r\n") as other:
        assert not reading.answers(silent)
        assert not reading.answers(other)


@pytest.mark.parametrize("path", ["/", "/_stage/static/0123456789abcdef/npm/x.js", "/voila/files/map.png"])
def test_a_path_is_taken_as_it_is_written_or_not_at_all(path: str):
    assert allowed_path(path)
    for other in ("/./", "//", "/a/../"):
        if path != "/":
            assert not allowed_path(path.replace("/", other, 1))
            assert not allowed_path(other.join(path.rsplit("/", 1)))


def test_a_network_of_ipv6_is_one_address():
    seats = Seats(per_address=1, per_person=5)
    seats.page("r", "2001:db8::1", "", 0)
    assert seats.refusal("2001:db8::2", "", 1) and not seats.refusal("2001:db8:0:1::2", "", 1)


def test_a_file_is_sent_though_it_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    snapshots = Snapshots(tmp_path)
    (tmp_path / "p--s--v1").mkdir()
    path = "/_stage/static/0123456789abcdef/npm/x.js"
    assert snapshots.keep("p--s--v1", path, b"1", "text/javascript").body == b"1"
    assert snapshots.file("p--s--v1", path) is not None
    write = snapshots._write

    def late(place: Path, content: bytes) -> None:
        snapshots.drop("p--s--v1")  # by another request, at the worst moment
        write(place / "gone" / "..", content)

    monkeypatch.setattr(snapshots, "_write", late)
    assert snapshots.keep("p--s--v1", path, b"2", "text/javascript").body == b"2"
