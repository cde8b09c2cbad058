"""The firewall's rules, compared whole, and the transaction that puts them in place."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from bdap_hub.errors import BadSettings
from bdap_hub.settings import SpawningSettings, bridge_interface, load
from bdap_hub.spawning import firewall, firewall_nodes
from bdap_hub.spawning.firewall import Bridge, Rules, ipv4, ipv6, transaction
from tests.conftest import Settings

SERVERS, DASHBOARDS = Bridge("bdap-servers", "172.18.0.1"), Bridge("bdap-dashboards", "172.19.0.1")
SEEN = "-m conntrack --ctstate ESTABLISHED,RELATED"


@pytest.fixture
def own(settings: Settings) -> Settings:
    """Ports that do not change."""
    settings.hub.api_port = 8081
    settings.processing.port, settings.catalogue.port, settings.dashboards.port = 8021, 8022, 8023
    return settings


def test_the_rules_whole(own: Settings) -> None:
    assert ipv4(own, SERVERS, DASHBOARDS) == Rules(
        input=(
            f"-i bdap-servers {SEEN} -j ACCEPT",
            "-i bdap-servers -d 172.18.0.1 -p tcp -m multiport --dports 8081,8021,8022,8023 -j ACCEPT",
            "-i bdap-servers -j REJECT",
            f"-i bdap-dashboards {SEEN} -j ACCEPT",
            "-i bdap-dashboards -d 172.19.0.1 -p tcp -m multiport --dports 8021,8022 -j ACCEPT",
            "-i bdap-dashboards -j REJECT",
        ),
        forward=(
            f"-i bdap-servers {SEEN} -j RETURN",
            f"-o bdap-servers {SEEN} -j RETURN",
            f"-i bdap-dashboards {SEEN} -j RETURN",
            f"-o bdap-dashboards {SEEN} -j RETURN",
            "-o bdap-servers -j DROP",
            "-o bdap-dashboards -j DROP",
            "-i bdap-dashboards -j REJECT",
            "-i bdap-servers -d 169.254.0.0/16 -j REJECT",
            "-i bdap-servers -o docker0 -j REJECT",
            "-i bdap-servers -o br-+ -j REJECT",
        ),
    )


def test_the_rules_of_a_node_whole(own: Settings) -> None:
    own.spawning.engine, own.spawning.swarm.address = "swarm", "192.0.2.1"
    assert firewall_nodes.rules(own, ["192.0.2.12", "192.0.2.11"]) == Rules(
        input=(f"-i docker0 {SEEN} -j ACCEPT", "-i docker0 -j REJECT"),
        forward=(
            f"-i docker0 {SEEN} -j RETURN",
            f"-o docker0 {SEEN} -j RETURN",
            "-o docker0 -s 192.0.2.1 -j RETURN",
            "-o docker0 -j DROP",
            "-i docker0 -d 192.0.2.1 -p tcp -m multiport --dports 8081,8021,8022,8023 -j RETURN",
            "-i docker0 -d 192.0.2.1 -j REJECT",
            "-i docker0 -d 192.0.2.11 -j REJECT",
            "-i docker0 -d 192.0.2.12 -j REJECT",
            "-i docker0 -d 169.254.0.0/16 -j REJECT",
            "-i docker0 -o docker_gwbridge -j REJECT",
            "-i docker0 -o br-+ -j REJECT",
        ),
    )


def test_where_the_hub_is_a_node_no_server_reaches_the_others(own: Settings) -> None:
    closed = ("-i bdap-servers -d 192.0.2.11 -j REJECT",)
    with_nodes, without = ipv4(own, SERVERS, DASHBOARDS, closed).forward, ipv4(own, SERVERS, DASHBOARDS).forward
    assert tuple(rule for rule in with_nodes if rule not in without) == closed


@pytest.mark.parametrize(
    ("egress", "expected"),
    [
        ("all", ()),
        ("none", ("-i bdap-servers -j REJECT",)),
        (
            (IPv4Network("192.0.2.0/24"), IPv4Network("198.51.100.7")),
            (
                "-i bdap-servers -d 192.0.2.0/24 -j RETURN",
                "-i bdap-servers -d 198.51.100.7/32 -j RETURN",
                "-i bdap-servers -j REJECT",
            ),
        ),
    ],
)
def test_egress_comes_last(own: Settings, egress: Any, expected: tuple[str, ...]) -> None:
    closed = ipv4(own, SERVERS, DASHBOARDS).forward
    own.spawning.egress = egress
    assert ipv4(own, SERVERS, DASHBOARDS).forward == closed + expected


def test_ipv6_is_closed_whole() -> None:
    assert ipv6(SERVERS, DASHBOARDS) == Rules(
        input=("-i bdap-servers -j DROP", "-i bdap-dashboards -j DROP"),
        forward=(
            "-i bdap-servers -j DROP",
            "-o bdap-servers -j DROP",
            "-i bdap-dashboards -j DROP",
            "-o bdap-dashboards -j DROP",
        ),
    )


def test_the_transaction_puts_our_chains_first_and_once(own: Settings) -> None:
    one = own.install_id[:8]
    rules = Rules(("-i a -j REJECT",), ("-i b -j DROP",))
    again = f"""\
*filter
:BDAP-INPUT-{one} - [0:0]
:BDAP-FORWARD-{one} - [0:0]
-D INPUT -j BDAP-INPUT-{one}
-A BDAP-INPUT-{one} -i a -j REJECT
-I INPUT 1 -j BDAP-INPUT-{one}
-A BDAP-FORWARD-{one} -i b -j DROP
-I DOCKER-USER 1 -j BDAP-FORWARD-{one}
COMMIT
"""
    there = f"-A INPUT -j BDAP-INPUT-{one}"
    assert transaction(own, rules, f"-A INPUT -j BDAP-INPUT-other\n{there}\n") == again
    assert transaction(own, rules, "") == again.replace(f"-D INPUT -j BDAP-INPUT-{one}\n", "")
    assert transaction(own, None, f"{there}\n{there}\n").splitlines() == [
        "*filter",
        f":BDAP-INPUT-{one} - [0:0]",
        f":BDAP-FORWARD-{one} - [0:0]",
        f"-D INPUT -j BDAP-INPUT-{one}",
        f"-D INPUT -j BDAP-INPUT-{one}",
        f"-X BDAP-INPUT-{one}",
        f"-X BDAP-FORWARD-{one}",
        "COMMIT",
    ]


def test_names_fit(own: Settings) -> None:
    """28 letters a chain, 15 an interface."""
    chains = [line.split()[0][1:] for line in transaction(own, None, "").splitlines() if line.startswith(":")]
    assert max(len(chain) for chain in chains) <= 28
    assert bridge_interface("bdap-dashboards") == "bdap-dashboards"
    long = bridge_interface("bdap-dashboards-of-ours")
    assert len(long) <= 15 and long != bridge_interface("bdap-dashboards-of-others")


@pytest.mark.parametrize("given", ["all", "none", [], ["10.0.0.0/8", "192.0.2.1"]])
def test_an_egress_survives_the_settings_file(given: Any) -> None:
    written = SpawningSettings(egress=given).model_dump(mode="json")
    assert SpawningSettings(**written) == SpawningSettings(egress=given)


@pytest.mark.parametrize("given", ["some", ["10.0.0.0/33"], ["fd00::/8"], [["x"]], 7, None])
def test_an_egress_that_is_none_is_refused_in_one_sentence(given: Any) -> None:
    with pytest.raises(BadSettings, match=r"^spawning.egress: .*write all, none, or a list of networks"):
        load(environment="demo", spawning={"egress": given})


def test_an_iptables_that_is_not_there_names_the_risk(own: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(firewall.debian, "as_root", lambda: [])
    monkeypatch.setattr(firewall, "TOOLS", ("no-such-iptables",))
    with pytest.raises(firewall.Unavailable, match=r"iptables is not installed.*reach every port that listens"):
        firewall.remove(own)
