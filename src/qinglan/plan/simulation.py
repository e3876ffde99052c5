"""Reads the parameters of the simulated province (``content/sim``) and the figures it is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib import resources
from typing import Any

import yaml

from qinglan.core.errors import ContentError, UnknownName
from qinglan.core.names import HOURLY_ITEMS
from qinglan.core.provenance import fingerprint

FAULT_KINDS = ("stuck", "spike", "zero", "drift", "pm_swap", "stale", "duplicate", "gap", "outage")
PINNED_KINDS = ("shifted_axis", "swapped_columns", "gas_reference_state", "particle_reference_state")

Twelve = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """Levels of a place: annual means without dust [µg/m³, CO mg/m³; o3: of the daily 8-h maximum]."""

    name: str
    zone: str
    family: str
    places: tuple[str, ...]
    lon: float
    mean: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Family:
    """Shapes that places share: season (twelve, mean near 1), log-spread (winter, summer), night ozone."""

    name: str
    season: Mapping[str, Twelve]
    spread: Mapping[str, tuple[float, float]]
    night_ozone: float
    winter_peaks: float


@dataclass(frozen=True, slots=True)
class Route:
    """A way dust takes: per profile the delay [h] and the share of the peak."""

    name: str
    weight: float
    reach: Mapping[str, tuple[float, float]]


@dataclass(frozen=True, slots=True)
class PinnedFault:
    """A fault that is written down: both days included."""

    station: str
    kind: str
    items: tuple[str, ...]
    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Parameters:
    """Everything the simulation is made of. Plain mappings hold what only one function reads."""

    anchor: date
    seed: int
    trend: Mapping[int, Mapping[str, float]]
    profiles: Mapping[str, Profile]
    families: Mapping[str, Family]
    routes: Mapping[str, Route]
    day: Mapping[str, tuple[tuple[float, float, float], ...]]
    ozone_peak_hour: float
    week: Mapping[str, Twelve]
    heating: Mapping[str, Any]
    festival: Mapping[str, Any]
    noise: Mapping[str, Any]
    weather: Mapping[str, Any]
    dust: Mapping[str, Any]
    faults: Mapping[str, Any]
    pinned: tuple[PinnedFault, ...]
    content_hash: str
    by_place: Mapping[str, str] = field(default_factory=dict)

    def profile_of(self, place: str, county: str | None) -> Profile:
        """The profile of a station: of its county when it has one of its own, else of its prefecture.

        Raises UnknownName when neither is described.
        """
        for code in (county, place, f"{place[:4]}00"):
            if code is not None and code in self.by_place:
                return self.profiles[self.by_place[code]]
        raise UnknownName("place of the simulated province", county or place, tuple(self.by_place))


def load_parameters(name: str = "province") -> Parameters:
    """Read ``content/sim/<name>.yaml``; ContentError lists every fault at once.

    >>> load_parameters().profile_of("632800", "632801").name
    'golmud'
    """
    return parse_parameters(_read(name), where=f"content/sim/{name}.yaml")


def load_targets() -> Mapping[str, Any]:
    """Published (or assumed) figures the simulated province is held against: ``content/sim/targets.yaml``.

    Every figure has `value`, `tolerance`, `source` and `certainty`.
    """
    raw = _read("targets")
    problems = []
    for number, row in enumerate(raw.get("figures", []), start=1):
        missing = {"id", "year", "value", "tolerance", "source", "certainty"} - set(row)
        problems += [f"figure {number} ({row.get('id', '?')}): lacks {m}" for m in sorted(missing)]
    if problems:
        raise ContentError("content/sim/targets.yaml", problems)
    return raw


def _read(name: str) -> dict[str, Any]:
    text = resources.files("qinglan").joinpath(f"content/sim/{name}.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


_KEYS = {
    "schema", "anchor", "seed", "trend", "profiles", "families", "day", "ozone_peak_hour", "week", "heating",
    "festival", "noise", "weather", "dust", "faults",
}  # fmt: skip


def parse_parameters(raw: Mapping[str, Any], where: str = "parameters") -> Parameters:
    """Check a parameter document and turn it into :class:`Parameters`.

    Raises ContentError naming each missing or unknown key, each list of the wrong length and each dangling name.
    """
    problems = [f"missing key {k!r}" for k in sorted(_KEYS - set(raw))]
    problems += [f"unknown key {k!r}" for k in sorted(set(raw) - _KEYS)]
    if problems:
        raise ContentError(where, problems)
    families = {n: _family(n, f, problems) for n, f in raw["families"].items()}
    profiles = {n: _profile(n, p, problems) for n, p in raw["profiles"].items()}
    routes = {
        n: Route(n, float(r["weight"]), {k: (float(v[0]), float(v[1])) for k, v in r["reach"].items()})
        for n, r in raw["dust"]["routes"].items()
    }
    pinned = tuple(
        PinnedFault(str(p["station"]), p["kind"], tuple(p["items"]), p["start"], p["end"])
        for p in raw["faults"]["pinned"]
    )
    _cross_check(raw, profiles, families, routes, problems)
    problems += [
        f"pinned fault {p.kind!r} of {p.station} is unknown" for p in pinned if p.kind not in PINNED_KINDS
    ]
    if problems:
        raise ContentError(where, problems)
    return Parameters(
        anchor=raw["anchor"],
        seed=int(raw["seed"]),
        trend={int(y): t for y, t in raw["trend"].items()},
        profiles=profiles,
        families=families,
        routes=routes,
        day={i: tuple((float(h), float(w), float(a)) for h, w, a in peaks) for i, peaks in raw["day"].items()},
        ozone_peak_hour=float(raw["ozone_peak_hour"]),
        week={i: tuple(v) for i, v in raw["week"].items()},
        heating=raw["heating"],
        festival=raw["festival"],
        noise=raw["noise"],
        weather=raw["weather"],
        dust=raw["dust"],
        faults=raw["faults"],
        pinned=pinned,
        content_hash=fingerprint(raw),
        by_place={code: p.name for p in profiles.values() for code in p.places},
    )


def _six(values: Mapping[str, Any], label: str, problems: list[str]) -> None:
    problems += [f"{label}: lacks {i}" for i in HOURLY_ITEMS if i not in values]
    problems += [f"{label}: unknown item {i!r}" for i in values if i not in HOURLY_ITEMS]


def _profile(name: str, raw: Mapping[str, Any], problems: list[str]) -> Profile:
    _six(raw["mean"], f"profile {name}, mean", problems)
    places = tuple(str(p) for p in raw["places"])
    return Profile(name, raw["zone"], raw["family"], places, float(raw["lon"]), raw["mean"])


def _family(name: str, raw: Mapping[str, Any], problems: list[str]) -> Family:
    _six(raw["season"], f"family {name}, season", problems)
    _six(raw["spread"], f"family {name}, spread", problems)
    problems += [
        f"family {name}: season of {i} has {len(v)} months" for i, v in raw["season"].items() if len(v) != 12
    ]
    season = {i: tuple(float(x) for x in v) for i, v in raw["season"].items()}
    spread = {i: (float(v[0]), float(v[1])) for i, v in raw["spread"].items()}
    return Family(name, season, spread, float(raw["night_ozone"]), float(raw["winter_peaks"]))


def _cross_check(
    raw: Mapping[str, Any],
    profiles: Mapping[str, Profile],
    families: Mapping[str, Family],
    routes: Mapping[str, Route],
    problems: list[str],
) -> None:
    known: list[tuple[str, Callable[[Profile], str], Mapping[str, Any]]] = [
        ("family", lambda p: p.family, families),
        ("zone", lambda p: p.zone, raw["weather"]["zones"]),
    ]
    for what, of, table in known:
        problems += [
            f"profile {p.name}: unknown {what} {of(p)!r}" for p in profiles.values() if of(p) not in table
        ]
    for route in routes.values():
        problems += [f"dust route {route.name}: unknown profile {k!r}" for k in route.reach if k not in profiles]
    codes = [code for p in profiles.values() for code in p.places]
    problems += [f"place {c} has two profiles" for c in sorted({c for c in codes if codes.count(c) > 1})]
    random_faults = raw["faults"]["random"]
    problems += [f"faults: unknown kind {k!r}" for k in random_faults if k not in FAULT_KINDS]
    problems += [f"faults: lacks {k}" for k in FAULT_KINDS if k not in random_faults]
    for key in ("temperature", "half_range", "humidity", "wind", "rain", "wet_hours"):
        if len(raw["weather"][key]) != 12:
            problems.append(f"weather: {key} has {len(raw['weather'][key])} months")
    for item, week in raw["week"].items():
        if len(week) != 7:
            problems.append(f"week: {item} has {len(week)} days")
