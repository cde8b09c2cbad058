"""The page: the notebook with its outputs, by Voilà's exporter and a template of ours, with the widgets' state."""

from __future__ import annotations

import base64
import json
import os
import re
from pathlib import Path
from typing import Any

import nbformat
from voila.exporter import VoilaExporter
from voila.paths import collect_template_paths

from . import wire

TEMPLATE = "stage"
_MATH = re.compile(r"\$|\\\(|\\\[")
_SCRIPT = re.compile(r"<script|application/javascript", re.IGNORECASE)


class Files:
    """What Voilà's exporter asks for pictures that texts show: files of the bundle."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()

    def _path(self, name: str) -> Path | None:
        path = (self._root / name).resolve()
        return path if path.is_relative_to(self._root) and path.is_file() else None

    def file_exists(self, name: str) -> bool:
        """Whether it is a file of the bundle."""
        return bool(name) and "://" not in name and self._path(name) is not None

    def get(self, name: str, **_: Any) -> dict[str, str]:
        """Its content in base64."""
        path = self._path(name)
        return {"content": base64.b64encode(path.read_bytes()).decode() if path else ""}


class Pages:
    """Renders pages of one notebook."""

    def __init__(self, notebook: Path, static: str, modules: dict[str, str]) -> None:
        self._notebook, self._static, self._modules = notebook, static, modules
        self._source = nbformat.reads(notebook.read_text(), as_version=4)
        if title := os.environ.get("BDAP_TITLE"):  # where the notebook itself has none: not its file's name
            self._source.metadata.setdefault("title", title)

    async def render(self, outputs: dict[int, list[dict[str, Any]]], widgets: dict[str, Any], more: Any) -> str:
        """The page with these outputs (by index of cell). `more`: what the page's script is told besides."""
        notebook = nbformat.from_dict(json.loads(json.dumps(self._source)))
        for index, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                cell.outputs = [_output(output) for output in outputs.get(index, [])]
        told = {"static": self._static, "modules": self._modules, **more}
        math = any(_MATH.search(cell.source) for cell in notebook.cells if cell.cell_type == "markdown")
        text = json.dumps(outputs)
        stage = {
            "static": self._static,
            "told": _for_script({**told, "math": math or "text/latex" in text}),
            "widgets": _for_script(widgets),
            "early": bool(_SCRIPT.search(text)),
        }
        exporter = self._exporter(str(notebook.metadata.get("voila", {}).get("theme", "light")))
        resources = {"metadata": {"name": self._notebook.stem}, "base_url": self._static, "theme": exporter.theme}
        parts = [
            part
            async for part, _ in exporter.generate_from_notebook_node(
                notebook, resources=resources, extra_context={"stage": stage, "frontend": "stage"}
            )
        ]
        return "".join(parts)

    def _exporter(self, theme: str) -> VoilaExporter:
        exporter = VoilaExporter(
            template_paths=collect_template_paths(["voila", "nbconvert"], TEMPLATE),
            template_name=TEMPLATE,
            contents_manager=Files(self._notebook.parent),
            theme="dark" if "dark" in theme.lower() else "light",
            base_url=self._static,
        )
        exporter.exclude_input = exporter.exclude_output_prompt = exporter.exclude_input_prompt = True
        return exporter


def _output(output: dict[str, Any]) -> Any:
    """As notebooks keep it: JSON only."""
    bare = {key: value for key, value in output.items() if key != "transient"}
    return nbformat.from_dict(bare)


def _for_script(value: Any) -> str:
    """JSON that may stand inside a script element."""
    return wire.as_json(value).replace("<", "\\u003c")
