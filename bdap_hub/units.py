"""Sizes as people write them. PURE."""

from __future__ import annotations

from .errors import BadSettings

UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def bytes_of(text: str, where: str = "spawning.memory") -> int:
    """Bytes meant by a size such as 512M or 2G; BadSettings, which says `where`, for anything else.

    >>> bytes_of("1.5G")
    1610612736
    """
    number, unit = (text[:-1], text[-1:].upper()) if text[-1:].isalpha() else (text, "")
    try:
        found = int(float(number) * UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        found = -1
    if found < 0:
        raise BadSettings(f"{where} is {text!r}", "write it as 512M or 2G") from None
    return found
