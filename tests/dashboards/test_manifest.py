"""What a manifest may say, each refusal with its value and remedy, and that schema and page are those of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from bdap_hub.dashboards.bundles import manifest_page
from bdap_hub.dashboards.bundles.bundle import read_bundle
from bdap_hub.dashboards.bundles.manifest import NAME, Manifest, read, schema
from bdap_hub.dashboards.releases.publish import Wish, completed
from bdap_hub.dashboards.tables import Dashboard
from bdap_hub.errors import BadRequest

from .conftest import notebook, zipped

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
FULL = """
title: Fields of wheat
description: How wheat grows.
slug: wheat
visibility: project
entry: maps/wheat.ipynb
kind: voila
image: dashboard-vois
requirements: [shapely>=2, "pyproj==3.7"]
data: [/eos/data/fields, /eos/projects/agriculture/tables]
resources: {memory: 2G, cpus: 1.5}
keep_warm: true
secrets: [weather-key]
tags: [wheat, agriculture]
"""


def test_every_field_is_taken():
    found = read(FULL)
    assert set(found.said()) == set(Manifest.model_fields)  # the text above leaves none out
    assert found.said() == yaml.safe_load(FULL)
    assert read("") == read("{}") == read("title:") == Manifest()
    assert read(json.dumps(found.said())) == found


@pytest.mark.parametrize(
    ("text", "says", "remedy"),
    [
        ("titel: Wheat", "says 'titel', which nobody knows", "it may say title, description"),
        ("5: x", "names a field by '5', which is no text", "it may say title"),
        ("resources: {gpu: 1}", "says 'resources.gpu', which nobody knows", "it may say memory, cpus"),
        ("- a", "is no list of fields by name", "it may say title"),
        ("a: b: c", "is no YAML", "mend it"),
        ("title: 2024-13-45", "is no YAML", "mend it"),
        ("[" * 5000, "is no YAML", "mend it"),
        ("tags: &a [x]\nsecrets: *a", "refers to parts of itself", "write them out"),
        ("title: " + "x" * 70000, "has 70007 characters", "at most 65536"),
        ("title: [1]", "title: a list cannot be", "1 to 120 characters"),
        ("title: 2024", "title: 2024 cannot be", "1 to 120 characters"),
        ("title: ''", "title: '' cannot be", "1 to 120 characters"),
        ("slug: A B", "slug: 'A B' cannot be", "small letters, digits"),
        ("visibility: all", "visibility: 'all' cannot be", "project .* people .* public"),
        ("kind: shiny", "kind: 'shiny' cannot be", "voila"),
        ("image: ../x", r"image: '\.\./x' cannot be", "offers to the project"),
        ("requirements: [a, a>=2]", "names 'a' twice", "by name and version"),
        ("requirements: ['--index-url http://x']", "'--index-url http://x' is no requirement", "no options"),
        ("requirements: ['x @ http://y/z']", "'x @ http://y/z' names an address", "no addresses"),
        ("requirements: [./x]", r"'\./x' is no requirement", "no addresses"),
        ("data: /eos/data/x", "data: '/eos/data/x' cannot be: input should be a list", "store"),
        ("data: [x]", "data: 'x' cannot be", "may read"),
        ("resources: {memory: 3}", r"resources\.memory: 3 cannot be", "512M or 2G"),
        ("resources: {memory: 1M}", r"resources\.memory: '1M' is no size of 64M or more", "512M or 2G"),
        ("resources: {cpus: yes}", r"resources\.cpus: True is no number", "0.5 or 2"),
        ("resources: {cpus: .nan}", r"resources\.cpus: nan cannot be", "0.5 or 2"),
        ("resources: 5", "resources: 5 cannot be: input should be a list of fields", "memory and cpus"),
        ("keep_warm: 1", "keep_warm: 1 is neither true nor false", "goes on running"),
        ("secrets: [a/b]", "secrets: 'a/b' cannot be", "letters, digits"),
        ("secrets: [../x]", r"secrets: '\.\./x' cannot be", "letters, digits"),
        ("tags: [a, a]", "names 'a' twice", "at most 10"),
        ("tags: ['<b>']", "tags: '<b>' cannot be", "at most 10"),
    ],
)
def test_what_cannot_be_is_refused_with_its_value_and_remedy(text: str, says: str, remedy: str):
    with pytest.raises(BadRequest, match=says) as refused:
        read(text)
    assert re.search(remedy, refused.value.remedy), refused.value.remedy
    assert len(refused.value.message) < 300


def test_the_schema_says_the_same():
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.validate(yaml.safe_load(FULL), schema())
    for text in ("titel: x", "title: 3", "slug: A B", "secrets: [a/b]", "resources: {gpu: 1}", "visibility: all"):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(yaml.safe_load(text), schema())


@pytest.mark.parametrize("name", ["bdap-dashboard.md", "bdap-dashboard.schema.json"])
def test_the_reference_is_what_the_code_says(name: str):
    render = manifest_page.render_schema if name.endswith(".json") else manifest_page.render
    assert (REFERENCE / name).read_text() == render(), "run `make docs`"


def _bundle(text: str):
    files = {"a.ipynb": notebook("1"), "b.ipynb": notebook("2"), NAME: text.encode()}
    return read_bundle("x.zip", zipped(files), 2**20)


def test_the_bundle_s_own_manifest_counts_where_nothing_else_is_said():
    bundle = _bundle("entry: b.ipynb\ntitle: Wheat\ntags: [a]\nresources: {cpus: 2}")
    assert bundle.entry == "b.ipynb"
    silent = completed(Wish("agriculture", "w", "", "", ""), bundle)  # type: ignore[arg-type]
    assert (silent.title, silent.description, silent.visibility) == ("Wheat", "", "project")
    asked = Wish("agriculture", "w", "Corn", "", "public", Manifest(tags=("b",)))
    whole = completed(asked, bundle).whole(bundle).said()
    assert whole == {
        "title": "Corn", "slug": "w", "visibility": "public", "entry": "b.ipynb", "tags": ["b"],
        "resources": {"cpus": 2.0},
    }  # fmt: skip
    with pytest.raises(BadRequest, match=r"no notebook 'c\.ipynb'"):
        _bundle("entry: c.ipynb")


def test_a_manifest_alone_shows_a_dashboard_to_nobody_beyond_the_project():
    bundle = _bundle("entry: b.ipynb\nvisibility: public")
    with pytest.raises(BadRequest, match="asks for visibility 'public': more people"):
        completed(Wish("agriculture", "w", "", "", ""), bundle)  # type: ignore[arg-type]
    assert completed(Wish("agriculture", "w", "", "", "project"), bundle).visibility == "project"
    assert completed(Wish("agriculture", "w", "", "", "public"), bundle).visibility == "public"


def test_a_new_version_is_for_those_who_see_the_dashboard_and_is_called_as_it_is():
    row = Dashboard(title="Fields", description="of wheat", visibility="people", status="live")
    silent = Wish("agriculture", "w", "", "", "")  # type: ignore[arg-type]
    kept = completed(silent, _bundle("entry: b.ipynb"), row)
    assert (kept.visibility, kept.title, kept.description) == ("people", "Fields", "of wheat")
    assert completed(silent, _bundle("entry: b.ipynb\nvisibility: people"), row).visibility == "people"
    assert completed(silent, _bundle("entry: b.ipynb\nvisibility: project"), row).visibility == "project"
    with pytest.raises(BadRequest, match="more people than see it now"):
        completed(silent, _bundle("entry: b.ipynb\nvisibility: public"), row)
    row.status = "retired"
    assert completed(silent, _bundle("entry: b.ipynb"), row).visibility == "project"
