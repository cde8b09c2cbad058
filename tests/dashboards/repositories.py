"""Git repositories behind a real git server: smart HTTP over TLS, by git's own http-backend, on a port of 127.0.0.1."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.certificates import write_certificate


def git(folder: Path, *arguments: str, **environment: str) -> str:
    """What git says."""
    who = ["-c", "user.name=ana", "-c", "user.email=ana@example.org", "-c", "http.postBuffer=50000000"]
    env = {**{k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}, **environment}
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class GitServer:
    """Serves the bare repositories in `root`; those whose name begins with `private` to who knows `token` alone, and
    what lies below /moved/ is said to lie at `elsewhere`."""

    def __init__(self, root: Path) -> None:
        self.root, self.token, self.elsewhere = root, "glpat-" + "x" * 12, ""
        self.seen: list[tuple[str, str]] = []
        certificate, key = write_certificate(root, "localhost")
        self.ca = certificate
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate, key)
        handler = type("Handler", (_Handler,), {"there": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.server.daemon_threads = True
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.host = f"localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, name: str) -> str:
        """Its address."""
        return f"https://{self.host}/{name}"

    def make(self, name: str) -> Path:
        """An empty bare repository that may be pushed to, and a clone of it to work in."""
        bare = self.root / name
        git(self.root, "init", "-q", "--bare", "-b", "main", str(bare))
        git(bare, "config", "http.receivepack", "true")
        work = self.root / f"work-{name.removesuffix('.git')}"
        git(self.root, "init", "-q", "-b", "main", str(work))
        return work

    def push(self, work: Path, files: dict[str, bytes], branch: str = "main") -> str:
        """Commit these files and push them over HTTPS; the commit."""
        for path, content in files.items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_bytes(content)
        git(work, "add", "-A")
        git(work, "commit", "-qm", "a change", "--allow-empty")
        url = self.url(f"{work.name.removeprefix('work-')}.git").replace("https://", f"https://oauth2:{self.token}@")
        git(work, "push", "-q", url, f"HEAD:refs/heads/{branch}", GIT_SSL_CAINFO=str(self.ca))
        return git(work, "rev-parse", "HEAD")

    def close(self) -> None:
        """End it."""
        self.server.shutdown()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One request, by git's CGI program."""

    there: GitServer
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        login = self.headers.get("Authorization", "")
        self.there.seen.append((path, login))
        if path.startswith("/moved/"):
            self._answer(302, {"Location": f"{self.there.elsewhere}{self.path.removeprefix('/moved')}"})
            return
        if path.startswith("/private") and not login:
            self._answer(401, {"WWW-Authenticate": 'Basic realm="git"'})
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True, env=self._cgi(path, query))
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        said = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self._answer(int(said.pop("Status", "200").split()[0]), said, content)

    def _answer(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def _cgi(self, path: str, query: str) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self.there.root), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "ana",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "REMOTE_ADDR": "127.0.0.1",
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "GIT_CONFIG_GLOBAL": "/dev/null",
        }  # fmt: skip

    def log_message(self, format: str, *arguments: object) -> None:
        pass
