"""The ways to draw a collection, chosen out of its bands: colour pictures, indices, single bands, classes. PURE."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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


def looks(bands: Iterable[Band]) -> tuple[Look, ...]:
    """The best first; empty only where there are no bands."""
    bands = tuple(bands)
    plain = [band for band in bands if not band.is_classes]
    common = {band.common: band for band in reversed(plain) if band.common}
    found = [*_colours(common), *_indices(common)]
    if not found and len(plain) >= 3:
        names = tuple(band.name for band in plain[:3])
        found.append(Look("first", "First three bands", "colour", names, None, "", f"{', '.join(names)} as colours."))
    classes = [_classes(band) for band in bands if band.is_classes]
    singles = [_single(band) for band in plain]
    return (*found, *classes, *singles) if found or classes else tuple(singles)


def find(options: Iterable[Look], identifier: str) -> Look | None:
    """The look of that id; '' is the first."""
    return next((look for look in options if identifier in ("", look.id)), None)


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
