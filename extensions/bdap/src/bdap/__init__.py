"""The notebook library of the platform: collections, lazy cubes (openEO process graphs) and maps."""

from .batch import Job, JobFailed, StillRunning, job, jobs
from .catalogue import collections, search
from .client import Client, configure
from .conditions import prop
from .cube import Cube, collection, from_json
from .errors import BadCube, BdapError, NotConfigured, NotReachable, ServiceError
from .map import Map, message_html
from .own import from_file, from_numpy, from_pyjeo, from_rasterio, from_xarray
from .publishing import Published, publish
from .spectral import indices
from .teaching import gallery

__version__ = "0.2.0"

__all__ = [
    "BadCube",
    "BdapError",
    "Client",
    "Cube",
    "Job",
    "JobFailed",
    "Map",
    "NotConfigured",
    "NotReachable",
    "Published",
    "ServiceError",
    "StillRunning",
    "collection",
    "collections",
    "configure",
    "from_file",
    "from_json",
    "from_numpy",
    "from_pyjeo",
    "from_rasterio",
    "from_xarray",
    "gallery",
    "indices",
    "job",
    "jobs",
    "message_html",
    "prop",
    "publish",
    "search",
]
