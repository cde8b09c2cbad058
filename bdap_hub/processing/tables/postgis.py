"""Features of a PostGIS table that lie in a box, and its vector tiles. Only reads, never for long.

The statements are built of the operator's names alone; what callers say are bound values.
"""

from __future__ import annotations

import json
import time
from typing import Any

from sqlalchemy import Engine, Select, column, create_engine, func, select, table, text
from sqlalchemy.exc import SQLAlchemyError

from ...errors import Unavailable
from ...settings.services import TableSettings
from ..cubes.extent import Bounds
from ..engine.grid import Grid

SECONDS, MOST, TILE, WIDE, KEPT = 20, 10_000, 4096, 20, 300
"""How long a statement may take; features that one answer has at most; steps across a vector tile; degrees; how long
an extent is kept."""
READ_ONLY = f"-c default_transaction_read_only=on -c statement_timeout={SECONDS}s -c timezone=utc"


class PostGis:
    """One table. Its methods block; call them in a thread."""

    def __init__(self, given: TableSettings) -> None:
        self.given = given
        schema, _, name = given.table.rpartition(".")
        self._columns: list[Any] = [column(each) for each in given.columns]
        self._shape: Any = column(given.geometry)
        self._table = table(name, self._shape, *self._columns, schema=schema or None)
        self._engine: Engine | None = None
        self._reference: int | None = None
        self._extent: tuple[float, tuple[Bounds | None, int]] | None = None

    def bounds(self) -> Bounds | None:
        """The box around all features in degrees; None where there are none."""
        around = func.ST_Extent(func.ST_Transform(self._shape, 4326))
        sides = [getattr(func, f"ST_{side}")(around) for side in ("XMin", "YMin", "XMax", "YMax")]
        (row,) = self._rows(select(*sides).select_from(self._table))
        return Bounds(*map(float, row)) if row[0] is not None else None

    def extent(self) -> tuple[Bounds | None, int]:
        """The box around all features, and how many there are, as far as they are counted. Kept for minutes."""
        if self._extent is None or time.monotonic() - self._extent[0] > KEPT:
            found = self.bounds()
            self._extent = time.monotonic(), (found, self.count(found) if found else 0)
        return self._extent[1]

    def count(self, box: Bounds) -> int:
        """How many features meet a box, up to one more than an answer has."""
        inside = select(self._shape).where(self._meets(box)).limit(MOST + 1).subquery()
        (row,) = self._rows(select(func.count()).select_from(inside))
        return int(row[0])

    def features(self, box: Bounds, tolerance: float, limit: int) -> dict[str, Any]:
        """The features that meet a box, simplified to so many degrees; `more`: there would be others."""
        degrees = func.ST_Transform(self._shape, 4326)
        shown = func.ST_SimplifyPreserveTopology(degrees, tolerance) if tolerance else degrees
        wanted = select(func.ST_AsGeoJSON(shown, 7), *self._columns).where(self._meets(box)).limit(limit + 1)
        rows = self._rows(wanted)
        return {
            "type": "FeatureCollection",
            "features": [self._feature(row) for row in rows[:limit] if row[0]],
            "more": len(rows) > limit,
        }

    def tile(self, z: int, x: int, y: int) -> bytes:
        """A Mapbox vector tile (MVT 2.1) with one layer of the table's name."""
        around = func.ST_TileEnvelope(z, x, y)
        drawn = func.ST_AsMVTGeom(func.ST_Transform(self._shape, 3857), around, TILE, 64, True).label("geom")
        rows = select(drawn, *self._columns).where(self._meets(Grid.tile(z, x, y).bounds())).subquery("mvt")
        (row,) = self._rows(select(func.ST_AsMVT(text("mvt.*"), self.given.name, TILE, "geom")).select_from(rows))
        return bytes(row[0] or b"")

    def _feature(self, row: Any) -> dict[str, Any]:
        properties = {name: _plain(value) for name, value in zip(self.given.columns, row[1:], strict=True)}
        return {"type": "Feature", "properties": properties, "geometry": json.loads(row[0])}

    def _meets(self, box: Bounds) -> Any:
        """Whether features meet a box: by their index, unless it is so wide that their own system does not hold it.

        All features are in one system, whose number is a constant of the statement: else no index would serve.
        """
        degrees = func.ST_MakeEnvelope(*box, 4326)
        if box.east - box.west > WIDE or box.north - box.south > WIDE:
            return func.ST_Transform(self._shape, 4326).op("&&")(degrees)
        return self._shape.op("&&")(func.ST_Transform(func.ST_Segmentize(degrees, 1), self._system()))

    def _system(self) -> int:
        """The number of the features' reference system, which is looked up once there is one."""
        if self._reference is None:
            known = self._shape.is_not(None)
            rows = self._rows(select(func.ST_SRID(self._shape)).select_from(self._table).where(known).limit(1))
            self._reference = int(rows[0][0]) if rows else None
        return self._reference or 4326

    def _rows(self, statement: Select[Any]) -> list[Any]:
        try:
            if self._engine is None:
                self._engine = create_engine(
                    self.given.database_url,
                    pool_size=2,
                    pool_pre_ping=True,
                    connect_args={"options": READ_ONLY, "connect_timeout": 5},
                )
            with self._engine.connect() as connection:
                return list(connection.execute(statement))
        except SQLAlchemyError as error:
            late = "statement timeout" in str(error)
            raise Unavailable(
                f"the table {self.given.name} {'took too long' if late else 'cannot be read'}",
                "zoom in, or ask for a smaller box" if late else "try again in a moment, or tell the operators",
            ) from None

    def close(self) -> None:
        """Close its connections."""
        if self._engine is not None:
            self._engine.dispose()


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if value is None or isinstance(value, str | int | bool):
        return value
    try:
        return float(value)
    except (TypeError, ValueError):
        return str(value)
