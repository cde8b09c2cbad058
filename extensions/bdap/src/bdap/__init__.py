"""The notebook library of the platform: collections, lazy cubes (openEO process graphs) and maps."""

from .catalogue import collections
from .client import Client, configure
from .cube import Cube, collection, from_json
from .errors import BadCube, BdapError, NotConfigured, NotReachable, ServiceError
from .map import Map, message_html

__version__ = "0.1.0"

__all__ = [
    "BadCube",
    "BdapError",
    "Client",
    "Cube",
    "Map",
    "NotConfigured",
    "NotReachable",
    "ServiceError",
    "collection",
    "collections",
    "configure",
    "from_json",
    "message_html",
]
