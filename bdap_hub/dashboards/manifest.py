"""`bdap-dashboard.yaml`: what a folder says of the dashboard it is to become. Whoever publishes may say otherwise."""

from __future__ import annotations

from pathlib import Path

import yaml

from ..errors import BadRequest

NAME = "bdap-dashboard.yaml"
FIELDS = ("title", "description", "slug", "visibility", "entry")


def read_manifest(folder: Path) -> dict[str, str]:
    """Its fields; empty where the folder has none. BadRequest naming what is not understood."""
    path = folder / NAME
    if not path.is_file():
        return {}
    try:
        found = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, ValueError) as error:  # of its signs, or of a date that is none
        raise BadRequest(f"{path} is no YAML: {str(error).splitlines()[0]}", "mend it") from None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise BadRequest(f"{path} is no list of texts by name", f"it may say {', '.join(FIELDS)}")
    if unknown := sorted(set(found) - set(FIELDS), key=str):
        raise BadRequest(f"{path} says {unknown[0]!r:.80}, which nobody knows", f"it may say {', '.join(FIELDS)}")
    return found
