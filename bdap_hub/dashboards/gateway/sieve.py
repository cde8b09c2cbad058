"""The gateway's filter between a visitor's socket and a kernel: which frames pass, and as what. PURE.

It is a second wall: the first is the sandbox, in which a visitor is taken to be able to run code.
"""

from __future__ import annotations

from .frames import Message, kind_of, read, with_content
from .stripping import shown
from .widgets import TELLING, Declared

_LEARNING = [*(f'"{name}"'.encode() for name in (*TELLING, "outputs")), b'_ref"']
_PLAIN = frozenset({"comm_msg", "comm_open"})


class Sieve:
    """One visitor's kernel, in the form of messages that its socket speaks."""

    def __init__(self, declared: Declared, v1: bool, most_bytes: int) -> None:
        self.declared, self.v1, self.most_bytes = declared, v1, most_bytes

    def refusal(self, frame: str | bytes) -> str:
        """Why the visitor may not say that; '' when it passes."""
        if len(frame) > self.most_bytes:
            return f"a message of {len(frame)} bytes is too large"
        message = read(frame, self.v1)
        return self.declared.refusal(message) if message else "no readable message"

    def to_visitor(self, frame: str | bytes) -> str | bytes | None:
        """What the visitor gets of what the kernel said; None: nothing."""
        if self.v1 and isinstance(frame, bytes) and kind_of(frame, True) in _PLAIN and not _matters(frame):
            return frame
        message = read(frame, self.v1)
        if message is None:
            return None
        if message.kind in _PLAIN:
            self.declared.learn(message)
        return self._stripped(frame, message)

    def _stripped(self, frame: str | bytes, message: Message) -> str | bytes | None:
        content = shown(message)
        if content is None or content is message.content:
            return None if content is None else frame
        return with_content(frame, self.v1, content)


class Unsifted:
    """Between a visitor and an app that speaks a language of its own: only its walls keep it in."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes

    def refusal(self, frame: str | bytes) -> str:
        """Why the visitor may not say that; '' when it passes."""
        return f"a message of {len(frame)} bytes is too large" if len(frame) > self.most_bytes else ""

    def to_visitor(self, frame: str | bytes) -> str | bytes | None:
        """The same."""
        return frame


def _matters(frame: bytes) -> bool:
    """Whether something is to be learned from it or taken out: most widgets' messages are large and plain."""
    return any(name in frame for name in _LEARNING)
