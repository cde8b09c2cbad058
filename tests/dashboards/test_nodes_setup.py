"""What an operator sets up for dashboards on several machines: the hub's settings, and what a machine is to have."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from bdap_hub.cli import main
from bdap_hub.cli.root import listens
from bdap_hub.settings import Settings, load

SERVERS, DASHBOARDS, HUB, NODE = "172.30.240.1", "172.30.241.1", "192.0.2.10", "192.0.2.11:7430"


@pytest.mark.parametrize(
    ("name", "bind", "also_bind", "nodes", "there"),
    [
        ("processing", SERVERS, DASHBOARDS, [NODE], [SERVERS, DASHBOARDS, HUB]),
        ("catalogue", HUB, DASHBOARDS, [NODE], [HUB, DASHBOARDS]),
        ("catalogue", SERVERS, DASHBOARDS, [], [SERVERS, DASHBOARDS]),  # nobody asks from afar
        ("processing", "0.0.0.0", "", [NODE], ["0.0.0.0"]),
        ("dashboards", SERVERS, "", [NODE], [SERVERS]),
    ],
)
def test_where_services_listen(name: str, bind: str, also_bind: str, nodes: list[str], there: list[str]) -> None:
    tree = load(environment="demo")
    tree.dashboards.node_hub, tree.dashboards.nodes = HUB, tuple(nodes)
    section = getattr(tree, name)
    section.bind, section.also_bind = bind, also_bind
    assert listens(tree, name) == there


def test_files_of_a_machine_are_written_once(settings: Settings, tmp_path: Path) -> None:
    settings.dashboards.node_hub = HUB
    config, folder = tmp_path / "hub.yaml", tmp_path / "node"
    config.write_text(yaml.safe_dump(settings.model_dump(mode="json")))

    def said(*more: str) -> list[str]:
        arguments = ["dashboards", "node", "files", "192.0.2.11", str(folder), *more]
        done = CliRunner(env={"BDAP_CONFIG": str(config)}).invoke(main, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output.splitlines()

    to_name = "dashboards.nodes is to name 192.0.2.11:7430"
    assert said() == ["node.json, hub.pem, key.pem, certificate.pem written", to_name]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    key = (folder / "key.pem").read_bytes()
    assert said() == ["all is up to date", to_name]
    assert said("--port=7431")[0] == "node.json written"
    assert (folder / "key.pem").read_bytes() == key
