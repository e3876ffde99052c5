"""Stations as the simulation needs them, taken from any register that follows the contract."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from qinglan.core.errors import UsageError
from qinglan.plan.simulation import Parameters, Profile

#: Where a register leaves the altitude open [m]: the median of Qinghai's prefecture seats.
DEFAULT_ALTITUDE = 2900.0


@dataclass(frozen=True, slots=True)
class Site:
    """One station: code, place codes, position [°], altitude [m], service days (both included)."""

    station: str
    place: str
    county: str | None
    lon: float
    lat: float
    altitude: float
    control_point: bool
    valid_from: date | None
    valid_to: date | None
    profile: Profile


def sites(register: Any, parameters: Parameters) -> list[Site]:
    """Read a station register: mappings, objects with the contract's names, or a Polars, pandas or Arrow table.

    Stations that are not `ambient` or `county` air stations are left out. Raises UsageError naming the row and
    the column that is missing, UnknownName for a place the parameters do not describe.
    """
    found = []
    for number, row in enumerate(_rows(register), start=1):
        get: Callable[[str], Any] = row.get if isinstance(row, Mapping) else _getter(row)
        missing = [c for c in ("station", "place", "lon", "lat") if get(c) in (None, "")]
        if missing:
            raise UsageError(
                f"station register, row {number} ({get('station')!r}): no {', '.join(missing)}.",
                remedy="The simulation needs station, place, lon and lat of every station.",
            )
        place, county = str(get("place")), _text(get("county"))
        altitude = get("altitude")
        known = altitude not in (None, "") and altitude == altitude  # a NaN is not equal to itself
        found.append(
            Site(
                station=str(get("station")),
                place=place,
                county=county,
                lon=float(get("lon")),
                lat=float(get("lat")),
                altitude=float(altitude) if known else DEFAULT_ALTITUDE,
                control_point=_truth(get("control_point")),
                valid_from=_day(get("valid_from")),
                valid_to=_day(get("valid_to")),
                profile=parameters.profile_of(place, county),
            )
        )
    codes = [s.station for s in found]
    twice = sorted({c for c in codes if codes.count(c) > 1})
    if twice:
        raise UsageError(f"station register: {', '.join(twice)} stands in it twice.", remedy="Keep one row each.")
    return sorted(found, key=lambda s: s.station)


def _rows(register: Any) -> Iterable[Any]:
    for method in ("iter_rows", "to_pylist", "to_dict"):
        if hasattr(register, method):
            if method == "iter_rows":
                return list(register.iter_rows(named=True))
            return list(register.to_pylist() if method == "to_pylist" else register.to_dict("records"))
    return register.values() if isinstance(register, Mapping) else register


def _getter(row: Any) -> Any:
    return lambda name: getattr(row, name, None)


def _text(value: Any) -> str | None:
    return None if value is None or value == "" or value != value else str(value)


def _truth(value: Any) -> bool:
    return value is True or str(value).strip().lower() in {"true", "1", "yes"}


def _day(value: Any) -> date | None:
    text = _text(value)
    if text is None or text == "NaT":
        return None
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(text[:10])
