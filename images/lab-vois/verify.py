"""Run inside the image: vois and the older widgets that it needs, beside what lab has."""

from importlib.metadata import version

import ipyvuetify
from jeodpp import imap, inter
from vois import colors, interMap, svgMap

assert version("vois") == "1.0.44", version("vois")
assert version("ipyvuetify").startswith("1."), f"vois needs ipyvuetify 1, here is {version('ipyvuetify')}"
assert interMap.inter is inter and interMap.imap is imap, "vois does not find the platform's map"
assert colors.colorInterpolator(["#000000", "#ffffff"], 0, 1).GetColor(1) == "#ffffff"
print("vois", version("vois"), "with ipyvuetify", version("ipyvuetify"), ipyvuetify.Btn.__name__, svgMap.__name__)
