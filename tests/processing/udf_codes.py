"""Code as people write it, well-meant and otherwise, for `run_udf`."""

from __future__ import annotations

import textwrap


def code(body: str) -> str:
    """A UDF whose body has the names `cube`, `context`, numpy as `np`, `os` and `xarray`."""
    head = (
        "import os\nimport numpy as np\nimport xarray\n\ndef apply_datacube(cube: xarray.DataArray, context: dict):\n"
    )
    return head + textwrap.indent(textwrap.dedent(body).strip(), "    ") + "\n"


DOUBLE = code("return cube * 2 + context.get('add', 0)")
MEDIAN = code("return cube.median('t')")
OLDER = """
from openeo.udf import XarrayDataCube

def apply_datacube(cube: XarrayDataCube, context: dict) -> XarrayDataCube:
    return XarrayDataCube(cube.get_array() * 2)
"""
OVER_DATA = """
def apply_udf_data(data):
    (cube,) = data.get_datacube_list()
    cube.array = cube.array * data.user_context["by"]
"""


def tried(action: str) -> str:
    """What comes of an action: 1 where it can be done, 0 where it cannot, for the whole cube."""
    attempt = textwrap.indent(textwrap.dedent(action).strip(), "    ")
    return code(f"try:\n{attempt}\n    done = 1.0\nexcept BaseException:\n    done = 0.0\nreturn cube * 0 + done")
