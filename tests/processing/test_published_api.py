"""Our answers against openEO's published OpenAPI document, where $BDAP_OPENEO_API names a copy of it (openapi.yaml)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from .client import Client
from .graphs import band, ndvi_median, node

CALLS = (
    ("get", "/", {}),
    ("get", "/.well-known/openeo", {}),
    ("get", "/conformance", {}),
    ("get", "/file_formats", {}),
    ("get", "/service_types", {}),
    ("get", "/udf_runtimes", {}),
    ("get", "/processes", {}),
    ("get", "/collections", {}),
    ("get", "/collections/{collection_id}", {"collection_id": "fields"}),
    ("get", "/collections/{collection_id}/queryables", {"collection_id": "fields"}),
    ("get", "/me", {}),
    ("get", "/services", {}),
    ("get", "/services/{service_id}", {"service_id": "{service}"}),
    ("get", "/services/{service_id}/logs", {"service_id": "{service}"}),
    ("get", "/process_graphs", {}),
    ("get", "/process_graphs/{process_graph_id}", {"process_graph_id": "my_process"}),
    ("get", "/files", {}),
    ("get", "/jobs", {}),
    ("post", "/validation", {}),
)


@pytest.fixture(scope="module")
def published() -> Any:
    path = os.environ.get("BDAP_OPENEO_API", "")
    if not path or not Path(path).is_file():
        pytest.skip("BDAP_OPENEO_API is not set: openEO's OpenAPI document is not part of the project")
    return yaml.safe_load(Path(path).read_text())


def as_json_schema(part: Any, whole: Any, depth: int = 0) -> Any:
    """OpenAPI 3.0's dialect in JSON Schema's words, references filled in as far as answers go deep.

    oneOf counts as anyOf: the document's own alternatives for schemas ("Generic" and the others) exclude nothing.
    """
    if isinstance(part, list):
        return [as_json_schema(one, whole, depth) for one in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        if depth > 12 or not part["$ref"].startswith("#/"):
            return {}
        found = whole
        for step in part["$ref"][2:].split("/"):
            found = found[step.replace("~1", "/").replace("~0", "~")]
        return as_json_schema(found, whole, depth + 1)
    dropped = ("nullable", "example", "discriminator", "deprecated", "xml", "externalDocs", "format")
    kept = {key: one for key, one in part.items() if key not in dropped}
    made = {"anyOf" if key == "oneOf" else key: as_json_schema(one, whole, depth) for key, one in kept.items()}
    return {"anyOf": [made, {"type": "null"}]} if part.get("nullable") is True else made


@pytest.fixture(scope="module")
def service(ana: Client) -> str:
    return str(ana.service(ndvi_median())["id"])


@pytest.mark.parametrize(("method", "path", "values"), CALLS, ids=lambda value: str(value))
def test_an_answer_is_as_published(
    published: Any, ana: Client, service: str, method: str, path: str, values: dict[str, str]
) -> None:
    own = {"process_graph": {"only": node("pi", True)}, "parameters": [], "description": "Pi"}
    assert ana.http.put("/process_graphs/my_process", json=own).status_code == 200
    assert ana.http.put("/files/one.txt", content=b"x").status_code == 200
    filled = path.format(**{key: value.format(service=service) for key, value in values.items()})
    body = {"process_graph": band("B04", "none")} if method == "post" else None
    answer = ana.http.request(method, filled, json=body)
    assert answer.status_code == 200, answer.text
    stated = as_json_schema(published["paths"][path][method]["responses"]["200"], published)
    (schema,) = [one["schema"] for kind, one in stated["content"].items() if kind.endswith("json")]
    wrong = list(Draft202012Validator(schema).iter_errors(answer.json()))
    assert not wrong, [(list(error.absolute_path), error.message[:300]) for error in wrong[:5]]


def test_an_error_is_as_published(published: Any, ana: Client) -> None:
    schema = as_json_schema(published["components"]["schemas"]["error"], published)
    for path in ("/nowhere", "/collections/none", "/files/none", "/process_graphs/none"):
        answer = ana.http.get(path)
        assert answer.status_code == 404 and not list(Draft202012Validator(schema).iter_errors(answer.json()))


def test_what_is_listed_is_named_as_published(published: Any, ana: Client) -> None:
    """What the document does not have is our own: below a service or a job, or a later version's."""
    listed = {one["path"] for one in ana.http.get("/").json()["endpoints"]}
    unknown = {path for path in listed if path not in published["paths"]}
    below = ("/services/{service_id}/", "/jobs/{job_id}/")
    assert {path for path in unknown if not path.startswith(below)} <= {"/processes/{namespace}"}
    assert len(listed - unknown) >= 19
