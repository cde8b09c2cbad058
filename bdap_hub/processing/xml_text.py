"""What of a text an XML document may hold. PURE."""

from __future__ import annotations

import re

FORBIDDEN = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 knows in no way, not even escaped."""


def xml_text(text: str) -> str:
    """The text without them.

    >>> xml_text("a\\ufffe <b>\\x00")
    'a <b>'
    """
    return FORBIDDEN.sub("", text)
