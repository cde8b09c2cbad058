"""The ways to draw a collection, chosen out of its bands: colour pictures, indices, single bands, classes. PURE."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bdap import finding, spectral

from .bands import Band, Class

Range = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """One way to draw. `span`: the values of the first and the last colour; None: to be measured on the pixels."""

    id: str
    title: str
    kind: str  # colour, index, band or classes
    bands: tuple[str, ...]
    span: Range | None = None
    colormap: str = ""
    about: str = ""
    classes: tuple[Class, ...] = ()

    @property
    def group(self) -> str:
        """What it stands under in a list."""
        if self.kind == "index" and self.span is None:
            return "More indices"
        return {"colour": "Pictures", "index": "Indices", "classes": "Classes", "band": "Single bands"}[self.kind]


# Common names as red, green, blue; reflectance of the brightest; what one sees in it.
COLOURS = (
    ("natural", "Natural colour", ("red", "green", "blue"), 0.22, "As the eye sees it."),
    ("infrared", "Infrared", ("nir", "red", "green"), 0.5, "Healthy vegetation is red."),
    (
        "swir",
        "Short-wave infrared",
        ("swir22", "nir", "red"),
        0.5,
        "Vegetation is green, bare soil and fires stand out.",
    ),
    ("agriculture", "Agriculture", ("swir16", "nir", "blue"), 0.5, "Crops in full growth are bright green."),
)
# (one - two) / (one + two), the span of its colours, what it shows.
INDICES = (
    ("NDVI", "Vegetation", "nir", "red", (-0.1, 0.9), "rdylgn", "Green is dense, healthy vegetation."),
    ("NDWI", "Open water", "green", "nir", (-0.8, 0.8), "rdbu", "Blue is water."),
    ("NDMI", "Moisture of vegetation", "nir", "swir16", (-0.5, 0.6), "rdylbu", "Blue is moist, red is dry."),
    ("NBR", "Burnt areas", "nir", "swir22", (-0.5, 0.9), "rdylgn", "Red is burnt or bare."),
    ("NDSI", "Snow", "green", "swir16", (-0.8, 0.9), "blues", "Dark blue is snow and ice."),
    ("NDBI", "Built-up areas", "swir16", "nir", (-0.6, 0.4), "inferno", "Bright is built-up or bare."),
)


OWN = "bands:"
"""Three bands of one's own choice: bands:B08,B04,B03."""
UNKNOWN = re.compile(r"\b(lambda\w+|PAR|k[A-Z]\w*|n)\b")
"""What stands in formulas that the platform cannot compute by itself: wavelengths, kernels, medians of the scene."""


def looks(bands: Iterable[Band]) -> tuple[Look, ...]:
    """The best first; empty only where there are no bands."""
    bands = tuple(bands)
    plain = [band for band in bands if not band.is_classes]
    common = {band.common: band for band in reversed(plain) if band.common}
    found = [*_colours(common), *_indices(common)]
    if len(plain) >= 3:
        found.append(_own(plain, found[0].bands if found and found[0].kind == "colour" else ()))
    classes = [_classes(band) for band in bands if band.is_classes]
    singles = [_single(band) for band in plain]
    return (*found, *classes, *singles, *_more(common))


def find(options: Sequence[Look], bands: Sequence[Band], identifier: str) -> Look | None:
    """The look of that id; '' is the first. None where the collection has none of that kind."""
    if identifier.startswith(OWN):
        plain = {band.name: band for band in bands if not band.is_classes}
        names = identifier.removeprefix(OWN).split(",")
        chosen = [plain[name] for name in names if name in plain]
        return _own(list(plain.values()), tuple(names)) if len(chosen) == len(names) == 3 else None
    return next((look for look in options if identifier in ("", look.id)), None)


def _own(plain: Sequence[Band], chosen: tuple[str, ...]) -> Look:
    """Three bands as colours; of those that say how they are scaled nobody has to measure."""
    names = chosen or tuple(band.name for band in plain[:3])
    bands = [next(band for band in plain if band.name == name) for name in names]
    span = _span(bands, 0.4) if all(band.common for band in bands) else None
    return Look(OWN + ",".join(names), "Own colours", "colour", names, span, "", "Any three bands as red, green, blue.")


def _more(common: dict[str, Band]) -> list[Look]:
    """Every other index of the list whose bands are there; its span is measured."""
    known = {name for name, *_ in INDICES}
    found = []
    for index in spectral.every().values():
        needed = [next((name for name in finding.NAMES[v] if name in common), "") for v in _variables(index.formula)]
        if needed and all(needed) and index.name not in known and not UNKNOWN.search(index.formula):
            bands = tuple(common[name].name for name in needed)
            title = f"{index.name}: {index.long_name}"
            found.append(Look(f"index:{index.name}", title, "index", bands, None, "viridis", f"{index.formula}"))
    return found


def _variables(formula: str) -> list[str]:
    return list(dict.fromkeys(finding.NEEDED.findall(formula)))


def _colours(common: dict[str, Band]) -> list[Look]:
    found = []
    for identifier, title, names, bright, about in COLOURS:
        if all(name in common for name in names):
            bands = [common[name] for name in names]
            found.append(
                Look(identifier, title, "colour", tuple(b.name for b in bands), _span(bands, bright), "", about)
            )
    return found


def _indices(common: dict[str, Band]) -> list[Look]:
    return [
        Look(f"index:{name}", f"{title} ({name})", "index", (common[one].name, common[two].name), span, colours, about)
        for name, title, one, two, span, colours, about in INDICES
        if one in common and two in common
    ]


def _single(band: Band) -> Look:
    span = _span([band], 0.4) if band.common else None
    title = band.name if band.title == band.name else f"{band.name}: {band.title}"
    return Look(f"band:{band.name}", title, "band", (band.name,), span, "gray" if band.common else "viridis", band.unit)


def _classes(band: Band) -> Look:
    title = band.name if band.title == band.name else band.title
    return Look(f"classes:{band.name}", title, "classes", (band.name,), None, "", "", band.classes)


def _span(bands: list[Band], bright: float) -> Range | None:
    """Dark to bright as stored numbers; None where they are not scaled to reflectance, so nobody knows."""
    if any(band.scale == 1 for band in bands):
        return None
    return bands[0].stored(0), bands[0].stored(bright)
