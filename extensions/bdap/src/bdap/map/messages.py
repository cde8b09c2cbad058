"""Messages of what went wrong: on the map until they are closed or mended, and in the cell."""

from __future__ import annotations

from collections.abc import Callable

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


def box(error: BdapError, about: str, close: Callable[[], None]) -> widgets.VBox:
    """A message with a button that closes it."""
    button = widgets.Button(description="Close", tooltip=f"Close the message about {about}")
    button.layout.width = "auto"
    button.on_click(lambda _: close())
    return widgets.VBox([widgets.HTML(message_html(error, about)), button])
