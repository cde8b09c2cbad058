"""Bundles: what is taken, and a table of what is refused, each beside the same thing without the harm."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from pathlib import Path

import pytest

from bdap_hub.dashboards.bundles.bundle import read_bundle, store_bundle
from bdap_hub.errors import BadRequest, BdapError, TooMuch

from .conftest import notebook, zipped

LIMIT = 2**20
NB = notebook("1 + 1")
JWT = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEiLCJleHAiOjF9.c2lnbmF0dXJlc2lnbmF0dXJl"
KEY = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"


def _zip_with(name: str, mode: int = 0, content: bytes = b"x", flags: int = 0) -> bytes:
    info = zipfile.ZipInfo("placeholder")
    info.filename = info.orig_filename = name
    info.external_attr = mode << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.ipynb", NB)
        archive.writestr(info, content)
    data = bytearray(buffer.getvalue())
    if flags:
        at = data.rfind(b"PK\x01\x02")
        data[at + 8] |= flags
    return bytes(data)


@pytest.mark.parametrize(
    ("name", "content", "entry", "files"),
    [
        ("wheat.ipynb", NB, "index.ipynb", {"index.ipynb"}),
        ("a.zip", zipped({"wheat.ipynb": NB}), "wheat.ipynb", {"wheat.ipynb"}),
        ("a.zip", zipped({"index.ipynb": NB, "b.ipynb": NB}), "index.ipynb", {"index.ipynb", "b.ipynb"}),
        ("a.zip", zipped({"top/w.ipynb": NB, "top/d/x.csv": b"1"}), "w.ipynb", {"w.ipynb", "d/x.csv"}),
        ("a.zip", zipped({"w.ipynb": NB, ".ipynb_checkpoints/w.ipynb": NB}), "w.ipynb", {"w.ipynb"}),
        ("a.zip", zipped({"w.ipynb": NB, "lib/more.ipynb": NB}), "w.ipynb", {"w.ipynb", "lib/more.ipynb"}),
    ],
)  # fmt: skip
def test_the_entry_notebook_is_found(name: str, content: bytes, entry: str, files: set[str]):
    bundle = read_bundle(name, content, LIMIT)
    assert (bundle.entry, set(bundle.files)) == (entry, files)


def test_an_entry_can_be_named():
    content = zipped({"a.ipynb": NB, "b.ipynb": NB})
    assert read_bundle("x.zip", content, LIMIT, "b.ipynb").entry == "b.ipynb"
    with pytest.raises(BadRequest, match=r"no notebook 'c\.ipynb'"):
        read_bundle("x.zip", content, LIMIT, "c.ipynb")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (zipped({"index.ipynb": NB, "../out.py": b"x"}), "not a plain path"),
        (_zip_with("/etc/cron.d/x"), "not a plain path"),
        (_zip_with("a\\..\\b"), "not a plain path"),
        (_zip_with("C:evil"), "not a plain path"),
        (_zip_with("a/../../b"), "not a plain path"),
        (_zip_with("tab\tname"), "not a plain path"),
        (_zip_with("/".join("abcdefghijklmnop")), "not a plain path"),
        (_zip_with("link", stat.S_IFLNK | 0o777, b"/etc/passwd"), "a link or a special file"),
        (_zip_with("fifo", stat.S_IFIFO | 0o666), "a link or a special file"),
        (_zip_with("device", stat.S_IFCHR | 0o666), "a link or a special file"),
        (_zip_with("locked", flags=1), "encrypted"),
        (_zip_with("index.ipynb/below"), "twice"),
        (zipped({"readme.md": b"x"}), "no notebook"),
        (zipped({"a.ipynb": NB, "b.ipynb": NB}), "several notebooks"),
        (zipped({"index.ipynb": b"{}"}), "not a valid notebook"),
        (zipped({"index.ipynb": b"\xff\xfe"}), "not a valid notebook"),
        (zipped({}), "no files"),
        (b"PK\x03\x04 not a zip", "not a readable zip"),
        (zipped({"index.ipynb": NB, ".env": b"A=1"}), r"\.env is a file that usually holds credentials"),
        (zipped({"index.ipynb": NB, "conf/.env.prod": b"A=1"}), "usually holds credentials"),
        (zipped({"index.ipynb": NB, "id_rsa": b"x"}), "usually holds credentials"),
        (zipped({"index.ipynb": NB, ".git/config": b"x"}), "a git repository"),
        (zipped({"index.ipynb": NB, "k.txt": KEY}), "k.txt holds a private key"),
        (zipped({"index.ipynb": NB, "c.py": b"t = 'ghp_" + b"a" * 36 + b"'"}), "a GitHub token"),
        (zipped({"index.ipynb": NB, "c.py": b"t = 'glpat-" + b"a" * 20 + b"'"}), "a GitLab token"),
        (zipped({"index.ipynb": NB, "c.py": b"AKIA" + b"A" * 16}), "a cloud access key"),
        (zipped({"index.ipynb": NB, "c.py": JWT}), "a signed token"),
        (notebook(f"token = '{JWT.decode()}'"), "a signed token"),
        (notebook(f"key = '''{KEY.decode()}'''"), "a private key"),
        (notebook(f"os.environ['JUPYTERHUB_API_TOKEN'] = '{'0a' * 16}'"), "a hub token"),
    ],
)
def test_harm_is_refused_with_its_reason(content: bytes, says: str):
    with pytest.raises(BadRequest, match=says):
        read_bundle("bundle.zip" if content[:2] == b"PK" else "index.ipynb", content, LIMIT)


@pytest.mark.parametrize(
    "content",
    [
        _zip_with("plain.txt", stat.S_IFREG | 0o644),
        zipped({"index.ipynb": NB, "environment.yml": b"x", "notes/env.md": b"the .env file", "keys.csv": b"k"}),
        zipped({"index.ipynb": NB, "k.pub": b"-----BEGIN PUBLIC KEY-----"}),
    ],
)
def test_what_only_looks_alike_is_taken(content: bytes):
    assert read_bundle("bundle.zip", content, LIMIT).entry == "index.ipynb"


def test_a_signed_tile_address_in_saved_outputs_is_no_reason_to_refuse():
    nb = json.loads(notebook("m"))
    nb["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": f"/tiles/1?sig={JWT.decode()}"}]
    assert read_bundle("index.ipynb", json.dumps(nb).encode(), LIMIT).entry == "index.ipynb"


def test_sizes_are_limited_also_when_the_archive_lies():
    with pytest.raises(TooMuch, match=r"limit is 1\.0 MiB"):
        read_bundle("x.zip", b"PK" + b"0" * LIMIT, LIMIT)
    bomb = zipped({"index.ipynb": NB, "zeros": b"\0" * (5 * LIMIT)})
    assert len(bomb) < 20_000
    with pytest.raises(TooMuch, match=r"more than 4\.0 MiB"):
        read_bundle("x.zip", bomb, LIMIT)
    true_size, lie = (5 * LIMIT).to_bytes(4, "little"), (10).to_bytes(4, "little")
    with pytest.raises(BdapError):  # the declared size is a lie; what is read is bounded and checked
        read_bundle("x.zip", bomb.replace(true_size, lie), LIMIT)
    assert read_bundle("x.zip", zipped({"index.ipynb": NB, "zeros": b"\0" * LIMIT}), LIMIT)
    many = zipped({"index.ipynb": NB, **{f"{n}.txt": b"" for n in range(2001)}})
    with pytest.raises(TooMuch, match="2002 files"):
        read_bundle("x.zip", many, LIMIT)


@pytest.mark.parametrize("of", ["cells", "outputs", "worksheets"])
def test_a_notebook_of_very_many_parts_is_refused(of: str):
    """To look each of them over takes long, and alike ones pack well."""

    def packed(count: int) -> bytes:
        nb = json.loads(NB)
        code = {"cell_type": "code", "metadata": {}, "execution_count": None, "source": "", "outputs": []}
        told = {"output_type": "stream", "name": "stdout", "text": "x"}
        nb["nbformat_minor"] = 4  # of which cells need no ids
        nb["cells"] = [code] * count if of == "cells" else [{**code, "outputs": [told] * count}]
        if of == "worksheets":
            old = {"cell_type": "code", "language": "python", "input": "", "outputs": [], "collapsed": False}
            sheets = [{"cells": [old] * count}]
            nb = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": sheets}
        return zipped({"index.ipynb": json.dumps(nb).encode()})

    assert read_bundle("x.zip", packed(500), LIMIT).entry == "index.ipynb"
    with pytest.raises(TooMuch, match="cells and outputs"):
        read_bundle("x.zip", packed(20_000), 4 * LIMIT)


def test_the_same_content_has_one_address_however_it_was_packed(tmp_path: Path):
    first = read_bundle("x.zip", zipped({"index.ipynb": NB, "d/x.csv": b"1"}), LIMIT)
    second = read_bundle("x.zip", zipped({"top/d/x.csv": b"1", "top/index.ipynb": NB}), LIMIT)
    other = read_bundle("x.zip", zipped({"index.ipynb": NB, "d/x.csv": b"2"}), LIMIT)
    assert first.sha256 == second.sha256 != other.sha256
    folder = store_bundle(first, tmp_path / "bundles")
    assert store_bundle(second, tmp_path / "bundles") == folder
    assert (folder / "d/x.csv").read_bytes() == b"1"
    assert stat.S_IMODE((folder / "index.ipynb").stat().st_mode) == 0o444
    assert [p.name for p in (tmp_path / "bundles").iterdir()] == [first.sha256]


@pytest.mark.parametrize("names", [("a", "a/b"), ("a/b", "a")])
def test_a_name_is_a_file_or_a_folder(names: tuple[str, str], tmp_path: Path):
    files = {"index.ipynb": NB, **dict.fromkeys(names, b"x")}
    with pytest.raises(BadRequest, match="the zip archive names 'a"):
        read_bundle("a.zip", zipped(files), LIMIT)
    del files["a"]
    assert (store_bundle(read_bundle("a.zip", zipped(files), LIMIT), tmp_path) / "a" / "b").is_file()
