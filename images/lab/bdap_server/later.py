"""What a server needs seldom, or never, is imported once it is used."""

import asyncio
import importlib
import importlib.metadata
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

# Their importers do without them: jsonschema leaves the format unchecked, aiohttp asks the system for addresses.
OPTIONAL = ("aiodns", "isoduration", "rfc3986_validator")
REPORT = 10  # seconds
PYPI = "jupyterlab.extensions.pypi"


@contextmanager
def seldom() -> Iterator[None]:
    """Imports within do without what is optional, and import `requests` once they use it; people's own do neither."""
    given = {**dict.fromkeys(OPTIONAL), "requests": _stand_in("requests")}
    given = {name: module for name, module in given.items() if name not in sys.modules}
    sys.modules.update(given)
    try:
        yield
    finally:
        for name in given:
            del sys.modules[name]


def _stand_in(name: str) -> types.ModuleType:
    def real(asked: str) -> object:
        if sys.modules.get(name) is module:
            raise AttributeError(f"{name} is used before the server runs: it has no {asked!r} yet")
        return getattr(importlib.import_module(name), asked)

    module = types.ModuleType(name, "Imports the real one at its first use.")
    module.__getattr__ = real
    return module


def no_pypi() -> None:
    """JupyterLab imports its way to PyPI also where nobody may install; who turns it on gets the real one."""

    def manager(*arguments: object) -> object:
        if sys.modules.get(PYPI) is module:
            del sys.modules[PYPI]
        return importlib.import_module(PYPI).PyPIExtensionManager(*arguments)

    sys.modules[PYPI] = module = types.ModuleType(PYPI, "Stands for the real one.")
    module.PyPIExtensionManager = manager


def remember_entry_points() -> None:
    """Each question for them reads a file of every package: read them once, and again when one was installed."""
    read = importlib.metadata.entry_points

    @lru_cache(1)
    def known(_: tuple) -> importlib.metadata.EntryPoints:
        return read()

    def entry_points(**wanted: str) -> importlib.metadata.EntryPoints:
        return known(tuple((folder, _changed(folder)) for folder in sys.path)).select(**wanted)

    importlib.metadata.entry_points = entry_points


def reports(server: type) -> None:
    """Its first report of activity comes once it serves: the hub, which knows of the start, is busy with that."""
    keep_activity_updated = server.keep_activity_updated

    async def afterwards(self: object) -> None:
        await asyncio.sleep(REPORT)
        await keep_activity_updated(self)

    server.keep_activity_updated = afterwards


def _changed(folder: str) -> int:
    with suppress(OSError):
        return Path(folder).stat().st_mtime_ns
    return 0
