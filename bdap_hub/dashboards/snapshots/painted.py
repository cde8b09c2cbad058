"""What a finished page's widgets look like, made harmless, in the page's places until scripts run. PURE.

It comes out of a browser that ran the dashboard's own scripts: taken for hostile, only what draws is let through.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

MOST = 400_000  # characters of one place
TAGS = frozenset({
    "a", "article", "b", "blockquote", "br", "button", "caption", "circle", "clippath", "code", "col", "colgroup",
    "dd", "defs", "desc", "details", "div", "dl", "dt", "ellipse", "em", "fieldset", "figcaption", "figure",
    "footer", "g", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "i", "img", "input", "label", "legend", "li",
    "line", "lineargradient", "main", "mark", "marker", "mask", "nav", "ol", "optgroup", "option", "p", "path",
    "pattern", "polygon", "polyline", "pre", "q", "radialgradient", "rect", "s", "samp", "section", "select",
    "small", "span", "stop", "strong", "sub", "summary", "sup", "svg", "symbol", "table", "tbody", "td", "text",
    "textarea", "tfoot", "th", "thead", "title", "tr", "tspan", "u", "ul", "var",
})  # fmt: skip
VOID = frozenset({"br", "col", "hr", "img", "input"})
ATTRIBUTES = frozenset({
    "align", "alt", "aria-hidden", "aria-label", "checked", "class", "clip-path", "clip-rule", "colspan", "cx",
    "cy", "d", "disabled", "dominant-baseline", "dx", "dy", "fill", "fill-opacity", "fill-rule", "font-family",
    "font-size", "font-weight", "gradienttransform", "gradientunits", "height", "lang", "max", "min", "offset",
    "opacity", "placeholder", "points", "preserveaspectratio", "r", "role", "rowspan", "rx", "ry", "selected",
    "stop-color", "stop-opacity", "stroke", "stroke-dasharray", "stroke-linecap", "stroke-linejoin",
    "stroke-opacity", "stroke-width", "style", "text-anchor", "title", "transform", "type", "value",
    "vector-effect", "viewbox", "width", "x", "x1", "x2", "y", "y1", "y2",
})  # fmt: skip
CASED = {"viewbox": "viewBox", "preserveaspectratio": "preserveAspectRatio", "gradientunits": "gradientUnits",
         "gradienttransform": "gradientTransform", "clippath": "clipPath", "lineargradient": "linearGradient",
         "radialgradient": "radialGradient"}  # fmt: skip
PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/=]+")
LOCAL = re.compile(r"url\(\s*[\"']?#[\w-]+[\"']?\s*\)")
FRAME = '<div inert aria-hidden="true" style="max-width:100%;overflow:hidden">{}</div>'
PLACE = re.compile(r'<div class="bdap-widget"[^>]*>')


def clean(painted: str) -> str:
    """The markup without anything that runs, loads, navigates or leaves its place; '' when there is too much of it."""
    if len(painted) > MOST:
        return ""
    cleaner = _Cleaner()
    cleaner.feed(painted)
    cleaner.close()
    return cleaner.text()


def embed(page: str, places: list[str]) -> str:
    """The page with these in its widgets' places, in their order. None where the numbers differ."""
    found = list(PLACE.finditer(page))
    if len(found) != len(places):
        return page
    parts, at = [], 0
    for match, painted in zip(found, places, strict=True):
        parts += [page[at : match.end()], FRAME.format(painted) if painted else ""]
        at = match.end()
    return "".join([*parts, page[at:]])


class _Cleaner(HTMLParser):
    """Writes anew what it knows; of what it does not know, neither the element nor anything in it."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._out: list[str] = []
        self._open: list[str] = []
        self._hidden: list[str] = []

    def text(self) -> str:
        """All of it, with what was left open closed."""
        return "".join([*self._out, *(f"</{CASED.get(tag, tag)}>" for tag in reversed(self._open))])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element begins."""
        if self._hidden or tag not in TAGS:
            if tag not in VOID and tag not in ("link", "meta", "base", "source", "embed", "area", "track", "wbr"):
                self._hidden.append(tag)
            return
        kept = "".join(f' {CASED.get(name, name)}="{html.escape(value)}"' for name, value in _attributes(tag, attrs))
        self._out.append(f"<{CASED.get(tag, tag)}{kept}>")
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element without content, as SVG writes it."""
        if not self._hidden and tag in TAGS:
            self.handle_starttag(tag, attrs)
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """An element ends, with all that was opened in it."""
        if self._hidden:
            if tag in self._hidden:
                del self._hidden[len(self._hidden) - 1 - self._hidden[::-1].index(tag) :]
            return
        if tag in self._open:
            while (last := self._open.pop()) != tag:
                self._out.append(f"</{CASED.get(last, last)}>")
            self._out.append(f"</{CASED.get(tag, tag)}>")

    def handle_data(self, data: str) -> None:
        """Text."""
        if not self._hidden:
            self._out.append(html.escape(data))


def _attributes(tag: str, attrs: list[tuple[str, str | None]]) -> list[tuple[str, str]]:
    kept = []
    for name, value in attrs:
        text = value or ""
        picture = name == "src" and tag == "img" and PICTURE.fullmatch(text)
        if picture or (name in ATTRIBUTES and _harmless(name, text)):
            kept.append((name, text))
    return kept


def _harmless(name: str, text: str) -> bool:
    """Nothing that loads: of addresses, only marks within the picture itself."""
    bare = re.sub(r"/\*.*?\*/|[\s\0]", "", LOCAL.sub("", text)).lower()
    if name == "style" and ("\\" in bare or "position:fixed" in bare or "expression" in bare or "behavior" in bare):
        return False
    return not any(word in bare for word in ("javascript:", "url(", "@import", "image-set(", "vbscript:", "data:text"))
