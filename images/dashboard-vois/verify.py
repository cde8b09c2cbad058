"""Run inside the image: vois' parts come up, and its countries without the internet."""

from importlib.metadata import version

import cairosvg
import docx
from vois import eucountries
from vois.vuetify import app, datatable, selectMultiple

assert version("ipyvuetify").startswith("1."), version("ipyvuetify")
assert all(
    map(callable, (app.app, datatable.datatable, selectMultiple.selectMultiple, docx.Document, cairosvg.svg2png))
)
assert eucountries.iso2iso3["IT"] == "ITA"
print("vois", version("vois"), "knows", len(eucountries.iso2iso3), "countries")
