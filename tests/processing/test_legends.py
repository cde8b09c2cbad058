"""Legends: every kind of style explains itself, as data, as SVG and as PNG that one can read on a phone."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from typing import Any

import httpx
import pytest
from PIL import Image

from bdap_hub.processing.drawing import sheets
from bdap_hub.processing.drawing.layout import WIDTH, Words, laid_out, wrapped
from bdap_hub.processing.drawing.legend import Legend, legend_of, nice, plain
from bdap_hub.processing.drawing.options import read
from bdap_hub.processing.drawing.sheets import measured, png, svg

from .client import Client, tile
from .conftest import DATES
from .engines import decoded
from .graphs import band, load, ndvi_median

CLASSES = [{"value": v, "color": "#00640" + str(v), "label": f"Class {v}"} for v in range(1, 4)]
THREE = ("B02", "B03", "B04")
CASES: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"colormap": "rdylgn", "min": -1, "max": 1, "title": "NDVI", "unit": "K"}, ("ndvi",), "continuous"),
    ({"colormap": [[0, "#fff"], [3, "#f00"]], "ticks": [0, 2]}, ("a",), "continuous"),
    ({"classes": CLASSES}, ("map",), "classes"),
    ({"breaks": [0, 5, 10], "hillshade": True}, ("a",), "classes"),
    ({"rgb": ["B04", "B03 / B02", "B02"], "max": [1, 2, 3]}, THREE, "rgb"),
    ({"bivariate": {"bands": ["B02", "B03"]}, "labels": ["Wet", "Warm"]}, THREE, "bivariate"),
    ({"trivariate": True}, THREE, "trivariate"),
]


def made(options: dict[str, Any], names: tuple[str, ...]) -> Legend:
    return legend_of(read(options, names), names)


@pytest.mark.parametrize(("options", "names", "kind"), CASES)
def test_every_style_has_a_legend_within_a_phones_width(
    options: dict[str, Any], names: tuple[str, ...], kind: str
) -> None:
    legend = made(options, names)
    assert legend.kind == legend.document()["type"] == kind and legend.alt.endswith(".")
    sheet = laid_out(legend, measured)
    assert sheet.width <= 320
    for words in (shape for shape in sheet.shapes if isinstance(shape, Words)):
        width = measured(words.text, words.size, words.bold)
        left = words.x - {"start": 0, "middle": width / 2, "end": width}[words.anchor]
        assert left >= 0 and left + width <= WIDTH and words.y < sheet.height and words.size >= 12
    root = ET.fromstring(svg(sheet))
    assert root.get("role") == "img" and root[0].text == legend.alt
    with Image.open(io.BytesIO(png(sheet))) as image:
        assert image.size == (2 * sheet.width, 2 * sheet.height) and image.text["Description"] == legend.alt  # type: ignore[attr-defined]
        colours = image.convert("RGB").getcolors(10**6)
    assert colours and max(colours)[1] == (255, 255, 255) and (22, 36, 47) in {c for _, c in colours}


def test_the_words_of_legends() -> None:
    alts = [made(options, names).alt for options, names, _ in CASES]
    assert alts[0] == "NDVI: colours from #a50026 to #006837 for values −1 to 1 K."
    assert alts[2] == "3 classes: Class 1, Class 2, Class 3."
    assert alts[3] == "2 classes: 0 – 5, 5 – 10. Shaded by the light on a surface."
    assert alts[4] == "red B04 (0 to 1), green B03 / B02 (0 to 2), blue B02 (0 to 3)."
    assert "Wet (0 to 255) grows to the right, Warm" in alts[5]
    assert "corners are #e6194b B02, #3cb44b B03, #4363d8 B04" in alts[6]


def test_the_document_has_the_colours_of_the_picture() -> None:
    said = made(*CASES[2][:2]).document()
    assert said["entries"][0] == {"color": "#006401", "label": "Class 1", "value": 1.0}
    bar = made({"colormap": ["#000", "#fff"], "max": 10, "gamma": 2}, ("a",)).document()
    assert bar["colors"][0] == "#000000" and bar["colors"][-1] == "#ffffff" and len(bar["colors"]) == 255
    assert abs(int(bar["colors"][127][1:3], 16) - 255 * (127 / 254) ** 0.5) <= 2  # what the value 5 gets
    assert bar["ranges"] == [[0, 10]] and bar["ticks"][0]["value"] == 0
    assert [t["label"] for t in made(*CASES[1][:2]).document()["ticks"]] == ["0", "2"]


@pytest.mark.parametrize(
    ("low", "high", "want"),
    [
        (-1, 1, (-1, -0.5, 0, 0.5, 1)),
        (0, 10_000, (0, 5000, 10_000)),
        (273.2, 318.75, (280, 300)),
        (0, 1e-5, (0, 5e-6, 1e-5)),
        (0.1, 0.7, (0.2, 0.4, 0.6)),
    ],
)
def test_ticks_are_round(low: float, high: float, want: tuple[float, ...]) -> None:
    assert nice(low, high) == pytest.approx(want)


def test_numbers_are_written_as_people_do() -> None:
    shown = {-0.5: "−0.5", 10_000.0: "10000", 1e-5: "1e−5", 3.5e9: "3.5e9", 0.0: "0", 123456.0: "123456"}
    assert {value: plain(value) for value in shown} == shown


def test_long_words_and_many_classes_stay_on_the_sheet() -> None:
    many = [{"value": v, "label": "x" * 80} for v in range(100)]
    sheet = laid_out(made({"classes": many, "title": "word " * 15}, ("a",)), measured)
    words = [shape for shape in sheet.shapes if isinstance(shape, Words)]
    assert max(words[0].x + measured(w.text, w.size, w.bold) for w in words) <= WIDTH
    assert words[-1].text == "and 40 more classes" and any(w.text.endswith("…") for w in words)


def test_a_name_of_any_length_is_measured_a_few_times() -> None:
    """It was cut one character at a time, and measured anew for each."""
    asked = list[int]()

    def counted(text: str, size: int, bold: bool) -> float:
        asked.append(len(text))
        return 7.0 * len(text)

    sheet = laid_out(made({"trivariate": True}, ("x" * 100_000, *THREE[1:])), counted)
    words = [shape.text for shape in sheet.shapes if isinstance(shape, Words)]
    assert max(map(len, words)) <= WIDTH / 7 and sum(text.endswith("…") for text in words) == 2
    assert wrapped("word " * 50_000, 70, 12, False, counted) == ["word word", "word word", "word word…"]
    assert wrapped("one  two\nthree", 35, 12, False, counted) == ["one", "two", "three"]
    assert wrapped("x" * 100_000, 70, 12, False, counted) == ["x" * 9 + "…"]
    assert len(asked) < 1500


def test_without_the_systems_fonts_pillows_own_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "FILES", ("no such font.ttf", "nor this.ttf"))
    sheets._font.cache_clear()
    try:
        assert png(laid_out(made(*CASES[0][:2]), measured)).startswith(b"\x89PNG")
    finally:
        sheets._font.cache_clear()


def test_a_service_serves_its_legend(ana: Client) -> None:
    style = {"colormap": "viridis", "min": 0, "max": 5000, "unit": "DN"}
    service = ana.service(band("B04"), title="Red <b>", configuration={"style": style})
    address = service["attributes"]["legend"]
    picture = httpx.get(address)
    assert picture.headers["content-type"] == "image/png" and picture.content.startswith(b"\x89PNG")
    drawing = httpx.get(address.replace("legend.png", "legend.svg"))
    assert drawing.headers["content-type"] == "image/svg+xml" and b"Red &lt;b&gt;" in drawing.content
    said = httpx.get(address.replace("legend.png", "legend.json")).json()
    assert (said["title"], said["unit"], said["ranges"]) == ("Red <b>", "DN", [[0, 5000]])
    colours = decoded(tile(service).content)[1]
    assert said["colors"] == [f"#{colours[i : i + 3].hex()}" for i in range(3, len(colours), 3)]
    etag = picture.headers["etag"]
    assert httpx.get(address, headers={"If-None-Match": etag}).status_code == 304
    assert httpx.get(address.partition("?")[0]).status_code == 401
    assert ana.http.get(address.partition("?")[0]).status_code == 200
    assert httpx.get(address.replace("legend.png", "legend.gif")).status_code == 404


def test_what_has_no_picture_has_no_legend(ana: Client) -> None:
    two = ana.service(band("B04", temporal_extent=[DATES[0], DATES[1]]) | {"data": load(bands=["B04", "B08"])})
    refused = httpx.get(two["attributes"]["legend"])
    assert refused.status_code == 400 and "2 bands" in refused.json()["message"]
    assert httpx.get(ana.service(ndvi_median())["attributes"]["legend"]).status_code == 200
