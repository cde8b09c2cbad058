"""What two visitors' processes must not share is made anew after the fork."""

from __future__ import annotations

import json
import random
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from .staged import Visitor, staged

SHARED = """
import json, socket
import httpx, ipywidgets as widgets, numpy as np, sqlalchemy
generator = np.random.default_rng()
lines = open("lines.txt")
first = lines.readline()
client = httpx.Client(trust_env=False)
client.get("{url}")  # its connection is kept
import random, torch
legacy, drawn = np.random.RandomState(), random.Random()
inside = sqlalchemy.create_engine("sqlite://")
with inside.connect() as connection:
    connection.execute(sqlalchemy.text("create table crops (name text)"))
    connection.commit()
engine = sqlalchemy.create_engine("sqlite:///" + "{folder}/state.db")
with engine.connect() as connection:
    connection.execute(sqlalchemy.text("select 1"))
pool = engine.pool
ask, answer = widgets.Text(description="ask"), widgets.HTML(value="nothing")
def asked(_):
    answer.value = json.dumps([
        [*(float(each.random()) for each in (generator, np.random, legacy, drawn, random)), torch.SEED],
        lines.readline(), client.get("{url}").text,
        engine.pool is not pool, sqlalchemy.inspect(inside).get_table_names(),
    ])
ask.observe(asked, "value")
widgets.VBox([ask, answer])
"""


TORCH = (
    "import os\nSEED = None\ndef seed():\n    global SEED\n    SEED = os.urandom(8).hex()"  # stands for the real one
)


class _Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    made = 0

    def setup(self) -> None:
        _Server.made += 1
        super().setup()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_: Any) -> None:
        pass


class _Threads(HTTPServer):
    """Each connection in a thread that ends with the test's process."""

    def process_request(self, request: Any, address: Any) -> None:
        threading.Thread(target=self.finish_request, args=(request, address), daemon=True).start()


def test_random_numbers_files_connections_and_pools(tmp_path: Path):
    server = _Threads(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    tmp_path.joinpath("torch.py").write_text(TORCH)
    tmp_path.joinpath("lines.txt").write_text("one\ntwo\nthree\n")
    cell = SHARED.replace("{url}", f"http://127.0.0.1:{server.server_port}/").replace("{folder}", str(tmp_path))
    try:
        with staged(tmp_path, cell) as stage:
            assert stage.state()["mode"] == "fork", stage.state()
            ask, answer = stage.widget(description="ask"), stage.widget(value="nothing")
            with Visitor(stage) as ana, Visitor(stage) as ben:
                of_ana = json.loads(ana.set(ask, value="a")[answer]["value"])
                of_ben = json.loads(ben.set(ask, value="b")[answer]["value"])
            assert [a for a, b in zip(of_ana[0], of_ben[0], strict=True) if a == b] == []
            assert of_ana[1] == of_ben[1] == "two\n"  # each reads on from where the executed process was
            assert of_ana[2:] == of_ben[2:] == ["ok", True, ["crops"]]
            assert _Server.made == 3  # the executed process's connection is used by neither
    finally:
        server.shutdown()
        server.server_close()


FREE = """
import numpy as np, ipywidgets as widgets
np.random.seed(7)
np.random.seed()
ask, answer = widgets.Text(description="ask"), widgets.HTML(value="nothing")
ask.observe(lambda _: setattr(answer, "value", str(np.random.random())), "value")
widgets.VBox([ask, answer])
"""


def test_who_seeds_with_nothing_shows_everybody_other_numbers(tmp_path: Path):
    with staged(tmp_path, FREE) as stage:
        ask, answer = stage.widget(description="ask"), stage.widget(value="nothing")
        with Visitor(stage) as ana, Visitor(stage) as ben:
            assert ana.set(ask, value="a")[answer] != ben.set(ask, value="a")[answer]


SEEDED = """
import json, random
import ipywidgets as widgets, numpy as np
np.random.seed()
random.seed(7)
np.random.seed(7)
own = [np.random.default_rng(7), np.random.RandomState(7), random.Random(7)]
free = [np.random.default_rng(), random.Random()]
first = random.random()
ask, answer = widgets.Text(description="ask"), widgets.HTML(value="nothing")
def asked(_):
    answer.value = json.dumps([[float(each.random()) for each in some] for some in ([random, np.random, *own], free)])
ask.observe(asked, "value")
widgets.VBox([ask, answer])
"""


def test_who_seeds_shows_everybody_the_same_numbers(tmp_path: Path):
    with staged(tmp_path, SEEDED) as stage:
        assert stage.state()["mode"] == "fork", stage.state()
        ask, answer = stage.widget(description="ask"), stage.widget(value="nothing")
        with Visitor(stage) as ana, Visitor(stage) as ben:
            of_ana, of_ben = (json.loads(who.set(ask, value="a")[answer]["value"]) for who in (ana, ben))
    plain = random.Random(7)
    assert of_ana[0] == of_ben[0]
    assert of_ana[0][0] == [plain.random(), plain.random()][1]  # as if this visitor's process had run the notebook
    assert [a for a, b in zip(of_ana[1], of_ben[1], strict=True) if a == b] == []


LARGE = """
import ipywidgets as widgets, numpy as np
grown = np.ones(2**20)
del grown  # by it glibc learns to keep up to 16 MiB of what is freed
ask, answer, kept = widgets.Text(description="ask"), widgets.HTML(value="nothing"), []
def asked(_):
    parts = [np.ones(2**18) for _ in range(6)] if ask.value in ("use", "keep") else []
    kept.extend(parts if ask.value == "keep" else [])
    answer.value = f"{ask.value} {len(parts)}"
ask.observe(asked, "value")
widgets.VBox([ask, answer])
"""


def test_memory_that_a_gesture_needs_for_a_moment_is_given_back(tmp_path: Path):
    with staged(tmp_path, LARGE) as stage:
        ask, answer = stage.widget(description="ask"), stage.widget(value="nothing")
        with Visitor(stage) as ana:

            def after(gesture: str) -> tuple[str, float]:
                said = ana.set(ask, value=gesture)[answer]["value"]
                return said, stage.state()["memory_kib"]["visitors"][0] / 1024

            held = dict(after(gesture) for gesture in ("look", "use", "keep"))
    assert list(held) == ["look 0", "use 6", "keep 6"]
    assert held["use 6"] - held["look 0"] < 3  # MiB, of the 12 that it used
    assert held["keep 6"] - held["look 0"] > 11
