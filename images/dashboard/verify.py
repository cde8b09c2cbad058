"""Run inside the image: it turns a notebook with a widget into a page."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path

assert version("voila").startswith("0.5."), version("voila")
assert shutil.which("voila"), "voila is not on PATH"

CELL = {
    "cell_type": "code",
    "id": "a",
    "metadata": {},
    "outputs": [],
    "execution_count": None,
    "source": "import ipywidgets; ipywidgets.IntSlider(value=7)",
}
NOTEBOOK = {
    "cells": [CELL],
    "nbformat": 4,
    "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
}
with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
    probe.close()
    notebook = Path(folder) / "check.ipynb"
    notebook.write_text(json.dumps(NOTEBOOK))
    command = ["voila", str(notebook), "--no-browser", f"--port={port}"]
    server = subprocess.Popen(command, env={**os.environ, "HOME": folder})
    deadline = time.monotonic() + 60
    try:
        while True:
            try:
                page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=60).read().decode()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, "voila did not answer within 60 s"
                time.sleep(0.2)
    finally:
        server.terminate()
        server.wait(10)
assert "application/vnd.jupyter.widget-view+json" in page, "the page holds no widget"
print("voila", version("voila"), "rendered a slider")
