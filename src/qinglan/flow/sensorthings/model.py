"""Stations, items and their data streams as SensorThings entities; made once for a run.

Every entity but an observation belongs to a station, to an item, or to both. So one table with a row for each
station and item, and in it the properties of every entity of that row, answers any filter along any path: the
row is kept or not, and the entities of kept rows are the answer (a path to many means *one of them*).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any
from unicodedata import normalize

import polars as pl

from qinglan.core.clock import HOUR, from_day_and_hour
from qinglan.core.errors import NotFound
from qinglan.core.names import HOURLY_ITEMS, QUANTITIES
from qinglan.flow import views
from qinglan.flow.series import Series
from qinglan.flow.views import api as tables
from qinglan.plan import content

Row = dict[str, Any]

#: Entity sets (18-088 clause 8.2) and the names by which each leads to others: name, to which set, to many or one.
NAVIGATION: Mapping[str, Mapping[str, tuple[str, bool]]] = {
    "Things": {
        "Locations": ("Locations", True),
        "HistoricalLocations": ("HistoricalLocations", True),
        "Datastreams": ("Datastreams", True),
    },
    "Locations": {"Things": ("Things", True), "HistoricalLocations": ("HistoricalLocations", True)},
    "HistoricalLocations": {"Thing": ("Things", False), "Locations": ("Locations", True)},
    "Datastreams": {
        "Thing": ("Things", False),
        "Sensor": ("Sensors", False),
        "ObservedProperty": ("ObservedProperties", False),
        "Observations": ("Observations", True),
    },
    "Sensors": {"Datastreams": ("Datastreams", True)},
    "ObservedProperties": {"Datastreams": ("Datastreams", True)},
    "Observations": {"Datastream": ("Datastreams", False), "FeatureOfInterest": ("FeaturesOfInterest", False)},
    "FeaturesOfInterest": {"Observations": ("Observations", True)},
}
ENTITY_SETS = tuple(NAVIGATION)
OBSERVATIONS = "Observations"
GEOJSON = "application/geo+json"
MEASUREMENT = "http://www.opengis.net/def/observationType/OGC-OM/2.0/OM_Measurement"
#: Properties that are instants with a beginning and an end, and those that are points.
SPANS = frozenset({"phenomenonTime", "resultTime"})
PLACED = {"Locations": "location", "FeaturesOfInterest": "feature", "Datastreams": "observedArea"}


def column(entity_set: str, path: str) -> str:
    """Name of a property's column in the wide table and in those of observations."""
    return f"{entity_set}.{path}"


@dataclass(frozen=True, slots=True)
class Model:
    """A run as SensorThings see it.

    entities : entity set to id to properties, without links; in the order of ids. Observations are not there.
    wide : one row for each station and item (`item` null for a station without hours), columns by `column`;
        an instant ``t`` that is a span has ``t#start`` and ``t#end``, a point ``p#lon`` and ``p#lat`` [°, WGS-84].
    series : the hours; None when the run has none.
    final : place to its locked months ``YYYY-MM``.
    """

    entities: Mapping[str, Mapping[str, Row]]
    wide: pl.DataFrame
    series: Series | None
    places: Mapping[str, str]
    final: Mapping[str, frozenset[str]]
    _related: dict[tuple[str, str], Mapping[str, tuple[str, ...]]] = field(default_factory=dict)

    def related(self, parents: str, children: str) -> Mapping[str, tuple[str, ...]]:
        """Ids of the children of each parent, in the order of the wide table."""
        key = (parents, children)
        if key not in self._related:
            made: dict[str, dict[str, None]] = {}
            ids = [self.wide[column(name, "@iot.id")].to_list() for name in (parents, children)]
            for parent, child in zip(*ids, strict=True):
                if parent is not None:
                    found = made.setdefault(parent, {})
                    if child is not None:
                        found[child] = None
            self._related[key] = {parent: tuple(found) for parent, found in made.items()}
        return self._related[key]

    def streams(self, entity_set: str, key: str) -> list[tuple[str, str]]:
        """Station and item of every data stream of an entity."""
        found = self.related(entity_set, "Datastreams").get(key, ())
        return [stream_of(name) for name in found]

    @property
    def all_streams(self) -> list[tuple[str, str]]:
        """Station and item of every data stream."""
        return [stream_of(name) for name in self.entities["Datastreams"]]

    def properties(self, entity_set: str) -> tuple[str, ...]:
        """Names of the properties of an entity set."""
        return PROPERTIES[entity_set]

    def is_final(self, station: str, month: str) -> bool:
        """Whether a month ``YYYY-MM`` of a station was locked when the run was made."""
        return month in self.final.get(self.places.get(station, ""), ())


PROPERTIES: Mapping[str, tuple[str, ...]] = {
    "Things": ("name", "description", "properties"),
    "Locations": ("name", "description", "properties", "encodingType", "location"),
    "HistoricalLocations": ("time",),
    "Datastreams": (
        "name", "description", "properties", "unitOfMeasurement", "observationType", "observedArea",
        "phenomenonTime", "resultTime",
    ),
    "Sensors": ("name", "description", "properties", "encodingType", "metadata"),
    "ObservedProperties": ("name", "definition", "description", "properties"),
    "Observations": ("phenomenonTime", "resultTime", "result", "resultQuality"),
    "FeaturesOfInterest": ("name", "description", "properties", "encodingType", "feature"),
}  # fmt: skip


def stream_of(name: str) -> tuple[str, str]:
    """Station and item of a data stream's id (``1480A:pm2_5``).

    >>> stream_of("1480A:pm2_5")
    ('1480A', 'pm2_5')
    """
    station, _, item = name.rpartition(":")
    return station, item


def observation_parts(key: str) -> tuple[str, str, datetime] | None:
    """Station, item and end of the hour (UTC) of an observation's id; None for what is no such id.

    >>> observation_parts("1480A:pm2_5:20250101T01Z")
    ('1480A', 'pm2_5', datetime.datetime(2025, 1, 1, 1, 0, tzinfo=datetime.timezone.utc))
    """
    stream, _, hour = key.rpartition(":")
    station, item = stream_of(stream)
    try:
        time = datetime.strptime(f"{hour[:-1]}+0000", "%Y%m%dT%H%z") if hour.endswith("Z") else None
    except ValueError:
        return None
    return (station, item, time) if time is not None and station and item else None


@cache
def words() -> Mapping[str, Any]:
    """Definitions and units of observed properties, and what is said of their instruments."""
    found: Mapping[str, Any] = content.read("sensorthings", "properties")
    return found


def model(workspace: Any, result: views.Result) -> Model:
    """The current run's model, kept while it is current."""
    return _model(_Held(workspace, result), result.key)


class _Held:
    """A run as the argument of a cache that is keyed by the run's key."""

    def __init__(self, workspace: Any, result: views.Result) -> None:
        self.workspace, self.result = workspace, result
        self.key = (str(Path(workspace.home)), result.key)

    def __hash__(self) -> int:
        return hash(self.key)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.key == self.key


@lru_cache(maxsize=2)
def _model(held: _Held, key: str) -> Model:
    result = held.result
    try:
        series = tables.series(held.workspace, result)
    except NotFound:
        series = None
    register = tables.table(result, "stations").to_pylist() if result.has("stations") else []
    names = {code: (row["name"], row["name_en"]) for code, row in views.places(result).items()}
    invented = bool(result.verdict.get("simulated"))
    spans = _spans(series)
    entities: dict[str, dict[str, Row]] = {name: {} for name in NAVIGATION if name != OBSERVATIONS}
    entities["Sensors"] = {item: _sensor(item) for item in HOURLY_ITEMS}
    entities["ObservedProperties"] = {item: _observed(item) for item in HOURLY_ITEMS}
    rows: list[Row] = []
    for station in register:
        code = station["station"]
        entities["Things"][code] = _thing(station, names, invented)
        placed = _point(station)
        if placed is not None:
            entities["Locations"][code] = _location(station, placed)
            if station["valid_from"] is not None:
                since = from_day_and_hour(station["valid_from"], 1) - HOUR
                entities["HistoricalLocations"][code] = {"time": instant_text(since)}
        entities["FeaturesOfInterest"][code] = _feature(station, placed)
        for item in HOURLY_ITEMS if code in spans else (None,):
            if item is not None:
                entities["Datastreams"][f"{code}:{item}"] = _datastream(station, item, placed, spans[code])
            rows.append(_wide_row(entities, station, item, spans.get(code)))
    final = (result.verdict.get("review") or {}).get("final_months", {})
    return Model(
        entities,
        _wide(entities, rows),
        series,
        {row["station"]: row["place"] for row in register},
        {place: frozenset(months) for place, months in final.items()},
    )


def _spans(series: Series | None) -> dict[str, tuple[datetime, datetime]]:
    """First and last end of an hour of every station that has hours."""
    if series is None:
        return {}
    return {row["station"]: (datetime.fromisoformat(row["first"]), datetime.fromisoformat(row["last"]))
            for row in series.index["stations"]}  # fmt: skip


#: Stands for any station, so that a register without stations has the same columns.
_NOBODY: Row = dict.fromkeys(
    (
        "station",
        "name",
        "place",
        "county",
        "kind",
        "lon",
        "lat",
        "altitude",
        "control_point",
        "valid_from",
        "valid_to",
    )
)


def _wide(entities: Mapping[str, Mapping[str, Row]], rows: list[Row]) -> pl.DataFrame:
    """The wide table; every entity set has its columns, whether or not it has entities."""
    nobody = _NOBODY | {"station": "", "name": "", "place": "", "lon": 0.0, "lat": 0.0,
                        "altitude": 0.0, "valid_from": date(2000, 1, 1)}  # fmt: skip
    now = datetime(2000, 1, 1, tzinfo=UTC)
    point, span = _point(nobody), (now, now)
    sample = {
        "Things": {"": _thing(nobody, {}, False)}, "HistoricalLocations": {"": {"time": ""}},
        "Locations": {"": _location(nobody, point or {})},
        "FeaturesOfInterest": {"": _feature(nobody, point)}, "Sensors": entities["Sensors"],
        "ObservedProperties": entities["ObservedProperties"],
        "Datastreams": {f":{HOURLY_ITEMS[0]}": _datastream(nobody, HOURLY_ITEMS[0], point, span)},
    }  # fmt: skip
    first = _wide_row(sample, nobody, HOURLY_ITEMS[0], span)
    made = pl.DataFrame([first, *rows], infer_schema_length=None).slice(1)
    return made.with_columns(pl.col(pl.Null).cast(pl.String))


def _wide_row(
    entities: Mapping[str, Mapping[str, Row]],
    station: Row,
    item: str | None,
    span: tuple[datetime, datetime] | None,
) -> Row:
    """The properties of every entity of a station and item, flattened."""
    code = station["station"]
    made: Row = {"station": code, "item": item}
    ids = {"Things": code, "Locations": code, "FeaturesOfInterest": code, "Sensors": item,
           "ObservedProperties": item, "Datastreams": item and f"{code}:{item}",
           "HistoricalLocations": code}  # fmt: skip
    for name, key in ids.items():
        found = entities[name].get(key) if key is not None else None
        made[column(name, "@iot.id")] = key if found is not None else None
        for path, value in _flat(found or {}):
            made[column(name, path)] = value
    if item is not None and span is not None:
        first, last = span
        made[column("Datastreams", "phenomenonTime#start")] = first - HOUR
        made[column("Datastreams", "phenomenonTime#end")] = last
        made[column("Datastreams", "resultTime#start")], made[column("Datastreams", "resultTime#end")] = span
    for name, path in PLACED.items():
        there = made[column(name, "@iot.id")] is not None
        made[column(name, f"{path}#lon")] = station["lon"] if there else None
        made[column(name, f"{path}#lat")] = station["lat"] if there else None
    stands = made[column("HistoricalLocations", "@iot.id")] is not None
    made[column("HistoricalLocations", "time")] = (
        from_day_and_hour(station["valid_from"], 1) - HOUR if stands else None
    )
    return made


def _flat(value: Row, stem: str = "") -> Iterator[tuple[str, Any]]:
    """Scalar properties with their paths (``unitOfMeasurement/symbol``); points and times have columns."""
    for name, inner in value.items():
        if name in SPANS or name in PLACED.values() or name == "time":
            continue
        if isinstance(inner, dict):
            yield from _flat(inner, f"{stem}{name}/")
        else:
            yield f"{stem}{name}", inner


def _point(station: Row) -> Row | None:
    """GeoJSON point in WGS-84 (RFC 7946); None for a station without coordinates."""
    lon, lat = station["lon"], station["lat"]
    return None if lon is None or lat is None else {"type": "Point", "coordinates": [lon, lat]}


def _thing(station: Row, names: Mapping[str, tuple[str, str]], invented: bool) -> Row:
    name, name_en = names.get(station["place"], ("", ""))
    of = name_en or station["place"]
    started, ended = station["valid_from"], station["valid_to"]
    return {
        "name": station["name"],
        "description": f"Ambient air monitoring station {station['station']} of {of}."
        + (" Simulated, not a real station's data." if invented else ""),
        "properties": {
            "code": station["station"],
            "place": station["place"],
            "placeName": name or None,
            "placeNameEn": name_en or None,
            "county": station["county"],
            "network": station["kind"],
            "controlPoint": bool(station["control_point"]),
            "altitude": station["altitude"],
            "validFrom": started.isoformat() if started else None,
            "validTo": ended.isoformat() if ended else None,
            "simulated": invented,
        },
    }


def _location(station: Row, point: Row) -> Row:
    return {
        "name": station["name"],
        "description": "Where the station stands, WGS-84.",
        "properties": {"place": station["place"], "altitude": station["altitude"]},
        "encodingType": GEOJSON,
        "location": point,
    }


def _feature(station: Row, point: Row | None) -> Row:
    return {
        "name": station["name"],
        "description": "The ambient air at the station.",
        "properties": {"place": station["place"]},
        "encodingType": GEOJSON,
        "feature": point or {"type": "Feature", "geometry": None, "properties": {}},
    }


def _observed(item: str) -> Row:
    quantity, told = QUANTITIES[item], words()["items"][item]
    return {
        "name": _plain(quantity.symbol),
        "definition": told["definition"],
        "description": f"{quantity.en[0].upper()}{quantity.en[1:]}, 1-h mean concentration ({quantity.zh}).",
        "properties": {"item": item, "nameZh": quantity.zh, "nameEn": quantity.en},
    }


def _sensor(item: str) -> Row:
    quantity, said = QUANTITIES[item], words()["sensor"]
    return {
        "name": f"{_plain(quantity.symbol)} {said['name']['en']} / {quantity.zh}{said['name']['zh']}",
        "description": said["description"]["en"],
        "properties": {"item": item},
        "encodingType": "text/plain",
        "metadata": words()["items"][item]["metadata"],
    }


def _datastream(station: Row, item: str, point: Row | None, span: tuple[datetime, datetime]) -> Row:
    quantity, unit = QUANTITIES[item], words()["units"][QUANTITIES[item].unit]
    first, last = span
    made: Row = {
        "name": f"{station['name']} {_plain(quantity.symbol)}",
        "description": f"Hourly means of {quantity.en} after quality control and review ({quantity.zh}小时值).",
        "properties": {"station": station["station"], "item": item, "place": station["place"]},
        "unitOfMeasurement": {"name": unit["name"], "symbol": quantity.unit, "definition": unit["definition"]},
        "observationType": MEASUREMENT,
    }
    if point is not None:  # the envelope of one point
        made["observedArea"] = {"type": "Polygon", "coordinates": [[point["coordinates"]] * 4]}
    return made | {
        "phenomenonTime": f"{instant_text(first - timedelta(hours=1))}/{instant_text(last)}",
        "resultTime": f"{instant_text(first)}/{instant_text(last)}",
    }


def _plain(symbol: str) -> str:
    """A symbol as people type it into a filter.

    >>> _plain("PM₂.₅")
    'PM2.5'
    """
    return normalize("NFKC", symbol)


def instant_text(time: datetime) -> str:
    """An instant in UTC as ISO 8601.

    >>> from datetime import UTC
    >>> instant_text(datetime(2025, 1, 1, 8, tzinfo=UTC))
    '2025-01-01T08:00:00Z'
    """
    return f"{time:%Y-%m-%dT%H:%M:%S}Z"
