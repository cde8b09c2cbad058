"""`bdap demo`: everything on one machine, and what one does to its people to see the platform react."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from .. import settings
from ..errors import BadRequest


@click.group(invoke_without_command=True)
@click.option("--engine", type=click.Choice(["docker", "process"]), default="docker", show_default=True)
@click.option(
    "--store",
    envvar="BDAP_STORE",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of your own imagery instead of the generated data.",
)
@click.pass_context
def demo(ctx: click.Context, engine: str, store: Path | None) -> None:
    """Everything on one machine: prepare what is missing, start, print addresses and accounts; Ctrl-C stops all."""
    if ctx.invoked_subcommand is None:
        from ..demo.run import run

        run(engine=engine, store=store)


@demo.command("prepare")
def demo_prepare() -> None:
    """Secrets, people and data of the demo in the configured `var`, without starting anything."""
    from ..demo.prepare import prepare, write_demo_file

    tree = settings.load()
    click.echo(write_demo_file(tree, prepare(tree, progress=click.echo)["accounts"]))


@demo.command("code")
@click.argument("name")
def demo_code(name: str) -> None:
    """Print the TOTP code of the moment of a demo account."""
    import pyotp

    path = Path(os.environ.get("BDAP_VAR", "var")) / "demo.json"
    accounts = json.loads(path.read_text())["accounts"] if path.exists() else []
    secret = next((a.get("totp_secret") for a in accounts if a["name"] == name), None)
    if not secret:
        raise BadRequest(
            f"{path} holds no TOTP secret of {name!r}", "start the demo once, and name one of its accounts"
        )
    click.echo(pyotp.TOTP(secret).now())


@demo.command("disable")
@click.argument("name")
def demo_disable(name: str) -> None:
    """Lock a demo account out at the login provider, to see what the platform takes back, and when."""
    from ..demo import provider

    tree = _demo_settings()
    told = provider.disable(tree, name)
    bound = f"within {tree.identity.revocation_seconds:.0f} s"
    click.echo(f"{name} is locked out. The hub {'has been told' if told else f'was not told, and finds out {bound}'}.")


@demo.command("enable")
@click.argument("name")
def demo_enable(name: str) -> None:
    """Let a disabled demo account in again."""
    from ..demo import provider

    provider.enable(_demo_settings(), name)
    click.echo(f"{name} may log in again.")


@demo.command("group", context_settings={"ignore_unknown_options": True})
@click.argument("name")
@click.argument("changes", nargs=-1, required=True, metavar="+GROUP|-GROUP...")
def demo_group(name: str, changes: tuple[str, ...]) -> None:
    """Change the groups of a demo account at the login provider, until the demo starts anew."""
    from ..demo import provider

    tree = _demo_settings()
    groups = provider.change_groups(tree, name, changes)
    click.echo(
        f"{name}: {', '.join(groups) or 'no groups'}. The hub finds out when it asks, "
        f"within {tree.identity.revocation_seconds:.0f} s."
    )


def _demo_settings() -> settings.Settings:
    """As `make demo` has written them, unless others are named."""
    written = Path(os.environ.get("BDAP_VAR", "var")) / "bdap.yaml"
    if written.exists():
        os.environ.setdefault("BDAP_CONFIG", str(written))
    return settings.load()
