"""Runs inside the sandbox, as its only program: loads code that people wrote, hands it arrays, answers with arrays.

It is sent there as text and knows nothing of the platform. Nobody may believe what it answers: the code that it runs
can do with it what it likes. A message is its length, a JSON header, and the numbers of its array.
"""

import inspect
import json
import linecache
import os
import struct
import sys
import traceback
import types
from typing import Any

import numpy as np
import pandas
import scipy.ndimage
import xarray

LIBRARIES = {"numpy": np, "pandas": pandas, "scipy": scipy, "xarray": xarray}
NAME = "udf.py"


class XarrayDataCube:
    """The data cube of openEO's older signature: `apply_datacube(cube: XarrayDataCube, context)`."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def get_array(self) -> Any:
        return self.array


class UdfData:
    """What `apply_udf_data(data)` gets: one data cube and the context."""

    def __init__(self, cube: Any, context: Any) -> None:
        self.datacube_list, self.user_context = [cube], context

    def get_datacube_list(self) -> Any:
        return self.datacube_list

    def set_datacube_list(self, found: Any) -> None:
        self.datacube_list = found


def modules() -> None:
    """`from openeo.udf import XarrayDataCube` works without the client's library."""
    udf = types.ModuleType("openeo.udf")
    udf.XarrayDataCube, udf.UdfData = XarrayDataCube, UdfData  # type: ignore[attr-defined]
    udf.inspect = lambda *arguments, **more: None  # type: ignore[attr-defined]
    package = types.ModuleType("openeo")
    package.udf = udf  # type: ignore[attr-defined]
    sys.modules.update({"openeo": package, "openeo.udf": udf})


def loaded(code: str) -> Any:
    """The function of some code that turns a DataArray and a context into a result."""
    linecache.cache[NAME] = (len(code), None, code.splitlines(True), NAME)
    module = types.ModuleType("udf")
    exec(compile(code, NAME, "exec"), module.__dict__)  # noqa: S102  what this program is for; the sandbox holds it
    apply, over = getattr(module, "apply_datacube", None), getattr(module, "apply_udf_data", None)
    if callable(apply):
        return called(apply)
    if callable(over):
        return lambda cube, context: over_data(over, cube, context)
    raise ValueError("the code defines neither apply_datacube(cube, context) nor apply_udf_data(data)")


def called(apply: Any) -> Any:
    """`apply_datacube` in its newer or older signature, with or without a context."""
    parameters = list(inspect.signature(apply).parameters.values())
    older = bool(parameters) and "XarrayDataCube" in str(parameters[0].annotation)
    two = len(parameters) > 1

    def run(cube: Any, context: Any) -> Any:
        given = XarrayDataCube(cube) if older else cube
        return apply(given, context) if two else apply(given)

    return run


def over_data(over: Any, cube: Any, context: Any) -> Any:
    data = UdfData(XarrayDataCube(cube), context)
    found = (over(data) or data).datacube_list
    if len(found) != 1:
        raise ValueError(f"apply_udf_data must leave one data cube, not {len(found)}")
    return found[0]


def array_of(header: Any, content: bytes) -> Any:
    values = np.frombuffer(content, header["dtype"]).reshape(header["shape"]).copy()
    coords = {d: times(labels) if d == header["time"] else labels for d, labels in header["labels"].items()}
    return xarray.DataArray(values, dims=header["dims"], coords=coords)


def times(labels: Any) -> Any:
    try:
        return np.array([str(label).rstrip("Z") for label in labels], "datetime64[ns]")
    except ValueError:
        return labels


def result_of(found: Any) -> tuple[Any, bytes]:
    """The header and the numbers of a result."""
    found = found.get_array() if isinstance(found, XarrayDataCube) else found
    dims = list(map(str, found.dims)) if isinstance(found, xarray.DataArray) else None
    values = np.asarray(found.values if dims is not None else found)
    if values.dtype.kind not in "fiub":
        raise TypeError(f"the result holds {values.dtype.name}, not numbers")
    if values.dtype.kind != "f" or values.dtype.itemsize not in (4, 8):
        values = values.astype("f8" if values.dtype.kind in "iu" and values.dtype.itemsize > 2 else "f4")
    labels = {d: plain(found.coords[d].values) for d in dims or () if d in found.coords and d not in ("x", "y")}
    values = np.ascontiguousarray(values)
    header = {"dims": dims, "labels": labels, "shape": list(values.shape), "dtype": values.dtype.str}
    return header, values.tobytes()


def plain(values: Any) -> Any:
    return (
        [one if isinstance(one, (str, int, float)) else str(one) for one in values.tolist()]
        if values.dtype.kind != "M"
        else [str(one) for one in values]
    )


def complaint(error: BaseException) -> str:
    """The error with the lines of the person's own code that led to it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == NAME]
    lines = traceback.format_list(frames) if frames else []
    return "".join([*lines, *traceback.format_exception_only(error)])[-2000:]


def main() -> None:
    into, out = os.fdopen(os.dup(0), "rb"), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in range(3):
        os.dup2(nothing, number)

    def say(header: Any, content: bytes = b"") -> None:
        text = json.dumps(header).encode()
        left = memoryview(struct.pack("<II", len(text), len(content)) + text + content)
        while left:
            left = left[os.write(out, left) :]

    modules()
    versions = {name: str(module.__version__) for name, module in LIBRARIES.items()}
    say({"python": sys.version.split()[0], "libraries": versions})
    functions: dict[str, Any] = {}
    while len(head := into.read(8)) == 8:
        text, content = struct.unpack("<II", head)
        header, numbers = json.loads(into.read(text)), into.read(content)
        try:
            if "code" in header:
                functions[header["key"]] = loaded(header["code"])
                say({"loaded": True})
            else:
                say(*result_of(functions[header["key"]](array_of(header, numbers), header["context"])))
        except BaseException as error:
            say({"error": complaint(error)})


if __name__ == "__main__":
    main()
