"""TLS between hub, proxy and servers, tried with certificates that are wrong, and with the right one as the control."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from bdap_hub import certificates
from bdap_hub.settings import Settings
from bdap_hub.spawning.plan import container_name

from .conftest import Platform

pytestmark = pytest.mark.docker
FOLDER = certificates.IN_SERVER
ALL = (*certificates.TRUST, *certificates.PAIRS)


@pytest.fixture(scope="module")
def servers(platform: Platform) -> Iterator[dict[str, Any]]:
    """Ana's and ben's containers."""
    for name, project in (("ana", "agriculture"), ("ben", "forest")):
        platform.stop(name)
        platform.start(name, {"project": project, "image": "lab"})
    engine = docker.from_env()
    yield {name: engine.containers.get(container_name(platform.settings, name)) for name in ("ana", "ben")}
    for name in ("ana", "ben"):
        platform.stop(name)
    engine.close()


def server(container: Any) -> str:
    (network,) = container.attrs["NetworkSettings"]["Networks"].values()
    return f"{network['IPAddress']}:8888"


def context(settings: Settings, name: str = "", pair: tuple[str, str] | None = None) -> ssl.SSLContext:
    """A client that believes people's servers and the hub, with a certificate of ours, with `pair`, or with none."""
    found = ssl.create_default_context(cafile=certificates.trusted(settings, "hub-ca"))
    if name or pair:
        key, certificate = pair or certificates.files(settings, name)
        found.load_cert_chain(certificate, key)
    return found


def ask(url: str, verify: ssl.SSLContext) -> int:
    with httpx.Client(verify=verify, trust_env=False, timeout=20) as client:
        return client.get(url).status_code


def stolen(container: Any, folder: Path) -> tuple[str, str]:
    """A server's own key and certificate, as its owner can read them."""
    paths = []
    for name in ("key.pem", "cert.pem"):
        path = folder / name
        path.write_bytes(container.exec_run(["cat", f"{FOLDER}/{name}"])[1])
        paths.append(str(path))
    return paths[0], paths[1]


@contextlib.contextmanager
def forwarded(target: str) -> Iterator[str]:
    """Another address of this host that leads to `target`."""
    host, _, port = target.partition(":")

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, int(port)), 10) as there:
                threading.Thread(target=pump, args=(self.request, there), daemon=True).start()
                pump(there, self.request)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as found:
        found.daemon_threads = True
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{found.server_address[1]}"
        found.shutdown()


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)


def test_a_server_answers_the_hub_and_the_proxy_alone(platform: Platform, servers: dict[str, Any]) -> None:
    settings, where = platform.settings, server(servers["ana"])
    url = f"https://{where}/user/ana/api"
    assert ask(url, context(settings, "hub-internal")) == ask(url, context(settings, "proxy-client")) == 200
    with pytest.raises(httpx.TransportError):
        ask(f"http://{where}/user/ana/api", context(settings))
    for refused in (context(settings), context(settings, "services")):
        with pytest.raises(httpx.TransportError):
            ask(url, refused)


def test_the_proxy_asks_for_the_address_whatever_name_people_type(platform: Platform, servers: dict[str, Any]) -> None:
    headers = {"Authorization": f"token {platform.token_of('ana')}", "Host": "ana.hub.example.org"}
    for path in ("/user/ana/api/status", "/hub/api"):
        assert httpx.get(f"{platform.url}{path}", headers=headers, timeout=20).status_code == 200
    with forwarded(server(servers["ana"])) as elsewhere:  # the same server at an address that is not its own
        route = f"https://127.0.0.1:{platform.settings.hub.proxy_api_port}/api/routes/user/ana"
        known = {"Authorization": f"token {platform.settings.secret('proxy-auth-token')}"}
        with httpx.Client(verify=context(platform.settings, "hub-internal"), headers=known, trust_env=False) as proxy:
            before = proxy.get(route).json()

            def leads_to(target: str) -> int:
                proxy.post(route, json={**before, "target": target}).raise_for_status()
                return httpx.get(f"{platform.url}/user/ana/api/status", headers=headers, timeout=20).status_code

            try:
                assert leads_to(before["target"]) == 200
                # led there again where the hub, which looks after its routes, has put the right address back meanwhile
                platform.wait(lambda: leads_to(f"https://{elsewhere}") == 503, 20, "the refusal")
            finally:
                proxy.post(route, json=before).raise_for_status()


def test_a_servers_certificate_opens_no_other_server(
    platform: Platform, servers: dict[str, Any], tmp_path: Path
) -> None:
    mine = context(platform.settings, pair=stolen(servers["ben"], tmp_path))
    assert ask(f"{platform.settings.hub.api_url}/hub/api", mine) == 200  # the control: it is a good one
    with pytest.raises(httpx.TransportError):
        ask(f"https://{server(servers['ana'])}/user/ana/api", mine)


def test_the_hubs_and_the_proxys_own_addresses_want_a_certificate(platform: Platform) -> None:
    hub = platform.settings.hub
    for url, status in ((f"{hub.api_url}/hub/api", 200), (f"https://127.0.0.1:{hub.proxy_api_port}/api/routes", 403)):
        assert ask(url, context(platform.settings, "services")) == status
        for refused in (url, url.replace("https:", "http:")):
            with pytest.raises(httpx.TransportError):
                ask(refused, context(platform.settings))


def test_its_key_is_its_owners_alone_and_its_certificate_for_its_address(
    platform: Platform, servers: dict[str, Any]
) -> None:
    ana = servers["ana"]
    uid = ana.attrs["Config"]["User"].partition(":")[0]
    assert ana.exec_run(["stat", "-c", "%a %u", f"{FOLDER}/key.pem"])[1].decode().split() == ["400", uid]
    found = x509.load_pem_x509_certificate(ana.exec_run(["cat", f"{FOLDER}/cert.pem"])[1])
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(one) for one in names.get_values_for_type(x509.IPAddress)] == [server(ana).partition(":")[0]]
    assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "user-ana"
    log = (platform.folder / "hub.log").read_text()
    everything = f"{ana.attrs['Config']} {log}"
    assert "PRIVATE KEY" not in everything and f"{FOLDER}/key.pem" in everything


def test_a_new_hub_is_believed_by_servers_that_run(platform: Platform, servers: dict[str, Any]) -> None:
    headers = {"Authorization": f"token {platform.token_of('ana')}"}
    platform.kill_hub()
    platform.start_hub()
    answer = httpx.get(f"{platform.url}/user/ana/api/status", headers=headers, timeout=20)
    assert answer.status_code == 200, answer.text
    assert "Using existing hub-internal CA" in platform.log


def test_what_is_there_stays_and_what_ends_soon_is_made_anew(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kept() -> dict[str, bytes]:
        return {name: Path(certificates.files(settings, name)[1]).read_bytes() for name in ALL}

    certificates.ensure(settings)
    first = kept()
    certificates.ensure(settings, ["IP:127.0.0.1"])
    assert kept() == first
    certificates.ensure(settings, ["IP:172.20.0.1"])
    assert {name for name, content in kept().items() if content != first[name]} == {"hub-internal"}
    monkeypatch.setattr(certificates, "RENEW", certificates.timedelta(days=365 * certificates.PAIR_YEARS + 1))
    certificates.ensure(settings)
    again = kept()
    assert all((again[name] == first[name]) == (name in certificates.TRUST) for name in again)
    for name in ALL:
        assert Path(certificates.files(settings, name)[0]).stat().st_mode & 0o777 == 0o600
