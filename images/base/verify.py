"""Run inside the image: what every image promises. Prints what it found; fails on the first broken promise."""

import importlib
import os
import pwd
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

WIDGETS = ("ipykernel", "ipywidgets", "ipyleaflet", "ipyvuetify", "bqplot", "numpy", "httpx", "matplotlib")

assert os.getuid() != 0, "runs as root"
assert sys.version_info[:2] >= (3, 12), f"Python {sys.version} is older than 3.12"
assert sys.prefix == "/opt/bdap", f"python is {sys.prefix}, not the image's environment"
for name in WIDGETS:
    importlib.import_module(name)
    print(f"{name} {version(name)}")
places = importlib.import_module("bdap.places")
assert abs(places.find("Ispra", "IT").lat - 45.8) < 0.1, "the notebook library does not know where towns lie"
for path in ("/opt/bdap", "/usr", "/etc"):
    assert not os.access(path, os.W_OK), f"uid {os.getuid()} may write to {path}"
assert not list(Path("/run").glob("secrets/*")), "a secret of the build stayed"
setuid = [str(p) for p in Path("/usr/bin").iterdir() if not p.is_symlink() and p.stat().st_mode & 0o6000]
assert not setuid, f"programs that may change their user: {setuid}"
with tempfile.TemporaryFile() as file:
    file.write(b"a person may write to /tmp")
try:
    pwd.getpwuid(os.getuid())
except KeyError:
    print(f"uid {os.getuid()} has no name, and needs none")
