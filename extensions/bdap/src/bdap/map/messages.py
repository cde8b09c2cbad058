"""Messages of what went wrong: on the map until they are closed or mended, and in the cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import ipywidgets as widgets
from IPython import get_ipython
from IPython.display import HTML, display

from ..errors import BdapError
from .legends import message_html


def running_a_cell() -> bool:
    """Whether this code runs because a cell does, and not because of a click on a widget."""
    kernel = getattr(get_ipython(), "kernel", None)
    try:
        return bool(kernel) and kernel.get_parent("shell")["header"]["msg_type"] == "execute_request"
    except (AttributeError, KeyError, TypeError):
        return False


def in_the_cell(error: BdapError, about: str) -> bool:
    """Write a message below the running cell; False where no cell runs."""
    if not running_a_cell():
        return False
    display(HTML(message_html(error, about), metadata={"bdap": "message"}))
    return True


def box(errors: Mapping[str, BdapError], close: Callable[[str], None]) -> widgets.VBox:
    """What failed, each message once, with a button that closes it."""
    by_words: dict[str, list[str]] = {}
    for about, error in errors.items():
        by_words.setdefault(str(error), []).append(about)
    parts = [_part(errors[names[0]], names, close) for names in by_words.values()]
    layout = widgets.Layout(max_height="200px", max_width="min(360px, 75vw)", overflow="auto")
    return widgets.VBox(parts, layout=layout)


def _part(error: BdapError, names: list[str], close: Callable[[str], None]) -> widgets.VBox:
    hint, layout = f"Close the message about {', '.join(names)}", widgets.Layout(width="auto", min_height="28px")
    button = widgets.Button(description="Close", tooltip=hint, layout=layout)
    button.on_click(lambda _: [close(name) for name in names])
    return widgets.VBox([widgets.HTML(message_html(error, ", ".join(names))), button])
