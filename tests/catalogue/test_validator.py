"""stac-api-validator against the running service, in all classes it knows and we claim.

It reads schemas from the network; where they lie on this machine they are served from there.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

CLASSES = [
    "core", "collections", "features", "item-search", "filter", "transaction",
    *(f"{where}#{what}" for where in ("item-search", "features") for what in ("sort", "query", "fields")),
]  # fmt: skip
# Its command takes numbers as texts, which are no numbers to a search; and it looks for one of the values of `in` among
# the characters of a text.
SCRIPT = """
import json, sys
from stac_api_validator.validations import QueryConfig, validate_api
asked = json.loads(sys.argv[1])
query = QueryConfig("eo:cloud_cover", asked.pop("cloud"), 1.0, 90.0, 90.0, 0.0, 0.0, "platform", "s", "a", "e",
                    "platform", "sentinel-2a,sentinel-2b,s")
warnings, errors = validate_api(**asked, auth_query_parameter=None, validate_pagination=True, query_config=query,
                                headers={}, stac_check_config=None)
print(json.dumps({"warnings": list(warnings), "errors": list(errors)}))
"""


@pytest.fixture
def offline(real_data: Path) -> dict[str, str]:
    """The environment in which schemas come from a folder."""
    schemas, shim = real_data / "stac-schemas", real_data.parent / "tools"
    if not (schemas.is_dir() and (shim / "sitecustomize.py").is_file()):
        pytest.skip("the schemas are not at hand")
    return {"PYTHONPATH": str(shim), "STAC_SCHEMA_DIR": str(schemas), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}


def test_no_claimed_class_has_an_error(service: httpx.Client, hub: Any, offline: dict[str, str]) -> None:
    scene = service.get("/collections/sentinel-2-demo/items").json()["features"][0]
    west, south, east, north = scene["bbox"]
    asked = {
        "root_url": f"{service.base_url}".rstrip("/"),
        "ccs_to_validate": CLASSES,
        "collection": "sentinel-2-demo",
        "geometry": json.dumps({"type": "Point", "coordinates": [(west + east) / 2, (south + north) / 2]}),
        "fields_nested_property": "properties.eo:cloud_cover",
        "auth_bearer_token": hub.token("olga"),
        "transaction_collection": "for-people",
        "cloud": scene["properties"]["eo:cloud_cover"],
    }
    command = [sys.executable, "-c", SCRIPT, json.dumps(asked)]
    result = subprocess.run(command, env=offline, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr[-3000:]
    errors = json.loads(result.stdout.splitlines()[-1])["errors"]
    assert not errors, "\n".join(map(str, errors))
