"""Addresses of every page of the console, and of the API's common reads, with parameters drawn at random.

The pages are found by walking the application's routes: one whose parameters nobody can fill is named, so that a
new page cannot stay out of the measurement unnoticed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any
from urllib.parse import urlencode

from qinglan.core.names import DAILY_ITEMS, HOURLY_ITEMS
from qinglan.flow import views
from qinglan.flow.views import today
from qinglan.flow.workspace import Workspace
from qinglan.store import publications

#: What is no page: files to take away, dialogs, single imports, other people's pages, what machines ask, forms of
#: those who are not signed in, and addresses that only lead on.
LEFT_OUT = re.compile(
    r"\.\{(kind|form)\}$|\.(csv|xlsx|ico)$|^/(healthz|readyz|metrics|first-run|sign-in)|^/$|^/stations$|^/account/"
    r"|/attachment$|^/review/overrule$|/import/\{number\}$"
    r"|\.png$|/photo$|/evidence/\{number\}$|^/public|^/complaints/\{number\}|^/plan/\{number:int\}$"
)
DUST = ("in", "out")
#: Free spans that people ask about, as days before the last one: the first who asks for one waits for seconds (it
#: is computed), and it is kept.
SPANS = ((260, 77), (443, 260), (120, 40))


@dataclass(frozen=True)
class Province:
    """What can be asked of a workspace."""

    since: Mapping[str, int]
    places: tuple[str, ...]
    first: date
    last: date
    periods: tuple[str, ...]
    targets: tuple[str, ...]
    tasks: tuple[str, ...]
    articles: tuple[int, ...]
    loads: tuple[str, ...]
    hours: tuple[str, ...]
    rejects: tuple[int, ...]
    publications: tuple[str, ...]
    users: tuple[str, ...]
    runs: tuple[tuple[str, str, str, str], ...]
    #: of each ledger that has rows, numbers of some of them; and lines set aside as (ledger, number)
    ledgers: Mapping[str, tuple[int, ...]]
    aside: tuple[tuple[str, int], ...]
    #: enterprises on the emergency list
    plants: tuple[str, ...]
    #: enterprises that any ledger names
    sources: tuple[str, ...]
    #: frozen inventories
    versions: tuple[str, ...]

    @property
    def stations(self) -> tuple[str, ...]:
        """Stations that have hours; `since` has the year in which those begin."""
        return tuple(self.since)

    @property
    def years(self) -> range:
        """Years that have days."""
        return range(self.first.year, self.last.year + 1)


def province(workspace: Workspace) -> Province:
    """Read a workspace; pages that ask for a person or a publication need one made before."""
    from qinglan.flow.views import review as queue
    from qinglan.web.routes.today import hour_key

    result = views.current(workspace)
    days = result.grouped("station_days", "count(*) as n", "day")
    began = result.grouped("station_days", "min(day) as first", "station")
    listed = queue.queue(workspace, queue.Asked(), limit=400)["rows"]
    runs = tuple((r["station"], r["item"], r["rule"], r["first"].isoformat()) for r in listed)
    return Province(
        {row["station"]: row["first"].year for row in began}, tuple(views.places(result)), days[0]["day"],
        days[-1]["day"], tuple(p.label for p in views.periods(result)),
        tuple(t["id"] for t in result.verdict["targets"]),
        tuple(t["id"] for a in result.verdict["articles"] for t in a["tasks"]),
        tuple(a["number"] for a in result.verdict["articles"]), tuple(row["id"] for row in workspace.loads()),
        tuple(hour_key(time) for time in today.hours(result)), _rejects(workspace),
        tuple(r["id"] for r in publications.listed(workspace.registry)), _users(workspace), runs,
        *_ledgers(workspace), _plants(workspace), _sources(workspace), _versions(workspace),
    )  # fmt: skip


def _rejects(workspace: Workspace) -> tuple[int, ...]:
    from qinglan.flow.views.data import Wanted, rejects

    return tuple(row["id"] for row in rejects(workspace, Wanted())["rows"])


def _users(workspace: Workspace) -> tuple[str, ...]:
    from qinglan.flow import accounts

    return tuple(row["id"] for row in accounts.users(workspace.registry))


def _ledgers(workspace: Workspace) -> tuple[dict[str, tuple[int, ...]], tuple[tuple[str, int], ...]]:
    from qinglan.flow import ledgers
    from qinglan.store import ledgers as store

    names = store.newest(workspace.registry)
    rows = {name: tuple(ledgers.frame(workspace, name).rows["_row"].to_list()) for name in names}
    aside = tuple((name, row["id"]) for name in names for row in store.aside(workspace.registry, name))
    return {name: numbers for name, numbers in rows.items() if numbers}, aside


def _plants(workspace: Workspace) -> tuple[str, ...]:
    from qinglan.flow import ledgers

    rows = ledgers.frame(workspace, "emergency-list").rows
    if rows.is_empty():
        return ()
    return tuple(rows.filter(rows["year"] == rows["year"].max())["uscc"].unique().sort())


def _sources(workspace: Workspace) -> tuple[str, ...]:
    from qinglan.flow import ledgers

    return tuple(ledgers.frame(workspace, "air-enterprises").rows["uscc"].unique().sort())


def _versions(workspace: Workspace) -> tuple[str, ...]:
    from qinglan.flow import inventory

    return tuple(version.id for version in inventory.versions(workspace))


@dataclass
class Draw:
    """Addresses drawn at random, evenly over everything that a province has."""

    known: Province
    rng: random.Random

    def any(self, *choices: Any) -> Any:
        """One of the choices, or of the only sequence given."""
        return self.rng.choice(choices[0] if len(choices) == 1 else choices)

    @property
    def day(self) -> date:
        """A day that has data."""
        span = (self.known.last - self.known.first).days
        return self.known.first + timedelta(days=self.rng.randrange(span + 1))

    @property
    def month(self) -> str:
        """A month that has data."""
        return f"{self.day:%Y-%m}"

    def station(self, part: str = "") -> str:
        """A station's page, or a part of it, in any of its windows."""
        name = self.any(self.known.stations)
        years = range(self.known.since[name], self.known.last.year + 1)
        asked = {"span": self.any("7d", "30d", "all", *map(str, years)), "item": self.any(HOURLY_ITEMS)}
        return f"/stations/{name}{part}?{urlencode(asked)}"

    def place_query(self) -> str:
        """What a place's page may be asked for."""
        return urlencode(
            {"year": self.any(self.known.years), "item": self.any(DAILY_ITEMS), "dust": self.any(DUST)}
        )

    def evaluated(self) -> str:
        """A period that the run has or, as often, one of a few free spans."""
        if self.rng.random() < 0.5:
            return urlencode({"period": self.any(self.known.periods), "dust": self.any(DUST)})
        ago = self.any(SPANS)
        first, last = (max(self.known.first, self.known.last - timedelta(days=n)) for n in ago)
        return urlencode({"first": first, "last": last, "dust": self.any(DUST)})

    def plot(self) -> str:
        """Hours around a day."""
        day = self.day
        return urlencode({"station": self.any(self.known.stations), "item": self.any(HOURLY_ITEMS),
                          "first": f"{day}T03:00:00+00:00", "last": f"{day}T09:00:00+00:00"})  # fmt: skip

    def ledger(self, part: str = "") -> str:
        """A ledger's page, or a part of it."""
        return f"/ledgers/{self.any(tuple(self.known.ledgers))}{part}"

    def row(self) -> str:
        """A row of any ledger."""
        name = self.any(tuple(self.known.ledgers))
        return f"/ledgers/{name}/rows/{self.any(self.known.ledgers[name])}"

    def emitting(self) -> str:
        """The working of a row of a ledger that the inventory is made of."""
        name = self.any(tuple(n for n in ("boilers", "furnaces", "livestock") if n in self.known.ledgers))
        return f"/inventory/rows/{name}/{self.any(self.known.ledgers[name])}"

    def inventory(self, *asked: str) -> str:
        """What pages of the inventory may be asked for."""
        version = self.any(self.known.versions)
        found = {
            "year": version[:4],
            "version": version,
            "species": self.any("nox", "so2", "pm2_5", "nmvoc", "nh3"),
        }
        return urlencode({name: found[name] for name in asked})

    def compared(self) -> str:
        """Two versions beside one another, by one species."""
        pair = {"before": self.any(self.known.versions), "after": self.any(self.known.versions)}
        return urlencode(pair | {"species": self.any("nox", "so2", "pm2_5")})

    def queue(self) -> str:
        """A view of the queue."""
        asked = {"station": self.any("", *self.known.stations), "item": self.any("", *HOURLY_ITEMS)}
        return urlencode({k: v for k, v in asked.items() if v})


Maker = Callable[[Draw], str]

#: How each page is asked; what a page's part may be called is drawn with it.
PAGES: dict[str, Maker] = {
    "/today": lambda d: f"/today?hour={d.any(d.known.hours)}" if d.rng.random() < 0.7 else "/today",
    "/today/map.json": lambda d: f"/today/map.json?hour={d.any(d.known.hours)}",
    "/stations/{station}": lambda d: d.station(),
    "/stations/{station}/{name}": lambda d: d.station(
        d.any("/series.json", "/hour.json", "/week.json", "/month.json", "/series", "/statistics", "/flags")
    ),
    "/places": lambda d: "/places",
    "/places/{code}": lambda d: f"/places/{d.any(d.known.places)}?{d.place_query()}",
    "/places/{code}/{name}": lambda d: (
        f"/places/{d.any(d.known.places)}/{d.any('series.json', 'weekday.json', 'month.json', 'series')}"
        f"?{d.place_query()}"
    ),
    "/evaluation": lambda d: f"/evaluation?{d.evaluated()}&sort={d.any('rank', 'composite_index', 'pm2_5')}",
    "/evaluation/charts/levels.json": lambda d: f"/evaluation/charts/levels.json?{d.evaluated()}",
    "/evaluation/charts/limits.json": lambda d: (
        f"/evaluation/charts/limits.json?{d.evaluated()}&place={d.any(d.known.places)}"
    ),
    "/evaluation/compare": lambda d: f"/evaluation/compare?{d.evaluated()}&metric={d.any(DAILY_ITEMS)}",
    "/evaluation/charts/compare.json": lambda d: (
        f"/evaluation/charts/compare.json?{d.evaluated()}&metric={d.any(DAILY_ITEMS)}"
    ),
    "/evaluation/ranking": lambda d: f"/evaluation/ranking?kind={d.any('month', 'quarter', 'year')}",
    "/evaluation/charts/ranking.json": lambda d: (
        f"/evaluation/charts/ranking.json?kind={d.any('month', 'quarter', 'year')}"
    ),
    "/plan": lambda d: "/plan",
    "/plan/articles": lambda d: "/plan/articles",
    "/plan/articles/{number}": lambda d: f"/plan/articles/{d.any(d.known.articles)}",
    "/plan/tasks": lambda d: "/plan/tasks",
    "/plan/tasks/{name}": lambda d: f"/plan/tasks/{d.any(d.known.tasks)}",
    "/now": lambda d: f"/now?place={d.any(d.known.places)}",
    "/data": lambda d: "/data",
    "/data/loads/{load_id}": lambda d: f"/data/loads/{d.any(d.known.loads)}",
    "/data/rejects": lambda d: f"/data/rejects?page={d.any(range(1, 15))}",
    "/data/rejects/{number}": lambda d: f"/data/rejects/{d.any(d.known.rejects)}",
    "/data/coverage": lambda d: (
        f"/data/coverage?subject={d.any('places', 'stations')}&period={d.any(d.month, *map(str, d.known.years))}"
    ),
    "/data/stations": lambda d: "/data/stations",
    "/data/stations/{station}": lambda d: f"/data/stations/{d.any(d.known.stations)}",
    "/data/run": lambda d: "/data/run",
    "/rules": lambda d: "/rules",
    "/making/target/{name}": lambda d: f"/making/target/{d.any(d.known.targets)}",
    "/making/place/{code}/{period}": lambda d: (
        f"/making/place/{d.any(d.known.places)}/{d.any(d.known.periods)}?dust={d.any(DUST)}"
    ),
    "/making/day/{code}/{day}": lambda d: f"/making/day/{d.any(d.known.places)}/{d.day}",
    "/making/hours/{station}/{day}": lambda d: f"/making/hours/{d.any(d.known.stations)}/{d.day}",
    "/review": lambda d: f"/review?{d.queue()}",
    "/review/plot.json": lambda d: f"/review/plot.json?{d.plot()}",
    "/review/months": lambda d: f"/review/months?month={d.month}",
    "/review/instruments": lambda d: f"/review/instruments?station={d.any(d.known.stations)}",
    "/review/{station}/{day}": lambda d: _day_of_review(d),
    "/disclosure": lambda d: "/disclosure" if d.rng.random() < 0.5 else _watched(d),
    "/publications": lambda d: "/publications",
    "/publications/{publication}": lambda d: f"/publications/{d.any(d.known.publications)}",
    "/ledgers": lambda d: "/ledgers",
    "/ledgers/due": lambda d: d.any("/ledgers/due", f"/ledgers/due?place={d.any(d.known.places)}"),
    "/ledgers/findings": lambda d: d.any("/ledgers/findings", f"/ledgers/findings?place={d.any(d.known.places)}"),
    "/ledgers/indicators": lambda d: "/ledgers/indicators",
    "/ledgers/{ledger}": lambda d: d.ledger(),
    "/ledgers/{ledger}/map.geojson": lambda d: d.ledger("/map.geojson"),
    "/ledgers/{ledger}/changes": lambda d: d.ledger("/changes"),
    "/ledgers/{ledger}/import": lambda d: d.ledger("/import"),
    "/ledgers/{ledger}/aside": lambda d: d.ledger("/aside"),
    "/ledgers/{ledger}/aside/{number}": lambda d: "/ledgers/{}/aside/{}".format(*d.any(d.known.aside)),
    "/ledgers/{ledger}/same": lambda d: d.ledger("/same"),
    "/ledgers/{ledger}/rows/new": lambda d: d.ledger("/rows/new"),
    "/ledgers/{ledger}/rows/{number}": lambda d: d.row(),
    "/sources": lambda d: d.any("/sources", f"/sources?place={d.any(d.known.places)}", "/sources?only=conflict"),
    "/sources/conflicts": lambda d: d.any("/sources/conflicts", "/sources/conflicts?fact=so2_kg"),
    "/sources/{uscc}": lambda d: f"/sources/{d.any(d.known.sources)}",
    "/inventory": lambda d: f"/inventory?{d.inventory('year', 'species')}",
    "/inventory/rows": lambda d: f"/inventory/rows?{d.inventory('year', 'species')}&page={d.any(range(1, 20))}",
    "/inventory/rows/{ledger}/{number}": lambda d: d.emitting(),
    "/inventory/gaps": lambda d: f"/inventory/gaps?{d.inventory('year')}",
    "/inventory/flow.json": lambda d: f"/inventory/flow.json?{d.inventory('year', 'species')}",
    "/inventory/map": lambda d: f"/inventory/map?{d.inventory('version', 'species')}",
    "/inventory/map.geojson": lambda d: f"/inventory/map.geojson?{d.inventory('version', 'species')}",
    "/inventory/map/cell": lambda d: (
        f"/inventory/map/cell?{d.inventory('version')}&lon={d.any(range(96, 103))}&lat={d.any(34, 35, 36, 37)}"
    ),
    "/inventory/map/{iy}/{ix}": lambda d: (
        f"/inventory/map/64/123?{d.inventory('species')}&hour={d.any(range(1, 25))}"
    ),
    "/inventory/map/{iy}/{ix}/hours.json": lambda d: f"/inventory/map/64/123/hours.json?{d.inventory('species')}",
    "/inventory/checks": lambda d: f"/inventory/checks?kind={d.any('', 'permit', 'outlier', 'silent')}",
    "/inventory/versions": lambda d: "/inventory/versions",
    "/inventory/versions/{version}": lambda d: f"/inventory/versions/{d.any(d.known.versions)}",
    "/inventory/versions/compare": lambda d: f"/inventory/versions/compare?{d.compared()}",
    "/inventory/versions/effects.json": lambda d: f"/inventory/versions/effects.json?{d.compared()}",
    "/inventory/uncertainty": lambda d: f"/inventory/uncertainty?{d.inventory('version', 'species')}",
    "/inventory/uncertainty/totals.json": lambda d: f"/inventory/uncertainty/totals.json?{d.inventory('version')}",
    "/warnings": lambda d: "/warnings",
    "/emergency-list": lambda d: f"/emergency-list?check={d.any('', 'coverage', 'ramp', 'tonnes')}",
    "/emergency-list/lines": lambda d: f"/emergency-list/lines?grade={d.any('', 'A', 'B', 'C', 'D')}",
    "/emergency-list/complete": lambda d: f"/emergency-list/complete?page={d.any(range(1, 10))}",
    "/emergency-list/{uscc}": lambda d: f"/emergency-list/{d.any(d.known.plants)}",
    "/grades": lambda d: f"/grades?only={d.any('', 'ending', 'expired', 'above', 'differs')}",
    "/admin": lambda d: "/admin",
    "/admin/users": lambda d: "/admin/users",
    "/admin/users/{user_id}": lambda d: f"/admin/users/{d.any(d.known.users)}",
    "/admin/jobs": lambda d: "/admin/jobs",
    "/admin/sources": lambda d: "/admin/sources",
    "/admin/roles": lambda d: "/admin/roles",
    "/admin/audit": lambda d: "/admin/audit",
    "/admin/settings": lambda d: "/admin/settings",
    "/complaints": lambda d: "/complaints",
    "/account": lambda d: "/account",
}


def _day_of_review(d: Draw) -> str:
    station, item, rule, first = d.any(d.known.runs)
    return f"/review/{station}/{first[:10]}?{urlencode({'item': item, 'rule': rule})}"


def _watched(d: Draw) -> str:
    first = d.day
    return f"/disclosure?first={first}&last={first + timedelta(days=30)}"


#: Pages for everybody.
PUBLIC: dict[str, Maker] = {
    "/public": lambda d: d.any("/public", "/public?lang=en"),
    "/public/places/{code}": lambda d: f"/public/places/{d.any(d.known.places)}",
    "/public/targets": lambda d: "/public/targets",
    "/public/data": lambda d: "/public/data",
    "/public/bulletins": lambda d: "/public/bulletins",
}

#: What programs ask most.
API: dict[str, Maker] = {
    "/api/v1/stations": lambda d: "/api/v1/stations",
    "/api/v1/stations/latest": lambda d: "/api/v1/stations/latest",
    "/api/v1/stations/latest?time": lambda d: f"/api/v1/stations/latest?time={d.day}T04:00:00Z",
    "/api/v1/stations/{station}/hours (day)": lambda d: _hours(d, 1),
    "/api/v1/stations/{station}/hours (month)": lambda d: _hours(d, 30),
    "/api/v1/stations/{station}/days": lambda d: f"/api/v1/stations/{d.any(d.known.stations)}/days?{_span(d, 31)}",
    "/api/v1/places": lambda d: "/api/v1/places",
    "/api/v1/places/{place}/days": lambda d: f"/api/v1/places/{d.any(d.known.places)}/days?{_span(d, 31)}",
    "/api/v1/places/{place}/aqi": lambda d: f"/api/v1/places/{d.any(d.known.places)}/aqi?{_span(d, 31)}",
    "/api/v1/evaluation": lambda d: f"/api/v1/evaluation?period={d.any(d.known.periods)}&dust={d.any(DUST)}",
    "/api/v1/ranking": lambda d: f"/api/v1/ranking?period={d.any(d.known.periods)}",
    "/api/v1/targets": lambda d: "/api/v1/targets",
    "/api/v1/tasks": lambda d: "/api/v1/tasks",
    "/api/v1/runs/current": lambda d: "/api/v1/runs/current",
}


def _span(d: Draw, days: int) -> str:
    first = d.day
    return f"start={first}&end={first + timedelta(days=days - 1)}"


def _hours(d: Draw, days: int) -> str:
    first = d.day
    last = first + timedelta(days=days)
    return (
        f"/api/v1/stations/{d.any(d.known.stations)}/hours?start={first}T00:00:00Z&end={last}T00:00:00Z"
        f"&limit={24 * days}"
    )


def unknown(paths: Iterator[str]) -> list[str]:
    """Pages among an application's GET routes that nobody here knows how to ask."""
    return sorted({p for p in paths if not LEFT_OUT.search(p) and p not in PAGES})


def drawn(makers: Mapping[str, Maker], known: Province, seed: int) -> Iterator[tuple[str, str]]:
    """Names and addresses without end: every page as often as every other, its parameters at random."""
    draw = Draw(known, random.Random(seed))
    while True:
        for name in draw.rng.sample(list(makers), len(makers)):
            try:
                address = makers[name](draw)
            except IndexError:  # a small workspace has no rejects, or no flags
                continue
            yield name, address
