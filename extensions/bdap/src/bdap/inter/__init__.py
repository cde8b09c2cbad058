"""interapro's names on this platform, for notebooks written for JEO-lab: `from jeodpp import inter, imap`.

Each chain is a lazy cube of `bdap`; docs/reference/interapro.md says what maps to what, and what does not.
"""

from __future__ import annotations

from . import imap
from .images import ImageCollection
from .imap import Map, identifyPointEx, identifyPopup, mapInteractGeneric
from .process import ImageProcess
from .tree import Collection, collections
from .vectors import VectorLayer, loadLocalVector

__all__ = [
    "Collection",
    "ImageCollection",
    "ImageProcess",
    "Map",
    "VectorLayer",
    "collections",
    "identifyPointEx",
    "identifyPopup",
    "imap",
    "loadLocalVector",
    "mapInteractGeneric",
]
