"""Run inside the image: its browser draws a page, without rights."""

import shutil
import subprocess
import tempfile

assert shutil.which("chromium"), "chromium is not on PATH"
with tempfile.TemporaryDirectory() as folder:
    options = [
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        f"--user-data-dir={folder}",
    ]
    page = "data:text/html,<p>drawn by <script>document.write(6*7)</script></p>"
    found = subprocess.run(["chromium", *options, "--dump-dom", page], capture_output=True, text=True, timeout=120)
assert "42" in found.stdout, found.stderr[-2000:]
print("chromium draws")
