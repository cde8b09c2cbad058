"""The options of a style as JSON schemas, for /file_formats and /service_types. PURE."""

from __future__ import annotations

from typing import Any


def _(kind: Any, description: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "description": description, **more}


NUMBERS = ["number", "array"]
STYLE: dict[str, dict[str, Any]] = {
    "min": _(NUMBERS, "Value of the first colour; one, or one for each band drawn.", default=0),
    "max": _(NUMBERS, "Value of the last colour; one, or one for each band drawn.", default=255),
    "percentiles": _("array", "Two percentiles of all pixels that become min and max, for example [2, 98]."),
    "gamma": _(NUMBERS, "From 0.1 to 10; above 1 is brighter. One, or one for each of three bands.", default=1),
    "colormap": _(
        ["string", "array", "object"],
        "A name (with _r: turned round), a list of colours, [value, colour] stops, or value: colour.",
        default="gray",
    ),
    "expression": _("string", "A formula of bands that is drawn, such as (B08 - B04) / (B08 + B04)."),
    "classes": _(["array", "boolean"], "[{value, color, label}], or true for the classes that the collection names."),
    "intervals": _("array", "[{min, max, color, label}], rising; the first min and the last max may be missing."),
    "breaks": _("array", "Rising numbers: intervals between them, in the colours of the colormap."),
    "rgb": _("array", "Three bands or formulas as red, green and blue."),
    "bivariate": _(["object", "boolean"], "Two bands as a square of colours: {bands, steps, colors: four corners}."),
    "trivariate": _(["object", "boolean"], "Three bands' shares as a triangle of colours: {bands, colors: corners}."),
    "hillshade": _(
        ["object", "boolean"], "Light on a surface: {elevation, azimuth, altitude, exaggeration, strength}."
    ),
    "title": _("string", "Title of the legend."),
    "unit": _("string", "Unit of the values, for the legend."),
    "labels": _("array", "Names of two or three bands, for the legend."),
    "ticks": _("array", "Values that the legend writes at its bar."),
    "background": _(["string", "array"], "Colour behind a JPEG, which knows no transparency.", default="#ffffff"),
}
