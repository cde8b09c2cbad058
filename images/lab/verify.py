"""Run inside the image: a person's server has JupyterLab, the hub's single-user server and git."""

import shutil
import subprocess
from importlib.metadata import version

assert version("jupyterhub") == "6.1.1", f"jupyterhub {version('jupyterhub')} is not the hub's"
assert tuple(map(int, version("jupyterlab").split(".")[:2])) >= (4, 6), "JupyterLab is older than 4.6"
for program in ("jupyterhub-singleuser", "jupyter", "git", "bash"):
    assert shutil.which(program), f"{program} is not on PATH"
for command in (["jupyterhub-singleuser", "--version"], ["jupyter", "labextension", "list"], ["git", "--version"]):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    print(*command, "->", (done.stdout + done.stderr).strip())
