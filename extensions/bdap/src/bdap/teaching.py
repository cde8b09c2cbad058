"""The gallery: short notebooks that teach the library, which come with it, put into a folder of one's own."""

from __future__ import annotations

import shutil
from pathlib import Path

from .errors import BadCube

HERE = Path(__file__).parent
PLACES = (HERE / "data" / "gallery", HERE.parents[1] / "gallery")
"""Where they lie: in an installed library, and in a checkout of its source."""


def gallery(folder: str | Path = "gallery") -> Path:
    """Put the notebooks into a folder, and give it; a file that is there already stays as it is."""
    source = next((place for place in PLACES if place.is_dir()), None)
    if source is None:
        raise BadCube("the gallery did not come with this library", "install it again from the platform's source")
    target = Path(folder).expanduser()
    try:
        target.mkdir(parents=True, exist_ok=True)
        for file in sorted(source.iterdir()):
            if file.suffix in (".ipynb", ".md") and not (target / file.name).exists():
                shutil.copyfile(file, target / file.name)
    except OSError as error:
        raise BadCube(f"{target} cannot be written: {error.strerror}", "name a folder of yours") from None
    return target
