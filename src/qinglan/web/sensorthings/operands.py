"""What a filter computes with: values of a kind, spans of time, points and shapes, over columns of a table."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qinglan.core.errors import UsageError

NUMBER, TEXT, BOOL, TIME, DATE, CLOCK, DURATION, NOTHING = (
    "number", "text", "truth value", "instant", "date", "time of day", "duration", "null",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Value:
    """An expression and the kind of what it yields."""

    expr: pl.Expr
    kind: str


@dataclass(frozen=True, slots=True)
class Span:
    """A time with beginning and end."""

    start: pl.Expr
    end: pl.Expr


@dataclass(frozen=True, slots=True)
class Point:
    """A point in WGS-84 [°]."""

    lon: pl.Expr
    lat: pl.Expr


@dataclass(frozen=True, slots=True)
class Shape:
    """A point or polygon of a filter: rings of (lon, lat) [°], the first outside, others holes."""

    rings: tuple[tuple[tuple[float, float], ...], ...]


Operand = Value | Span | Point | Shape

_KINDS: Mapping[type[pl.DataType], str] = {
    pl.String: TEXT, pl.Boolean: BOOL, pl.Datetime: TIME, pl.Date: DATE, pl.Time: CLOCK, pl.Duration: DURATION,
}  # fmt: skip


def kind_of(data_type: pl.DataType) -> str:
    """The kind of a column."""
    return NUMBER if data_type.is_numeric() else _KINDS.get(type(data_type), NOTHING)


def wrong(said: str, remedy: str = "") -> UsageError:
    """A filter that cannot be judged."""
    return UsageError(f"$filter: {said}.", remedy=remedy or "See OGC 18-088 clause 9.3.3.5.")


def literal(kind: str, text: str) -> Operand:
    """A literal by the name of its token."""
    try:
        return _LITERALS[kind](text)
    except ValueError:
        raise wrong(f"{text} is no {kind.lower()}") from None


def _instant(text: str) -> datetime:
    """An instant; a blank before the offset is a plus sign that the address lost."""
    found = datetime.fromisoformat(text.replace(" ", "+"))
    if found.tzinfo is None:
        raise wrong(f"{text} has no time zone", "Write Z or +08:00 after it (%2B08:00 in an address).")
    return found.astimezone(UTC)


def _time(moment: datetime) -> pl.Expr:
    return pl.lit(moment, pl.Datetime("us", "UTC"))


def _span(text: str) -> Span:
    start, end = (_instant(part) for part in text.split("/"))
    if end < start:
        raise wrong(f"{text} ends before it begins")
    return Span(_time(start), _time(end))


def _duration(text: str) -> Value:
    parts = re.fullmatch(r"duration'P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?'", text)
    if parts is None:
        raise ValueError(text)
    days, hours, minutes, seconds = (float(part or 0) for part in parts.groups())
    try:
        made = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise ValueError(text) from None
    return Value(pl.lit(made), DURATION)


def _number(text: str) -> Value:
    return Value(pl.lit(float(text)), NUMBER)


def _shape(text: str) -> Shape:
    """WKT of a point or a polygon."""
    found = re.fullmatch(r"(?:SRID=4326;)?\s*(POINT|POLYGON)\s*(?:Z\s*)?\((.*)\)\s*", text[10:-1], re.I | re.S)
    if found is None:
        raise wrong(f"{text[:80]} is no POINT or POLYGON in WKT")
    kind, inner = found[1].upper(), found[2].strip()
    rings = [inner] if kind == "POINT" else [part.strip(" ()") for part in inner.split(")")]
    made = tuple(
        tuple(_pair(pair) for pair in ring.lstrip(", (").split(",")) for ring in rings if ring.strip(" ,(")
    )
    if not made or any(len(ring) < (1 if kind == "POINT" else 4) for ring in made):
        raise wrong(f"{text[:80]} has too few points", "A ring has four or more and ends where it began.")
    return Shape(made)


def _pair(text: str) -> tuple[float, float]:
    lon, lat, *_ = (float(part) for part in text.split())
    return lon, lat


_LITERALS: Mapping[str, Callable[[str], Operand]] = {
    "STRING": lambda text: Value(pl.lit(text[1:-1].replace("''", "'")), TEXT),
    "NUMBER": _number,
    "BOOLEAN": lambda text: Value(pl.lit(text == "true"), BOOL),
    "NULL": lambda text: Value(pl.lit(None), NOTHING),
    "INSTANT": lambda text: Value(_time(_instant(text)), TIME),
    "SPAN": _span,
    "DATE": lambda text: Value(pl.lit(date.fromisoformat(text)), DATE),
    "TIME": lambda text: Value(pl.lit(time.fromisoformat(text)), CLOCK),
    "DURATION": _duration,
    "GEOGRAPHY": _shape,
}


def compare(sign: str, left: Operand, right: Operand) -> pl.Expr:
    """A comparison; as in OData, null equals null, differs from all else, and is neither less nor greater."""
    if isinstance(left, Span) or isinstance(right, Span):
        return _spans(sign, left, right)
    if not isinstance(left, Value) or not isinstance(right, Value):
        raise wrong("points and shapes are compared by geo.intersects, st_within, st_equals or st_disjoint")
    if NOTHING not in (left.kind, right.kind) and left.kind != right.kind:
        remedy = "Write an instant as 2025-01-01T00:00:00Z." if {left.kind, right.kind} == {DATE, TIME} else ""
        raise wrong(f"a {left.kind} is compared with a {right.kind}", remedy)
    a, b = left.expr, right.expr
    if sign in ("eq", "ne"):
        if right.kind == NOTHING or left.kind == NOTHING:
            told = (a if right.kind == NOTHING else b).is_null()
            return told if sign == "eq" else ~told
        return a.eq_missing(b) if sign == "eq" else a.ne_missing(b)
    if NOTHING in (left.kind, right.kind):
        return pl.lit(False)
    return {"lt": a < b, "le": a <= b, "gt": a > b, "ge": a >= b}[sign].fill_null(False)


def _spans(sign: str, left: Operand, right: Operand) -> pl.Expr:
    """Spans in time: before means ended by then, after means not begun before; equal have both ends in common."""
    a, b = _as_span(left), _as_span(right)
    if a is None or b is None:
        told = (a or b).start.is_null()  # type: ignore[union-attr]
        return {"eq": told, "ne": ~told}.get(sign, pl.lit(False))
    if sign in ("eq", "ne"):
        same = a.start.eq_missing(b.start) & a.end.eq_missing(b.end)
        return same if sign == "eq" else ~same
    found = a.end <= b.start if sign in ("lt", "le") else a.start >= b.end
    return found.fill_null(False)


def _as_span(value: Operand) -> Span | None:
    """A time as a span; None for null."""
    if isinstance(value, Span):
        return value
    if isinstance(value, Value) and value.kind == NOTHING:
        return None
    if isinstance(value, Value) and value.kind == TIME:
        return Span(value.expr, value.expr)
    said = value.kind if isinstance(value, Value) else "point or shape"
    raise wrong(f"a time is compared with a {said}", "Write an instant as 2025-01-01T00:00:00Z.")


def inside(where: Point, shape: Shape, *, edge: bool) -> pl.Expr:
    """Whether a point lies in a shape; on its edge counts when `edge`."""

    def judge(points: pl.Series) -> pl.Series:
        lon, lat = (points.struct.field(name).to_numpy().astype(float) for name in ("lon", "lat"))
        return pl.Series(_within(lon, lat, shape, edge))

    return pl.struct(where.lon.alias("lon"), where.lat.alias("lat")).map_batches(judge, return_dtype=pl.Boolean)


def _within(lon: NDArray[np.float64], lat: NDArray[np.float64], shape: Shape, edge: bool) -> NDArray[np.bool_]:
    """Even-odd rule over all rings; points on an edge apart."""
    if len(shape.rings[0]) == 1:
        [(x, y)] = shape.rings[0]
        return np.asarray((lon == x) & (lat == y))
    odd, on = np.zeros(len(lon), bool), np.zeros(len(lon), bool)
    for ring in shape.rings:
        for (x1, y1), (x2, y2) in zip(ring, (*ring[1:], ring[0]), strict=True):
            cross = (x2 - x1) * (lat - y1) - (y2 - y1) * (lon - x1)
            between = (np.minimum(x1, x2) <= lon) & (lon <= np.maximum(x1, x2))
            between &= (np.minimum(y1, y2) <= lat) & (lat <= np.maximum(y1, y2))
            on |= between & (cross == 0)
            if y1 != y2:
                odd ^= ((y1 > lat) != (y2 > lat)) & (lon < (x2 - x1) * (lat - y1) / (y2 - y1) + x1)
    return (odd | on) if edge else (odd & ~on)


def _find(row: Mapping[str, Any]) -> int | None:
    return None if row["a"] is None or row["b"] is None else row["a"].find(row["b"])


def index_of(text: pl.Expr, part: pl.Expr) -> pl.Expr:
    """Characters before the first place of a part in a text, -1 when it is not there."""
    return pl.struct(text.alias("a"), part.alias("b")).map_elements(_find, return_dtype=pl.Int64)
