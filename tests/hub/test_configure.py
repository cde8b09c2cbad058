"""Settings become JupyterHub's configuration: looked at on an empty Config, without starting anything."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine
from traitlets.config import Config

from bdap_hub import hub, proxy, subdomains
from bdap_hub.errors import BadSettings
from bdap_hub.settings import Settings
from bdap_hub.spawning import network
from tests.conftest import SERVICES, make_settings


@pytest.fixture
def c(tmp_path: Path) -> Any:
    """As in production."""
    settings = make_settings(
        tmp_path / "var",
        spawning={"engine": "process"},
        hub={"public_url": "https://bdap.example.eu"},
        identity={"issuer": "https://login.example.eu"},
    )
    settings.environment = "production"
    found = Config()
    hub.configure(found, settings)
    found.the_settings = settings
    return found


def role(c: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(role for role in c.JupyterHub.load_roles if role["name"] == name)
    return found


def test_each_service_has_least_rights(c: Any) -> None:
    assert [service["name"] for service in c.JupyterHub.services] == list(SERVICES)
    assert {tuple(role(c, "service-reader")["scopes"])} == {("read:users:name", "read:users:groups")}
    every = {scope for role in c.JupyterHub.load_roles for scope in role["scopes"]}
    forbidden = {"admin:users", "admin:auth_state", "admin:groups", "access:servers", "tokens", "shutdown", "proxy"}
    assert not every & forbidden
    assert "access:services!service=admin" not in c.Spawner.server_token_scopes


def test_the_token_for_scripts_is_the_demos_alone(c: Any, tmp_path: Path) -> None:
    assert "demo" not in [service["name"] for service in c.JupyterHub.services]
    demo = Config()
    hub.configure(demo, make_settings(tmp_path / "demo", spawning={"engine": "process"}))
    assert "demo" in [service["name"] for service in demo.JupyterHub.services]


def test_behind_tls_the_proxy_still_speaks_http_on_its_own_address(c: Any) -> None:
    assert (c.JupyterHub.public_url, c.JupyterHub.bind_url) == ("https://bdap.example.eu/", "http://127.0.0.1:443")


def test_under_a_name_each_server_has_a_name_of_its_own(c: Any, tmp_path: Path) -> None:
    assert c.JupyterHub.subdomain_host == "https://bdap.example.eu"
    assert c.JupyterHub.cookie_host_prefix_enabled is True
    assert c.JupyterHub.subdomain_hook("ana", "bdap.example.eu", "user") == "ana.bdap.example.eu"
    assert c.JupyterHub.subdomain_hook("admin", "bdap.example.eu", "service") == "bdap.example.eu"
    for number, section in enumerate(({}, {"public_url": "https://bdap.example.eu", "subdomains": False})):
        plain, settings = Config(), make_settings(tmp_path / str(number), spawning={"engine": "process"}, hub=section)
        hub.configure(plain, settings)
        assert "subdomain_host" not in plain.JupyterHub and "cookie_host_prefix_enabled" not in plain.JupyterHub
        assert "--host-routing" not in proxy.command(settings)
        assert "--keep-alive-timeout 330000 " in " ".join(proxy.command(settings)) + " "  # browsers: 300 s
    assert "--host-routing" in proxy.command(c.the_settings)


@pytest.mark.parametrize(
    ("host", "method", "path", "elsewhere"),
    [
        ("hub.example.eu", "GET", "/hub/home", False),
        ("HUB.example.eu:443", "GET", "/hub/home", False),  # the same host, as a front end may call it
        ("ana.hub.example.eu", "GET", "/hub/home", True),
        ("192.0.2.1:8000", "GET", "/hub/login?next=/hub/api", True),
        ("192.0.2.1:8081", "GET", "/hub/api", False),
        ("192.0.2.1:8081", "GET", "/hub/apiary", True),
        ("ana.hub.example.eu", "POST", "/hub/home", False),
        ("ana.hub.example.eu", "GET", "/user/ana/lab", False),
        ("[", "GET", "/hub/home", True),
    ],
)
def test_the_hubs_pages_are_at_its_host(host: str, method: str, path: str, elsewhere: bool) -> None:
    matcher = subdomains.PageElsewhere("https://Hub.example.eu:443", "/hub/")
    line = RequestStartLine(method, path, "HTTP/1.1")
    request = HTTPServerRequest(headers=HTTPHeaders({"Host": host}), start_line=line, connection=SimpleNamespace())
    assert (matcher.match(request) is not None) is elsewhere


def test_nobodys_name_leads_to_the_dashboards() -> None:
    taken = frozenset({"dashboards.example.eu"})
    found = [subdomains.domain_of(name, "example.eu", "user", taken) for name in ("dashboards", "dashboards--", "ana")]
    assert len({*found, *taken}) == 4 and found[2] == "ana.example.eu"
    assert found[0].startswith("u-dashboar--") and subdomains.domain_of("a.b", "example.eu", "user").count(".") == 2


def test_cookies_and_the_servers_memory_of_them_are_short_lived(c: Any) -> None:
    options = c.JupyterHub.tornado_settings["cookie_options"]
    assert (options["expires_days"], c.JupyterHub.cookie_max_age_days, options["samesite"]) == (0.5, 0.5, "Lax")
    assert "--HubOAuth.cache_max_age=30" in c.Spawner.args


def test_no_secret_is_shared_or_missing(c: Any) -> None:
    tokens = [service["api_token"] for service in c.JupyterHub.services if "api_token" in service]
    assert len(set(tokens)) == len(SERVICES) and all(len(token) >= 32 for token in tokens)
    assert [len(key) for key in c.CryptKeeper["keys"]] == [32]
    (c.the_settings.var / "secrets" / "proxy-auth-token").unlink()
    with pytest.raises(BadSettings, match="proxy-auth-token"):
        hub.configure(Config(), c.the_settings)


@pytest.mark.parametrize(("engine", "cleanup"), [("docker", False), ("process", True)])
def test_containers_outlive_the_hub_and_processes_do_not(tmp_path: Path, engine: str, cleanup: bool) -> None:
    found = Config()
    hub.state(found, make_settings(tmp_path / "var", spawning={"engine": engine}))
    assert found.JupyterHub.cleanup_servers is cleanup


def test_the_hub_may_be_restarted_while_people_work(c: Any) -> None:
    assert c.ConfigurableHTTPProxy.should_start is False
    assert c.JupyterHub.db_url.startswith("sqlite:////")


def test_production_state_is_the_given_database(tmp_path: Path) -> None:
    settings = make_settings(tmp_path / "var", spawning={"engine": "process"})
    settings.database_url = "postgresql+psycopg://bdap@db/bdap"
    found = Config()
    hub.configure(found, settings)
    assert found.JupyterHub.db_url == settings.database_url


@pytest.mark.parametrize("part", ["hub", "processing", "catalogue", "dashboards"])
def test_what_containers_cannot_reach_is_said_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setattr(network, "ensure_network", lambda *a, **k: "172.30.0.1")
    reachable: dict[str, dict[str, Any]] = {
        name: {"bind": "172.30.0.1"} for name in ("processing", "catalogue", "dashboards")
    }
    reachable["hub"] = {"api_bind": "0.0.0.0"}
    good: Settings = make_settings(tmp_path / "var", **reachable)
    found = Config()
    hub.configure(found, good)
    assert found.Spawner.hub_connect_url == f"http://172.30.0.1:{good.hub.api_port}"
    section = getattr(good, part)
    setattr(section, "api_bind" if part == "hub" else "bind", "127.0.0.1")
    with pytest.raises(BadSettings, match=rf"{part}\..*containers cannot reach"):
        hub.configure(Config(), good)
