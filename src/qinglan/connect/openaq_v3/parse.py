"""Turn recorded answers into hours."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from qinglan.connect.cells import UNIT_OPTIONS, option
from qinglan.connect.reading import head, read_text
from qinglan.connect.units import State, factor
from qinglan.core.batch import Batch, LayoutInfo, ReadContext, Reject
from qinglan.core.clock import HourLabel, TimeConvention
from qinglan.core.errors import LayoutError, QinglanError, UsageError
from qinglan.core.names import HOURLY_ITEMS
from qinglan.core.tables import STATIONS, dataset

_ITEMS: Mapping[str, str] = {"pm25": "pm2_5", "pm10": "pm10", "so2": "so2", "no2": "no2", "o3": "o3", "co": "co"}
_HOUR = timedelta(hours=1)

LAYOUT = LayoutInfo(
    name="openaq_v3",
    title_zh="OpenAQ v3 小时均值（已记录的应答）",
    title_en="OpenAQ v3 hourly means (recorded answers)",
    datasets=("stations", "hours"),
    extensions=(".json", ".json.gz"),
    description_zh="按页记录的 /v3/sensors/{id}/hours 应答；period.datetimeTo.utc 为小时末；单位以应答为准。",
    description_en="recorded pages of /v3/sensors/{id}/hours; datetimeTo is the hour's end; units as answered.",
    convention=TimeConvention(HourLabel.END, 0),
    options={
        "station": "所有数据所属站点 / station that all the data belong to",
        "place": "登记新站点时所属城市 / city of a location that is not registered yet",
        "flagged": "带标记的值：set_aside（默认）或 keep / flagged values: set_aside (default) or keep",
        "coverage": "小时完整率下限，百分数 / least completeness of an hour, percent",
        "temperature": "ppb、ppm 换算温度 / temperature for ppb and ppm [K]",
        "pressure": "ppb、ppm 换算气压 / pressure for ppb and ppm [hPa]",
        **UNIT_OPTIONS,
    },
)


def sniff(path: Path) -> bool:
    """Whether the file is a record of `fetch`, or a bare answer of the API."""
    start = "\n".join(head(path, 40))[:4_000].lstrip()
    return start.startswith("{") and ("openaq-api" in start or ('"location"' in start and '"sensor"' in start))


def read(path: Path, context: ReadContext) -> Iterator[Batch]:
    """`stations` (when a city is given for a new location) and `hours` of one recorded page."""
    record = _record(path)
    answer, location = record.get("answer", record), record.get("location") or {}
    results = answer.get("results")
    if not isinstance(results, list):
        raise LayoutError(
            f"{path.name} has no list results.", remedy="Record the answer of /v3/sensors/{id}/hours."
        )
    station, row = _station(location, context)
    if row is not None:
        yield Batch("stations", row, path.name)
    if station is None:
        raw = json.dumps(location, ensure_ascii=False)
        name = f"openaq-{location.get('id', '?')}"
        detail = "give the option station, or place to register it"
        rejects = [Reject("unknown_station", "location", name, None, raw, detail, len(results))] if results else []
        yield Batch("hours", _hours([]), path.name, rejects)
        return
    rows, rejects, units = _rows(results, station, context)
    yield Batch("hours", _hours(rows), path.name, rejects, units)


def _record(path: Path) -> dict[str, Any]:
    text = read_text(path)
    try:
        record = json.loads(text.body)
    except ValueError as cause:
        raise LayoutError(f"{path.name} is not whole JSON: {cause}.", remedy="Fetch it again.") from cause
    if not isinstance(record, dict):
        raise LayoutError(f"{path.name} is not a recorded answer.", remedy="Record it with openaq_v3.fetch.")
    return record


def _station(location: Mapping[str, Any], context: ReadContext) -> tuple[str | None, pa.Table | None]:
    """Code of the location's station, and its register row when it has to be registered."""
    given = option(context, "station")
    if given is not None:
        return context.station(str(given)), None
    if "id" not in location:
        return None, None
    city = option(context, "place")
    code = f"openaq-{location['id']}"
    known = context.station(code) or context.station(str(location.get("name") or code), city)
    if known or city is None:
        return known, None
    place = context.place(str(city))
    if place is None:
        raise UsageError(
            f"option place {city!r} is not a known place.", remedy="Give a division code or a city's name."
        )
    return code, _register_row(code, place, location)


def _register_row(code: str, place: str, location: Mapping[str, Any]) -> pa.Table:
    spot = location.get("coordinates") or {}
    row: dict[str, Any] = dict.fromkeys(c.name for c in STATIONS)
    row.update(
        station=code,
        name=location.get("name") or code,
        place=place,
        lon=spot.get("longitude"),
        lat=spot.get("latitude"),
        kind="ambient",
        control_point=False,
        aliases=[],
    )
    schema = pa.schema([pa.field(c.name, c.arrow, nullable=c.nullable) for c in STATIONS])
    return pa.Table.from_pylist([row], schema=schema)


def _rows(
    results: list[Any], station: str, context: ReadContext
) -> tuple[list[dict[str, Any]], list[Reject], dict[str, str]]:
    """Hours of one page; results of several items of an hour share a row, a repeated one makes its own."""
    rows: dict[tuple[datetime, int], dict[str, Any]] = {}
    rejects: list[Reject] = []
    units: dict[str, str] = {}
    for number, result in enumerate(results, start=1):
        try:
            time, item, value, unit = _result(result, context)
        except _SetAsideError as odd:
            raw = json.dumps(result, ensure_ascii=False)
            rejects.append(Reject(odd.code, odd.field, odd.value, number, raw, odd.detail, odd.rows))
            continue
        units[item] = unit
        again = 0
        while item in rows.setdefault((time, again), {"station": station, "time": time, "source_line": number}):
            again += 1
        rows[time, again][item] = value
    return list(rows.values()), rejects, units


class _SetAsideError(Exception):
    """A result that does not become a value."""

    def __init__(self, code: str, field: str, value: Any, detail: str = "", rows: int = 1) -> None:
        self.code, self.field, self.value, self.detail, self.rows = code, field, str(value), detail, rows
        super().__init__(code)


def _result(result: Any, context: ReadContext) -> tuple[datetime, str, float | None, str]:
    """(hour's end, item, value in our unit, unit as answered) of one result; _SetAsideError says why not."""
    parameter = result.get("parameter") if isinstance(result, dict) else None
    if not isinstance(parameter, dict):
        raise _SetAsideError("unknown_item", "parameter", parameter)
    item, unit = _ITEMS.get(str(parameter.get("name"))), str(parameter.get("units") or "")
    if item is None:
        raise _SetAsideError("unknown_item", "parameter", parameter.get("name"))
    time = _end(result.get("period"))
    value = result.get("value")
    if value is None:
        return time, item, None, unit
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _SetAsideError("bad_number", item, value)
    if (result.get("flagInfo") or {}).get("hasFlags") and option(context, "flagged", "set_aside") != "keep":
        raise _SetAsideError("provider_flag", item, value, "flagged by its provider; flagged=keep takes it")
    least = option(context, "coverage")
    percent = (result.get("coverage") or {}).get("percentComplete")
    if least is not None and percent is not None and float(percent) < float(least):
        raise _SetAsideError("provider_flag", item, value, f"{percent} % complete, {least} % asked for")
    try:
        scale, offset = factor(item, unit, _state(context))
    except QinglanError as error:
        raise _SetAsideError("wrong_unit_suspected", item, value, str(error)) from None
    return time, item, value * scale + offset, unit


def _state(context: ReadContext) -> State | None:
    temperature, pressure = option(context, "temperature"), option(context, "pressure")
    return None if temperature is None or pressure is None else State(float(temperature), float(pressure))


def _end(period: Any) -> datetime:
    """The hour's end out of a period, which must be one whole hour."""
    try:
        start, end = (datetime.fromisoformat(period[k]["utc"]) for k in ("datetimeFrom", "datetimeTo"))
    except (KeyError, TypeError, ValueError):
        raise _SetAsideError("bad_time", "period", period) from None
    if start.tzinfo is None or end.tzinfo is None or end - start != _HOUR:
        raise _SetAsideError("bad_time", "period", f"{start} to {end}", "not one hour of a zone")
    return end.astimezone(UTC)


def _hours(rows: list[dict[str, Any]]) -> pa.Table:
    contract = dataset("hours")
    schema: dict[str, Any] = {
        "station": pl.String,
        "time": pl.Datetime("us", "UTC"),
        **dict.fromkeys(HOURLY_ITEMS, pl.Float64),
        "source_line": pl.Int64,
    }
    present = {k for row in rows for k in row} | {*contract.key, "source_line"}
    frame = pl.DataFrame(rows, schema=schema, orient="row").select(c for c in schema if c in present)
    return frame.to_arrow(compat_level=pl.CompatLevel.oldest())
