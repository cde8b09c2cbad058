"""`python -m bdap publish PATH`: what `bdap.publish` does, in a terminal of a notebook server or on a laptop."""

from __future__ import annotations

import argparse
import os
import sys

from .errors import BdapError
from .publishing import publish


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 1 where it was refused, which is said on standard error."""
    asked = vars(_parser().parse_args(arguments))
    path, hub = asked.pop("path"), asked.pop("hub")
    if hub:
        os.environ["BDAP_DASHBOARDS_URL"] = f"{hub.rstrip('/')}/services/dashboards"
    try:
        made = publish(path, asked.pop("title"), **asked)
    except BdapError as error:
        print(error, file=sys.stderr)
        return 1
    print(made.url if made.status == "live" else f"version {made.version} is {made.status}: {made.preview}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bdap", description="The platform, from a terminal.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("publish", help="Publish a notebook or a folder as a dashboard.")
    one.add_argument("path", help="A notebook, a zip archive or a folder.")
    for name in ("project", "slug", "title", "description", "entry", "image", "memory"):
        one.add_argument(f"--{name}", default="")
    one.add_argument("--visibility", default="", choices=["project", "people", "public"])
    one.add_argument("--hub", default="", help="Address of the platform; known inside a notebook server.")
    one.add_argument("--draft", action="store_true", help="Only a preview, until it is submitted on its page.")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
