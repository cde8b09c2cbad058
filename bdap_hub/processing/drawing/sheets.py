"""A sheet (a legend laid out) as SVG and as PNG, dark on white; the words in DejaVu Sans or Pillow's own font."""

from __future__ import annotations

import functools
import io
import xml.etree.ElementTree as ET

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from ..xml_text import xml_text
from .colours import Colour, css
from .layout import EDGE, Area, Sheet, Words

SCALE = 2
"""Pixels of the PNG for one of the sheet: sharp on phones."""
SVG = "http://www.w3.org/2000/svg"
FONT = "system-ui, 'DejaVu Sans', sans-serif"


FILES = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf")
"""Looked for among the system's fonts; else Pillow's own font writes, which knows fewer signs."""
PLAINER = str.maketrans({"−": "-", "–": "-", "→": ">", "↑": "^", "…": "...", "≥": ">=", "µ": "u", "²": "2", "³": "3"})


@functools.lru_cache(maxsize=64)
def _font(size: int, bold: bool) -> tuple[ImageFont.FreeTypeFont, bool]:
    """A font, and whether it knows all signs."""
    try:
        return ImageFont.truetype(FILES[bold], size), True
    except OSError:
        found = ImageFont.load_default(size)
        assert isinstance(found, ImageFont.FreeTypeFont), "Pillow was built without FreeType"
        return found, False


def measured(text: str, size: int, bold: bool) -> float:
    """How wide a text is."""
    font, whole = _font(size * 4, bold)
    return float(font.getlength(text if whole else text.translate(PLAINER))) / 4


def svg(sheet: Sheet) -> bytes:
    """The sheet as SVG, with its meaning in words as title."""
    ET.register_namespace("", SVG)
    size = {"width": str(sheet.width), "height": str(sheet.height), "viewBox": f"0 0 {sheet.width} {sheet.height}"}
    root = ET.Element(f"{{{SVG}}}svg", {**size, "role": "img", "font-family": FONT})
    ET.SubElement(root, f"{{{SVG}}}title").text = xml_text(sheet.alt)
    ET.SubElement(root, f"{{{SVG}}}rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    for shape in sheet.shapes:
        _svg_area(root, shape) if isinstance(shape, Area) else _svg_words(root, shape)
    found: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return found


def _svg_area(root: ET.Element, area: Area) -> None:
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in area.points)
    fill = css(area.colour) if area.colour[3] else "none"
    edge = {"stroke": css(EDGE), "stroke-width": "1"} if area.edge else {"stroke": fill, "stroke-width": "0.4"}
    ET.SubElement(root, f"{{{SVG}}}polygon", {"points": points, "fill": fill, **edge})


def _svg_words(root: ET.Element, words: Words) -> None:
    where = {"x": f"{words.x:.1f}", "y": f"{words.y:.1f}", "text-anchor": words.anchor}
    look = {"font-size": str(words.size), "fill": css(words.colour), **({"font-weight": "600"} if words.bold else {})}
    ET.SubElement(root, f"{{{SVG}}}text", {**where, **look}).text = xml_text(words.text)


def png(sheet: Sheet) -> bytes:
    """The sheet as PNG of twice its size, with its meaning in words as Description."""
    said = PngInfo()
    said.add_itxt("Description", sheet.alt)
    out = io.BytesIO()
    picture_of(sheet).save(out, "PNG", pnginfo=said, optimize=True)
    return out.getvalue()


def picture_of(sheet: Sheet, scale: int = SCALE) -> Image.Image:
    """The sheet as pixels, so many times larger."""
    image = Image.new("RGB", (sheet.width * scale, sheet.height * scale), "white")
    drawing = ImageDraw.Draw(image)
    for shape in sheet.shapes:
        _draw_area(drawing, shape, scale) if isinstance(shape, Area) else write(drawing, shape, scale)
    return image


def _draw_area(drawing: ImageDraw.ImageDraw, area: Area, scale: int) -> None:
    points = [(x * scale, y * scale) for x, y in area.points]
    if area.colour[3]:
        drawing.polygon(points, fill=_on_white(area.colour))
    if area.edge:
        drawing.line([*points, points[0]], fill=EDGE[:3], width=max(1, scale // 2))


def write(drawing: ImageDraw.ImageDraw, words: Words, scale: int = SCALE) -> None:
    """A line of text."""
    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[words.anchor]
    where = (words.x * scale, words.y * scale)
    font, whole = _font(words.size * scale, words.bold)
    text = words.text if whole else words.text.translate(PLAINER)
    thick = 0.6 if words.bold and not whole else 0
    drawing.text(where, text, fill=words.colour[:3], font=font, anchor=anchor, stroke_width=thick)


def _on_white(colour: Colour) -> tuple[int, int, int]:
    share = colour[3] / 255
    red, green, blue = (round(c * share + 255 * (1 - share)) for c in colour[:3])
    return red, green, blue
