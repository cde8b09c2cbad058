"""Run inside an image: its single-user server starts, takes part in a hub, and answers. A stand-in is the hub."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from importlib.metadata import version

PORT, HUB = 18888, 18081
PREFIX = "/user/somebody/"


class Hub(http.server.BaseHTTPRequestHandler):
    """Says its version to whoever asks, and takes what it is told."""

    def do_GET(self) -> None:
        body = json.dumps({"version": version("jupyterhub")}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *given: object) -> None:
        pass


hub = http.server.ThreadingHTTPServer(("127.0.0.1", HUB), Hub)
threading.Thread(target=hub.serve_forever, daemon=True).start()
given = {
    "JUPYTERHUB_API_URL": f"http://127.0.0.1:{HUB}/hub/api",
    "JUPYTERHUB_API_TOKEN": "of-the-check",
    "JUPYTERHUB_BASE_URL": "/",
    "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-somebody",
    "JUPYTERHUB_HOST": "",
    "JUPYTERHUB_SERVER_NAME": "",
    "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
    "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{PORT}{PREFIX}",
    "JUPYTERHUB_USER": "somebody",
    "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback",
}
start = time.monotonic()
command = "bdap-server" if shutil.which("bdap-server") else "jupyterhub-singleuser"  # as a start does
server = subprocess.Popen([command], env={**os.environ, **given})
while True:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{PREFIX}api", timeout=5) as answer:
            told = json.load(answer)
        break
    except OSError as error:
        if server.poll() is not None or time.monotonic() - start > 120:
            sys.exit(f"{command} does not answer: {error}")
        time.sleep(0.2)
print(f"{command} answers after {time.monotonic() - start:.1f} s: {told}")
server.kill()  # it has nothing to put in order
