"""Opens one page in a headless Chromium and says, as JSON on standard output, what it looks like.

Standard library only: it runs beside the browser, in the painter's container. Arguments: the browser, the address, a
scratch folder; of a static page its path instead of the address, and last the folder that it is in, which is served to
this browser alone. The browser has no door to anything but that address, and is spoken to by a pipe.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SECONDS = 45.0
WIDTH, HEIGHT = 1280, 800
OPTIONS = (
    "--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--disable-dev-shm-usage", "--disable-gpu",
    "--no-zygote", "--hide-scrollbars", "--disable-breakpad", "--disable-crash-reporter", "--no-first-run",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--font-render-hinting=none", "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    f"--window-size={WIDTH},{HEIGHT}",
    # Nothing but the one address is reached: all else goes to a proxy that is not there, and names have no addresses.
    "--proxy-server=http://127.0.0.1:9", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip
READY = """(() => {
  const stage = document.documentElement.dataset.stage;
  if (document.getElementById('bdap-stage')) return stage === 'ready' || stage === 'failed';
  const waits = document.getElementById('loading');
  return document.readyState === 'complete' && (!waits || getComputedStyle(waits).display === 'none');
})()"""
SETTLED = """(() => new Promise(done => {
  const images = () => [...document.images].filter(one => !one.complete).length;
  const from = Date.now();
  const enough = () => (images() === 0 && Date.now() - from > 700) || Date.now() - from > 6000;
  const look = () => enough() ? done(true) : setTimeout(look, 100);
  look();
}))()"""
SHEET = re.compile(r"/_stage/static/[0-9a-f]{16}/(?:lab|stage)/[\w.-]+\.css$")
FILES = "performance.getEntriesByType('resource').map(one => new URL(one.name).pathname).slice(0, 1000)"
# Each widget's place with what style sheets say written into it, and canvases as pictures.
PLACES = """(() => {
  const plain = document.createElement('iframe');
  document.body.appendChild(plain);
  const names = ['display', 'position', 'box-sizing', 'width', 'height', 'min-width', 'min-height', 'max-width',
    'margin', 'padding', 'border', 'border-radius', 'background-color', 'color', 'font', 'text-align', 'line-height',
    'white-space', 'flex', 'flex-direction', 'flex-wrap', 'align-items', 'align-self', 'justify-content', 'gap',
    'grid-area', 'grid-template-columns', 'grid-template-rows', 'top', 'left', 'right', 'bottom', 'transform',
    'overflow', 'opacity', 'visibility', 'z-index', 'box-shadow', 'fill', 'stroke', 'stroke-width', 'fill-opacity',
    'stroke-opacity', 'text-anchor'];
  const bare = new Map();
  const usual = tag => {
    if (!bare.has(tag)) {
      const one = plain.contentDocument.body.appendChild(plain.contentDocument.createElement(tag));
      const style = plain.contentWindow.getComputedStyle(one);
      bare.set(tag, Object.fromEntries(names.map(name => [name, style.getPropertyValue(name)])));
    }
    return bare.get(tag);
  };
  const paint = node => {
    if (node.nodeType === 3) return document.createTextNode(node.data);
    if (node.nodeType !== 1 || ['SCRIPT', 'STYLE', 'IFRAME'].includes(node.tagName)) return null;
    const style = getComputedStyle(node);
    if (style.display === 'none') return null;
    let made;
    if (node.tagName === 'CANVAS') {
      made = document.createElement('img');
      try { made.src = node.toDataURL(); } catch (_) { /* of another origin */ }
    } else {
      made = node.cloneNode(false);
    }
    const known = usual(node.tagName.toLowerCase());
    made.setAttribute('style', names.filter(name => style.getPropertyValue(name) !== known[name])
      .map(name => `${name}:${style.getPropertyValue(name)}`).join(';'));
    if ('value' in node && node.tagName === 'INPUT') made.setAttribute('value', node.value);
    for (const child of node.childNodes) { const one = paint(child); if (one) made.appendChild(one); }
    return made;
  };
  const found = [...document.querySelectorAll('.bdap-widget')].map(place =>
    [...place.childNodes].map(paint).filter(Boolean).map(one => one.outerHTML || one.data).join(''));
  plain.remove();
  return found;
})()"""


class Browser:
    """Chromium, by the DevTools protocol over a pipe."""

    def __init__(self, program: str, address: str, scratch: str) -> None:
        to_read, self._say = os.pipe()
        self._hear, to_write = os.pipe()
        place = urlsplit(address).netloc
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", f'exec "$@" 3<&{to_read} 4>&{to_write}', "sh", program, *OPTIONS,
             f"--user-data-dir={scratch}", f"--proxy-bypass-list=<-loopback>;{place}", "about:blank"],
            pass_fds=(to_read, to_write),
            start_new_session=True,  # its helpers are killed with it: they would go on writing into the scratch folder
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(to_read)
        os.close(to_write)
        self._number, self._rest, self._session = 0, b"", ""
        self._sheets: dict[str, str] = {}

    def call(self, method: str, **params: object) -> dict:
        """The result of one command."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._say, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            if answer.get("method") == "CSS.styleSheetAdded":
                header = answer["params"]["header"]
                self._sheets[header["styleSheetId"]] = header.get("sourceURL", "")
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error'].get('message')}")
        return answer["result"]

    def attach(self) -> None:
        """Speak to a new page from now on."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def value(self, script: str) -> object:
        """What a script of ours comes to."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        return found["result"].get("value")

    def watch_rules(self) -> None:
        """From now on it is noted which rules of style sheets are used."""
        with contextlib.suppress(RuntimeError):
            for method in ("DOM.enable", "CSS.enable", "CSS.startRuleUsageTracking"):
                self.call(method)

    def rules(self) -> dict:
        """Where the used rules of the page's own sheets begin and end, by the path of the sheet. Nothing needs them."""
        found: dict = {}
        with contextlib.suppress(RuntimeError):
            for rule in self.call("CSS.stopRuleUsageTracking")["ruleUsage"]:
                sheet = SHEET.search(self._sheets.get(rule["styleSheetId"], ""))
                if rule["used"] and sheet:
                    found.setdefault(sheet[0], []).append([int(rule["startOffset"]), int(rule["endOffset"])])
        return found

    def end(self) -> None:
        """Kill it: nothing of it is to be kept."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _next(self) -> dict:
        while b"\0" not in self._rest:
            if not select.select([self._hear], [], [], SECONDS)[0]:
                raise RuntimeError("the browser does not answer")
            if not (part := os.read(self._hear, 2**20)):
                raise RuntimeError("the browser ended")
            self._rest += part
        message, _, self._rest = self._rest.partition(b"\0")
        return json.loads(message)


def look(program: str, address: str, scratch: str) -> dict:
    """The page's picture (base64 of a PNG), the markup of its widgets' places, and what it loaded and used."""
    browser, deadline = Browser(program, address, scratch), time.monotonic() + SECONDS
    try:
        browser.attach()
        screen = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 0.5, "mobile": False}
        browser.call("Emulation.setDeviceMetricsOverride", **screen)
        browser.watch_rules()
        browser.call("Page.navigate", url=address)
        while not browser.value(READY) and time.monotonic() < deadline:
            time.sleep(0.1)
        ready = browser.value(READY)
        browser.value(SETTLED)
        picture = browser.call("Page.captureScreenshot", format="png")["data"]
        found = {"places": browser.value(PLACES), "files": browser.value(FILES), "rules": browser.rules()}
        return {"ready": bool(ready), "picture": picture, **found}
    finally:
        browser.end()


class Files(SimpleHTTPRequestHandler):
    """A static page's files."""

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


def served(folder: str) -> str:
    """Where the folder's files are served from now on."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


if __name__ == "__main__":
    program, address, scratch, *folder = sys.argv[1:5]
    print(json.dumps(look(program, (served(folder[0]) if folder else "") + address, scratch)))
