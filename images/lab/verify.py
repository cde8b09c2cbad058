"""Run inside the image: a person's server has JupyterLab and its tools, what notebooks import, and starts lean."""

import re
import shutil
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec

LIBRARIES = (
    "anywidget",
    "arro3.io",
    "bokeh",
    "dask",
    "geopandas",
    "ipycanvas",
    "ipyevents",
    "ipytree",
    "itables",
    "jupyter_bokeh",
    "jupyterlab_git",
    "jupyterlab_gitlab",
    "jupyterlab_lsp",
    "openeo",
    "plotly",
    "pylsp",
    "rasterio",
    "rioxarray",
    "xarray",
)
for name in LIBRARIES:
    assert find_spec(name), f"{name} is missing"
assert version("jupyterhub") == "6.1.1", f"jupyterhub {version('jupyterhub')} is not the hub's"
assert tuple(map(int, version("jupyterlab").split(".")[:2])) >= (4, 6), "JupyterLab is older than 4.6"
for program in ("jupyterhub-singleuser", "bdap-server", "bdap-warm", "jupyter", "git", "bash"):
    assert shutil.which(program), f"{program} is not on PATH"
for command in (
    ["jupyterhub-singleuser", "--version"],
    ["bdap-server", "--version"],
    ["jupyter", "labextension", "list"],
    ["git", "--version"],
):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    print(*command, "->", (done.stdout + done.stderr).strip())

servers = subprocess.run(["jupyter", "server", "extension", "list"], capture_output=True, text=True, check=True)
told = servers.stdout + servers.stderr
assert re.search(r"jupyterlab_gitlab .*disabled", told), "the panel's own server part is on"
for name in ("nbdime", "jupyter_lsp"):
    assert re.search(rf"\b{name} .*disabled", told), f"{name} is loaded at the start: {told}"
assert re.search(r"bdap_server.extensions .*enabled", told), f"what loads nbdime later is off: {told}"

# What a waiting container does before a claim, in a process of its own.
WAIT = """
import os
import sys
from bdap_server import markers, warm
os.environ |= markers.VALUES
warm.import_everything()
kept = markers.find()
assert len(kept) >= 5, f"markers were kept in {len(kept)} places: the search for them is broken"
markers.replace(kept, {name: "/of/ana" for name in markers.NAMES})
assert not markers.find(), "a marker stays"
from jupyterlab.labapp import LabApp
assert LabApp.user_settings_dir.default_value.startswith("/of/ana"), LabApp.user_settings_dir.default_value
heavy = {"numpy", "pandas", "xarray", "dask", "plotly", "bokeh", "geopandas", "rasterio", "openeo"} & set(sys.modules)
assert not heavy, f"a start of the server imports {heavy}, which it does not need"
from bdap_server.gitlab_panel import turn_on
from jupyterlab_server.config import get_static_page_config
panel_is_off = lambda: get_static_page_config(level="all")["disabledExtensions"]["jupyterlab-gitlab"]
assert panel_is_off(), "the GitLab panel is on by itself"
os.environ |= {"BDAP_GITLAB_URL": "https://gitlab.example.org", "JUPYTER_RUNTIME_DIR": "/tmp/verify-runtime"}
turn_on(os.environ)
assert not panel_is_off(), "a claim does not turn the GitLab panel on"
assert len(os.listdir("/proc/self/task")) == 1, "an extension starts threads at its import"
print("waits with", len(kept), "settings of the person open")
"""
# What every start imports, before any extension.
START = """
import sys
from bdap_server.slim import import_server
import_server()
seldom = {"aiodns", "git", "httpx", "isoduration", "requests", "rfc3986_validator"} & set(sys.modules)
assert not seldom, f"a start of the server imports {seldom}, which it seldom needs"
import importlib.metadata
from jupyterlab.extensions import get_pypi_manager
from jupyterlab_server.listings_handler import requests as stand_in
import requests.adapters
assert stand_in.Session is requests.Session, "what stands for requests is not it"
assert type(get_pypi_manager()).__module__ == "jupyterlab.extensions.pypi", "nobody can turn PyPI on"
groups = {each.name for each in importlib.metadata.entry_points(group="jupyterlab.extension_manager_v1")}
assert groups >= {"readonly", "pypi"}, groups
"""
subprocess.run([sys.executable, "-c", START], timeout=120, check=True)
print(
    subprocess.run([sys.executable, "-c", WAIT], capture_output=True, text=True, timeout=120, check=True).stdout.strip()
)
