"""Places and stations: the tree of administrative areas and zones, and the registers of monitoring stations.

Place codes are division codes (GB/T 2260): six digits; a zone inside an area is ``<code>-<slug>``.
The tables lie in ``content/places``: ``stations_<set>.csv`` are registers, every other CSV adds places.
Everything is checked when it is read and all faults are raised together.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from pathlib import Path

from qinglan.core.errors import ContentError, NotFound, UnknownName, UsageError

LEVELS: tuple[str, ...] = ("country", "province", "prefecture", "county", "zone")
KINDS: tuple[str, ...] = ("ambient", "background", "traffic", "dust", "component", "voc", "weather")
PLACE_COLUMNS = ("place", "name", "name_en", "level", "parent", "aliases", "valid_to")
STATION_COLUMNS = (
    *("station", "name", "name_en", "place", "county", "lon", "lat", "altitude", "kind", "control_point"),
    *("valid_from", "valid_to", "aliases", "certainty", "source", "note"),
)
CODE = re.compile(r"\d{6}")
ZONE = re.compile(r"\d{6}-[a-z0-9-]+")


class AmbiguousName(UsageError):
    """A name that fits several places; the message lists them."""

    def __init__(self, name: str, candidates: Sequence[Place]) -> None:
        self.name, self.candidates = name, tuple(candidates)
        listed = ", ".join(f"{c.place} {c.name} ({c.level})" for c in candidates)
        super().__init__(
            f"{name!r} fits {len(candidates)} places: {listed}.", remedy="Give the code, level= or within=."
        )


@dataclass(frozen=True, slots=True)
class Place:
    """An administrative area or a zone inside one."""

    place: str
    name: str
    name_en: str
    level: str
    parent: str
    aliases: tuple[str, ...] = ()
    valid_to: date | None = None

    def names(self) -> tuple[str, ...]:
        """Every spelling that finds it: official name, English name, aliases."""
        return (self.name, self.name_en, *self.aliases)


@dataclass(frozen=True, slots=True)
class Station:
    """Where something is measured. lon, lat in degrees WGS-84, altitude in m above sea level or None."""

    station: str
    name: str
    name_en: str
    place: str
    county: str | None
    lon: float
    lat: float
    altitude: float | None
    kind: str
    control_point: bool
    valid_from: date
    valid_to: date | None
    aliases: tuple[str, ...]
    certainty: str
    source: str
    note: str

    @property
    def simulated(self) -> bool:
        """Whether it exists only in the simulated province."""
        return self.certainty == "simulated"

    def valid_on(self, day: date) -> bool:
        """Whether it is part of the network on a day."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


def _fold(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace("\ufeff", "").strip().casefold()


class Places:
    """The tree of places, found by code, official name or alias.

    >>> places = load_places()
    >>> places.find("西宁").place, places.find("guoluozhou").place, places["632801"].name_en
    ('630100', '632600', 'Golmud')
    >>> [p.name for p in places.prefectures("630000")][:2]
    ['西宁市', '海东市']
    """

    def __init__(self, rows: Iterable[Place]) -> None:
        self._by_code: dict[str, Place] = {p.place: p for p in rows}
        self._by_name: dict[str, list[Place]] = {}
        self._by_alias: dict[str, list[Place]] = {}
        self._children: dict[str, list[Place]] = {}
        for place in self._by_code.values():
            self._by_name.setdefault(_fold(place.name), []).append(place)
            for alias in {_fold(a) for a in (place.name_en, *place.aliases)}:
                self._by_alias.setdefault(alias, []).append(place)
            self._children.setdefault(place.parent, []).append(place)

    def __len__(self) -> int:
        return len(self._by_code)

    def __iter__(self) -> Iterator[Place]:
        return iter(self._by_code.values())

    def __contains__(self, code: object) -> bool:
        return code in self._by_code

    def __getitem__(self, code: str) -> Place:
        """The place with a code; UnknownName when there is none."""
        try:
            return self._by_code[code]
        except KeyError:
            raise UnknownName("place", code) from None

    def find(self, text: str, *, level: str | None = None, within: str | None = None) -> Place:
        """A place by code, else official name, else alias (case, width and BOM do not matter).

        `level` keeps only places of a level, `within` only those inside a place. Raises AmbiguousName with
        the candidates when several fit, UnknownName when none does.

        >>> load_places().find("海南", within="630000").name
        '海南藏族自治州'
        """
        if text in self._by_code:
            return self._by_code[text]
        key = _fold(text)
        for index in (self._by_name, self._by_alias):
            fits = [
                p
                for p in index.get(key, ())
                if (level is None or p.level == level) and (within is None or self.is_within(p.place, within))
            ]
            if len(fits) == 1:
                return fits[0]
            if fits:
                raise AmbiguousName(text, fits)
        near = [f"{p.place} {p.name}" for p in self if key and (key in _fold(p.name) or _fold(p.name) in key)][:6]
        raise UnknownName("place", text, near)

    def children(self, code: str) -> tuple[Place, ...]:
        """Places directly below one, in code order."""
        self[code]
        return tuple(sorted(self._children.get(code, ()), key=lambda p: p.place))

    def prefectures(self, province: str, on: date | None = None) -> tuple[Place, ...]:
        """Prefecture-level cities of a province (on a day: those not yet abolished); a municipality is its own."""
        found = tuple(
            p
            for p in self.children(province)
            if p.level == "prefecture" and (p.valid_to is None or (on is not None and on <= p.valid_to))
        )
        return found or (self[province],)

    def ancestors(self, code: str) -> tuple[Place, ...]:
        """From the parent up to the country."""
        chain: list[Place] = []
        parent = self[code].parent
        while parent:
            chain.append(self[parent])
            parent = chain[-1].parent
        return tuple(chain)

    def is_within(self, code: str, outer: str) -> bool:
        """Whether a place is another or lies inside it."""
        return code == outer or any(a.place == outer for a in self.ancestors(code))

    def prefecture_of(self, code: str) -> Place | None:
        """The prefecture-level city a place belongs to (None for provinces and counties run by a province)."""
        for place in (self[code], *self.ancestors(code)):
            if place.level == "prefecture":
                return place
        return None


def _day(text: str) -> date | None:
    return date.fromisoformat(text) if text else None


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(";") if part.strip())


def _rows(text: str, columns: Sequence[str], name: str) -> tuple[list[dict[str, str]], list[str]]:
    reader = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    given = list(reader.fieldnames or ())
    problems = [f"{name}: column {c!r} is missing." for c in columns if c not in given]
    problems += [f"{name}: unknown column {c!r}. Known: {', '.join(columns)}." for c in given if c not in columns]
    if problems:
        return [], problems
    rows: list[dict[str, str]] = []
    for number, row in enumerate(reader, start=2):
        if None in row or None in row.values():
            problems.append(f"{name} line {number}: {row.get(columns[0])!r} has not {len(columns)} fields.")
        else:
            rows.append({**row, "line": str(number)})
    return rows, problems


def read_places(files: Mapping[str, str]) -> Places:
    """Build the tree from CSV texts by file name. Raises ContentError listing every fault of every file."""
    problems: list[str] = []
    found: dict[str, Place] = {}
    where: dict[str, str] = {}
    for name, text in files.items():
        rows, faults = _rows(text, PLACE_COLUMNS, name)
        problems += faults
        for row in rows:
            at, code = f"{name} line {row['line']}", row["place"]
            pattern = ZONE if row["level"] == "zone" else CODE
            if not pattern.fullmatch(code):
                problems.append(f"{at}: bad code {code!r}. Six digits; a zone is <code>-<slug>.")
            if row["level"] not in LEVELS:
                problems.append(f"{at}: {code} has unknown level {row['level']!r}. Known: {', '.join(LEVELS)}.")
            if not row["name"] or not row["name_en"]:
                problems.append(f"{at}: {code} needs name and name_en.")
            if code in found:
                problems.append(f"{at}: duplicate place {code}, first in {where[code]}.")
                continue
            try:
                ends = _day(row["valid_to"])
            except ValueError:
                ends = None
                problems.append(f"{at}: {code} has a bad valid_to {row['valid_to']!r}. Write YYYY-MM-DD.")
            where[code] = at
            found[code] = Place(
                code, row["name"], row["name_en"], row["level"], row["parent"], _split(row["aliases"]), ends
            )
    problems += _tree_problems(found, where)
    if problems:
        raise ContentError("places", problems)
    return Places(found.values())


def _tree_problems(found: Mapping[str, Place], where: Mapping[str, str]) -> list[str]:
    problems: list[str] = []
    for code, place in found.items():
        if place.level == "country":
            continue
        parent = found.get(place.parent)
        if parent is None:
            problems.append(f"{where[code]}: {code} {place.name} has unknown parent {place.parent!r}.")
        elif {place.level, parent.level} <= set(LEVELS) and LEVELS.index(parent.level) >= LEVELS.index(
            place.level
        ):
            problems.append(f"{where[code]}: {code} ({place.level}) lies below {parent.place} ({parent.level}).")
    seen: dict[tuple[str, str, str], str] = {}
    for code, place in found.items():
        for alias in sorted({_fold(a) for a in place.names()}):
            key = (place.parent, place.level, alias)
            if key in seen:
                problems.append(
                    f"{where[code]}: {alias!r} names both {seen[key]} and {code} under {place.parent}."
                )
            seen[key] = code
    return problems


@cache
def load_places() -> Places:
    """The places that come with the package: the country to prefecture level, and the counties of Qinghai."""
    folder = resources.files("qinglan") / "content" / "places"
    files = {
        f.name: f.read_text(encoding="utf-8")
        for f in sorted(folder.iterdir(), key=lambda f: f.name)
        if f.name.endswith(".csv") and not f.name.startswith("stations_")
    }
    return read_places(files)


def station_sets() -> tuple[str, ...]:
    """Names of the registers that come with the package."""
    folder = resources.files("qinglan") / "content" / "places"
    names = (f.name for f in folder.iterdir())
    return tuple(sorted(n[9:-4] for n in names if n.startswith("stations_") and n.endswith(".csv")))


@cache
def load_stations(set: str = "qinghai") -> tuple[Station, ...]:  # noqa: A002 - the word of the field
    """A register that comes with the package: ``qinghai`` (real, national) or ``simulated``.

    >>> [s.station for s in load_stations() if s.control_point]
    ['1483A']
    """
    if set not in station_sets():
        raise UnknownName("station set", set, station_sets())
    file = resources.files("qinglan") / "content" / "places" / f"stations_{set}.csv"
    return read_stations(file.read_text(encoding="utf-8"), load_places(), name=file.name)


def read_stations_file(path: str | Path, places: Places) -> tuple[Station, ...]:
    """A register of an office, from a CSV file with the columns of STATION_COLUMNS."""
    file = Path(path)
    if not file.is_file():
        raise NotFound(f"no station register at {file}.")
    return read_stations(file.read_text(encoding="utf-8-sig"), places, name=file.name)


def read_stations(text: str, places: Places, *, name: str = "stations") -> tuple[Station, ...]:
    """Read a register from CSV text. Raises ContentError listing every fault."""
    rows, problems = _rows(text, STATION_COLUMNS, name)
    stations: list[Station] = []
    seen: dict[str, str] = {}
    for row in rows:
        at = f"{name} line {row['line']}: {row['station']}"
        if row["station"] in seen:
            problems.append(f"{at} is a duplicate of line {seen[row['station']]}.")
        seen[row["station"]] = row["line"]
        station, faults = _station(row, places)
        problems += [f"{at} {fault}" for fault in faults]
        if station is not None:
            stations.append(station)
    if problems:
        raise ContentError(name, problems)
    return tuple(stations)


def _number(row: Mapping[str, str], key: str, low: float, high: float, faults: list[str]) -> float | None:
    try:
        value = float(row[key])
    except ValueError:
        faults.append(f"has {key} {row[key]!r}. Write a number.")
        return None
    if not low <= value <= high:
        faults.append(f"has {key} {value:g}, outside {low:g}..{high:g}.")
        return None
    return value


def _place_faults(row: Mapping[str, str], places: Places) -> list[str]:
    place, county = row["place"], row["county"]
    faults = [
        f"has unknown {k} {c!r}." for k, c in (("place", place), ("county", county)) if c and c not in places
    ]
    if not place:
        faults.append("has no place.")
    if not faults and county and not places.is_within(county, place):
        faults.append(f"lies in county {county}, which is not inside its place {place}.")
    return faults


def _station(row: Mapping[str, str], places: Places) -> tuple[Station | None, list[str]]:
    faults = [f"has no {key}." for key in ("name", "certainty", "source") if not row[key]]
    if not row["station"]:
        faults.append("(no code) has no station code.")
    faults += _place_faults(row, places)
    lon = _number(row, "lon", -180, 180, faults)
    lat = _number(row, "lat", -90, 90, faults)
    altitude = _number(row, "altitude", -500, 9000, faults) if row["altitude"] else None
    if row["kind"] not in KINDS:
        faults.append(f"has unknown kind {row['kind']!r}. Known: {', '.join(KINDS)}.")
    if row["control_point"] not in ("true", "false"):
        faults.append(f"has control_point {row['control_point']!r}. Write true or false.")
    days: dict[str, date | None] = {}
    for key in ("valid_from", "valid_to"):
        try:
            days[key] = _day(row[key])
        except ValueError:
            faults.append(f"has {key} {row[key]!r}. Write YYYY-MM-DD.")
    start, end = days.get("valid_from"), days.get("valid_to")
    if not row["valid_from"]:
        faults.append("has no valid_from.")
    if start and end and end < start:
        faults.append(f"ends ({end}) before it starts ({start}).")
    if faults or lon is None or lat is None or start is None:
        return None, faults
    return (
        Station(
            station=row["station"],
            name=row["name"],
            name_en=row["name_en"],
            place=row["place"],
            county=row["county"] or None,
            lon=lon,
            lat=lat,
            altitude=altitude,
            kind=row["kind"],
            control_point=row["control_point"] == "true",
            valid_from=start,
            valid_to=end,
            aliases=_split(row["aliases"]),
            certainty=row["certainty"],
            source=row["source"],
            note=row["note"],
        ),
        faults,
    )
