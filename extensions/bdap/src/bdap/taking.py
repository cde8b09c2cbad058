"""Pixels out of a cube: files, batch jobs, arrays, and what other libraries take."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import arrays, ask, batch, files
from .asking import Asking
from .base import given
from .errors import BadCube
from .graph import Node, flatten
from .progress import Bar


class Taking(Asking):
    """On the data's own pixels, at full resolution, unless `resample` says otherwise."""

    def download(self, path: str | Path, **options: Any) -> Path:
        """The whole result as a file, at once: .tif (cloud optimised), .nc, .zarr, .png, .json, .geojson, .csv, …

        Options are those of the format, such as dtype="int16", nodata=-1. What is too large for it goes by `save`.
        """
        target = files.writable(path)
        graph = self._as_file(files.format_of(path), options)
        bar = Bar(target.name)
        try:
            files.result(ask.client_of(self), graph, target, bar.update)
        except BaseException:
            bar.close("not made", done=False)
            raise
        bar.close(f"{target.stat().st_size / 1e6:.1f} MB")
        return target

    def save(self, path: str | Path, title: str = "", wait: bool = True, **options: Any) -> batch.Job:
        """The whole result as a batch job, of any size, whose files are then put at the path, such as "/eos/…/x.tif".

        The job runs on the platform; the files are put there by `wait`, here or in another notebook:
        `bdap.jobs()` lists jobs, `bdap.job(id).wait()` takes one up again. Several dates become a file each.
        """
        target = files.writable(path)
        name = f"{target.absolute()}/" if str(path).endswith("/") else str(target.absolute())
        graph = self._as_file("GTiff" if name.endswith("/") else files.format_of(path), options)
        made = batch.make(self.client, graph, title or target.name, name)
        return made.wait() if wait else made

    def to_xarray(self, chunks: int | None = 0) -> Any:
        """An xarray.DataArray on the exact pixels of the data: dimensions of the cube, y and x, with their CRS.

        Lazy: dask reads pieces of `chunks` pixels a side through the platform when they are needed (0: of a good
        size; None: all of it now, without dask).
        """
        return arrays.to_xarray(self, chunks)

    def to_numpy(self) -> Any:
        """All pixels as a numpy array; no data is NaN."""
        return arrays.to_xarray(self, None).values

    @contextmanager
    def to_rasterio(self) -> Iterator[Any]:
        """The result as an open rasterio dataset: `with cube.to_rasterio() as dataset: …`."""
        import rasterio

        with tempfile.TemporaryDirectory(prefix="bdap-") as folder:
            path = files.result(ask.client_of(self), self._as_file("GTiff", {}), Path(folder) / "x.tif", _quiet)
            with rasterio.open(path) as dataset:
                yield dataset

    def to_pyjeo(self, path: str | Path | None = None) -> Any:
        """The result as a pyjeo.Jim, read from a GeoTIFF (at `path`, if that is given)."""
        try:
            import pyjeo
        except ImportError:
            raise BadCube(
                "pyjeo is not installed here", 'download("x.tif"), and pyjeo.Jim("x.tif") reads it where pyjeo is'
            ) from None
        if path is not None:
            return pyjeo.Jim(str(self.download(path)))
        with tempfile.TemporaryDirectory(prefix="bdap-") as folder:
            return pyjeo.Jim(
                str(files.result(ask.client_of(self), self._as_file("GTiff", {}), Path(folder) / "x.tif", _quiet))
            )

    def _as_file(self, form: str, options: dict[str, Any]) -> dict[str, Any]:
        """The graph that ends in a file of that format."""
        if form in ("PNG", "WEBP", "JPEG"):
            options = {**(self.style or {}), **options}
        node = self._node
        if node.process == "save_result":
            node = node.arguments["data"]
        return flatten(Node("save_result", {"data": node, "format": form, **given(options=options or None)}))


def _quiet(share: float | None, words: str) -> None:
    """Progress that nobody looks at."""
