"""Run inside the image: it can make a virtual environment and talk to an engine."""

import shutil
import subprocess
import sys
import tempfile

assert sys.version_info >= (3, 12), sys.version
for program in ("docker", "git", "make", "bash"):
    assert shutil.which(program), f"{program} is not on PATH"
with tempfile.TemporaryDirectory() as folder:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
subprocess.run(["docker", "buildx", "version"], check=True)
print("Python", sys.version.split()[0], "with venv; docker client with buildx")
