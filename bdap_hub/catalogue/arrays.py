"""The arrays of NetCDF-4 files and Zarr folders, each looked at before it is read.

GDAL opens neither here: both formats can name other files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BadRequest
from ..rasters.held import Held

HDF5 = b"\x89HDF\r\n\x1a\n"
HIDDEN = ("DIMENSION_LIST", "REFERENCE_LIST", "CLASS", "NAME", "_Netcdf4Dimid", "_Netcdf4Coordinates")


@dataclass(frozen=True)
class Array:
    """An array of the file; `values` reads it whole."""

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    attrs: Mapping[str, Any]
    values: Callable[[], NDArray[Any]]


@contextmanager
def arrays_of(path: Path) -> Iterator[dict[str, Array]]:
    """Those of the root group by name, while it is open; BadRequest where it is none."""
    if path.suffix.lower() == ".zarr":
        yield _of_zarr(path)
        return
    import h5py

    with Held.now(path.resolve()) as held:
        if os.pread(held.handle, len(HDF5), 0) != HDF5:
            raise BadRequest(f"{path.name} is no NetCDF-4", "write it anew, for example with nccopy -k nc4")
        with h5py.File(held.name, "r") as file:
            yield _of_netcdf(path.name, file)


def _of_netcdf(name: str, file: Any) -> dict[str, Array]:
    """The arrays of the root group: hard links to arrays that lie in this very file, nothing else."""
    import h5py

    found = {}
    for key in file:
        if not isinstance(file.get(key, getlink=True), h5py.HardLink):
            raise BadRequest(f"{name} links to {key!r:.60} elsewhere", "copy it into the file")
        array = file[key]
        if not isinstance(array, h5py.Dataset) or array.dtype.kind not in "iufSO":
            continue
        if array.external or array.is_virtual:
            raise BadRequest(f"{name} keeps {key!r:.60} in another file", "copy it into the file")
        attrs = {each: _plain(array.attrs[each]) for each in array.attrs if each not in HIDDEN}
        found[key] = Array(key, _dims(key, array), array.shape, str(array.dtype), attrs, lambda array=array: array[()])
    return found


def _dims(key: str, array: Any) -> tuple[str, ...]:
    """By the scales that are attached to it; a scale is its own dimension."""
    if array.is_scale and array.ndim == 1:
        return (key,)
    return tuple(
        str(array.dims[i][0].name).rpartition("/")[2] if len(array.dims[i]) else f"dim_{i}" for i in range(array.ndim)
    )


def _of_zarr(path: Path) -> dict[str, Array]:
    """The arrays of the root group (formats 2 and 3); nothing in the folder is a link."""
    import zarr
    from zarr.storage import LocalStore

    try:
        _refuse_links(path)
        group = zarr.open_group(LocalStore(path, read_only=True), mode="r")
        arrays = dict(group.arrays())
    except (OSError, ValueError, KeyError, TypeError, FileNotFoundError) as error:
        raise BadRequest(f"{path.name} is no group of Zarr: {type(error).__name__}", "copy it again") from None
    found = {}
    for key, array in arrays.items():
        attrs = {str(k): _plain(v) for k, v in dict(array.attrs).items()}
        dims = getattr(array.metadata, "dimension_names", None) or attrs.pop("_ARRAY_DIMENSIONS", None) or ()
        fill = getattr(array.metadata, "fill_value", None)
        if "_FillValue" not in attrs and array.metadata.zarr_format == 2 and fill is not None:
            attrs["_FillValue"] = _plain(fill)
        values = lambda array=array: np.asarray(array[...])  # noqa: E731
        found[key] = Array(key, tuple(map(str, dims)), array.shape, str(array.dtype), attrs, values)
    return found


def _refuse_links(path: Path) -> None:
    """What a link leads to may be another's: names, units and places as much as numbers."""
    folders = [str(path)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.is_symlink():
                    where = os.path.relpath(entry.path, path)
                    raise BadRequest(f"{path.name} holds a link, {where!r:.60}", "copy what it leads to")
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)


def _plain(value: Any) -> Any:
    """Of attributes: texts and numbers as Python's own."""
    if isinstance(value, np.ndarray):
        value = value.item() if value.size == 1 else value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
