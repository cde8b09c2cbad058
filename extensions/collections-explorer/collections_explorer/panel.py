"""The page around the map: plain values to show, and one event back. Whatever else a browser sends is not heard.

ipyvue's own protocol lets a browser make widgets of any class and call methods: here only `act` with plain values is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipyvuetify
import ipywidgets
import traitlets

Act = Callable[[str, dict[str, Any]], None]
log = logging.getLogger("collections_explorer")


class Panel(ipyvuetify.VuetifyTemplate):
    """What panel.vue shows. `on_act` hears (what, values) of a visitor's gestures; the values are not to be trusted."""

    template_file = str(Path(__file__).with_name("panel.vue"))

    stage = traitlets.Any().tag(sync=True, **ipywidgets.widget_serialization)
    chart = traitlets.Any().tag(sync=True, **ipywidgets.widget_serialization)
    page = traitlets.Bool(True).tag(sync=True)
    browsing = traitlets.Bool(True).tag(sync=True)
    busy = traitlets.Unicode("").tag(sync=True)
    themes = traitlets.List().tag(sync=True)
    sought = traitlets.Unicode("").tag(sync=True)
    sides = traitlets.List().tag(sync=True)
    active = traitlets.Int(0).tag(sync=True)
    timeline = traitlets.Dict().tag(sync=True)
    place = traitlets.Dict().tag(sync=True)
    share = traitlets.Dict().tag(sync=True)
    messages = traitlets.List().tag(sync=True)

    def __init__(self, on_act: Act, **values: Any) -> None:
        self._on_act = on_act
        super().__init__(**values)

    def vue_act(self, data: Any) -> None:
        """A gesture: {"do": name, …}."""
        if isinstance(data, dict) and isinstance(data.get("do"), str):
            self._on_act(data["do"], data)

    def _handle_event(self, _: Any, content: Any, buffers: Any) -> None:
        if isinstance(content, dict) and content.get("event") == "act" and set(content) <= {"event", "data"}:
            self.vue_act(content.get("data"))
        else:
            log.warning("a message that is no gesture was not heard")
