"""The station register: what is measured where, since when, and under which names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, insert, select

from qinglan.core.errors import UsageError
from qinglan.core.tables import STATIONS
from qinglan.store import schema
from qinglan.store.registry import Registry, Row, append_event, moment

_COLUMNS = tuple(c.name for c in STATIONS)
_REQUIRED = tuple(
    c.name for c in STATIONS if not c.nullable and c.name not in ("aliases", "kind", "control_point")
)


def register_stations(
    registry: Registry,
    rows: Iterable[Mapping[str, Any]],
    *,
    who: str,
    replace: bool = False,
    at: datetime | None = None,
) -> dict[str, int]:
    """Enter stations or change them; every change is an event with the row before and after.

    rows : columns of `core.tables.STATIONS`; other columns are ignored. For a new station `kind` is ambient,
        `control_point` False and `aliases` empty when left out.
    replace : the row is the whole truth. Without it an empty cell (or a `control_point` of False, which a list
        that does not know control points also writes) leaves what was known, and names are gathered, not lost.

    Returns how many were `inserted`, `changed` and `unchanged`. Raises UsageError listing every faulty row;
    then nothing is written.
    """
    wanted = list(rows)
    faults = [fault for row in wanted for fault in station_faults(row)]
    if faults:
        raise UsageError("station register: " + "; ".join(faults) + ".", remedy="Correct these rows.")
    now, counts = moment(at), {"inserted": 0, "changed": 0, "unchanged": 0}
    with registry.begin() as con:
        found = con.execute(select(schema.stations)).mappings()
        known: dict[str, Row] = {r["station"]: {k: r[k] for k in _COLUMNS} for r in found}
        for given in wanted:
            before = known.get(given["station"])
            row = _complete(given, None if replace else before)
            if before == row:
                counts["unchanged"] += 1
                continue
            counts["changed" if before else "inserted"] += 1
            con.execute(delete(schema.stations).where(schema.stations.c.station == row["station"]))
            con.execute(insert(schema.stations).values(**row, by=who, at=now))
            detail = {"before": _plain(before), "after": _plain(row)}
            what = "station.changed" if before else "station.entered"
            append_event(con, what, row["station"], detail, who=who, at=now)
            known[row["station"]] = row
    return counts


def _complete(given: Mapping[str, Any], before: Row | None) -> Row:
    """All columns of a row, over what was known before."""
    made = {name: given.get(name) for name in _COLUMNS}
    for name in ("county", "valid_from", "valid_to", "kind"):
        made[name] = made[name] or None
    aliases = {str(a) for a in made["aliases"] or ()}
    if before is not None:
        made = {name: before[name] if made[name] is None else made[name] for name in _COLUMNS}
        made["control_point"] = bool(made["control_point"]) or before["control_point"]
        aliases |= {*before["aliases"], before["name"]}
    made["kind"] = made["kind"] or "ambient"
    made["control_point"] = bool(made["control_point"])
    made["aliases"] = sorted(aliases - {made["name"]})
    return made


def station_faults(row: Mapping[str, Any]) -> list[str]:
    """What is wrong with a row of a register; empty when it may enter."""
    shown = repr(row.get("station"))
    faults = [f"{shown} has no {name}" for name in _REQUIRED if not row.get(name)]
    for column in STATIONS:
        value = row.get(column.name)
        if column.low is None or column.high is None or value is None:
            continue
        if not column.low <= value <= column.high:
            faults.append(f"{shown} has {column.name} {value}, allowed {column.low:g}..{column.high:g}")
    first, last = row.get("valid_from"), row.get("valid_to")
    if first and last and last < first:
        faults.append(f"{shown} ends {last} before it starts {first}")
    return faults


def _plain(row: Row | None) -> Row | None:
    if row is None:
        return None
    return {k: v.isoformat() if isinstance(v, date) else v for k, v in row.items()}


def stations(registry: Registry, *, on: date | None = None, place: str | None = None) -> list[Row]:
    """The register (of a day, of a place), in order of code, with the columns of `core.tables.STATIONS`."""
    query = select(*(schema.stations.c[n] for n in _COLUMNS)).order_by(schema.stations.c.station)
    if place is not None:
        query = query.where(schema.stations.c.place == place)
    with registry.read() as con:
        rows = [dict(row) for row in con.execute(query).mappings()]
    if on is None:
        return rows
    return [
        r
        for r in rows
        if (r["valid_from"] is None or r["valid_from"] <= on) and (r["valid_to"] is None or on <= r["valid_to"])
    ]


@dataclass(slots=True)
class RegisteredStations:
    """A `core.batch.StationLookup` over the register as it stood when it was made.

    place_of : turns what a source calls a city into a division code (None: unknown).
    """

    place_of: Any
    codes: dict[str, str] = field(default_factory=dict)
    names: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def __call__(self, name: str, place: str | None = None) -> str | None:
        """Code of the one station that this code, name or alias (in this city) means; else None."""
        found = self.matches(name, place)
        return found[0] if len(found) == 1 else None

    def matches(self, name: str, place: str | None = None) -> list[str]:
        """Codes of all stations that it can mean."""
        text = name.strip()
        if text in self.codes:
            return [text]
        found = self.names.get(text.casefold(), [])
        if place is not None and found:
            code = self.place_of(place) or place
            found = [f for f in found if f[1] == code]
        return sorted({station for station, _ in found})


def station_lookup(registry: Registry, place_of: Any = lambda name: None) -> RegisteredStations:
    """Read the register once into a lookup by code, name and alias."""
    lookup = RegisteredStations(place_of)
    for row in stations(registry):
        lookup.codes[row["station"]] = row["station"]
        for name in (row["station"], row["name"], *row["aliases"]):
            lookup.names.setdefault(name.strip().casefold(), []).append((row["station"], row["place"]))
    return lookup
