"""Rows of answers: a list of dictionaries that reads well in a notebook and becomes a pandas table in one call."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

SHOWN = 50


class Table(list[dict[str, Any]]):
    """Rows with the same columns."""

    @property
    def columns(self) -> list[str]:
        """The names of all columns, in the order in which they appear."""
        return list(dict.fromkeys(name for row in self for name in row))

    def column(self, name: str) -> list[Any]:
        """The values of one column."""
        return [row.get(name) for row in self]

    def pandas(self) -> Any:
        """A pandas DataFrame; dates become timestamps."""
        import pandas

        frame = pandas.DataFrame(list(self), columns=self.columns)
        if "date" in frame and len(frame):
            moments = pandas.to_datetime(frame["date"], errors="coerce", utc=True).dt.tz_localize(None)
            if moments.notna().all():
                frame["date"] = moments
        return frame

    def __repr__(self) -> str:
        if not self:
            return "no rows"
        rows = [self.columns, *([_text(row.get(name)) for name in self.columns] for row in self[:SHOWN])]
        wide = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, wide, strict=True)).rstrip() for row in rows]
        return "\n".join([*lines, *([f"… {len(self) - SHOWN} more"] if len(self) > SHOWN else [])])

    def _repr_html_(self) -> str:
        shown = [[_text(row.get(name)) for name in self.columns] for row in self[:SHOWN]]
        rest = f"<p>… {len(self) - SHOWN} more rows; .pandas() has all</p>" if len(self) > SHOWN else ""
        return grid(self.columns, shown) + rest


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]], code: bool = False) -> str:
    """A table as HTML, which scrolls by itself where it is wide; `code`: the first column holds what one writes."""

    def cell(text: str, first: bool) -> str:
        inner = f"<code>{escape(text)}</code>" if code and first else escape(text)
        return f'<td style="text-align:left">{inner}</td>'

    head = "".join(f'<th scope="col" style="text-align:left">{escape(name)}</th>' for name in heads)
    body = "".join(f"<tr>{''.join(cell(text, place == 0) for place, text in enumerate(row))}</tr>" for row in rows)
    return f'<div style="overflow-x:auto"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


class Zones(dict[str, Any]):
    """A GeoJSON FeatureCollection whose features carry statistics; geopandas and maps take it as it is."""

    def __init__(self, rows: Table, features: list[dict[str, Any]]) -> None:
        super().__init__(type="FeatureCollection", features=features)
        self.rows = rows

    @property
    def __geo_interface__(self) -> dict[str, Any]:
        return dict(self)

    def pandas(self) -> Any:
        """A row for each zone, date and band, with the zone's own properties."""
        return self.rows.pandas()

    def geopandas(self) -> Any:
        """A GeoDataFrame: a row for each zone, in degrees."""
        import geopandas

        return geopandas.GeoDataFrame.from_features(self["features"], crs=4326)

    def __repr__(self) -> str:
        return repr(self.rows)

    def _repr_html_(self) -> str:
        return self.rows._repr_html_()


def _text(value: Any) -> str:
    if value is None:
        return "no data"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)
