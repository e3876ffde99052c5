"""From a run's tables to a bulletin's numbers: read, chosen and summed, never calculated again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from qinglan.access.principal import within
from qinglan.core.clock import Period, from_day_and_hour
from qinglan.core.errors import NotFound, UnknownName
from qinglan.core.names import DAILY_ITEMS
from qinglan.core.rounding import half_even
from qinglan.flow.views.places import (
    editions,
    editions_of,
    evaluation,
    leading_statistics,
    level_of,
    periods,
    prefectures,
)
from qinglan.flow.views.result import Result, Row
from qinglan.flow.workspace import Workspace
from qinglan.plan.places import load_places
from qinglan.plan.rules import load_book
from qinglan.report import Bulletin, DayLine, ItemValue, PlaceLine, TargetLine
from qinglan.report.bulletin import share
from qinglan.report.kinds import kind_of

_COUNTED = ("day", "week")


def bulletin(workspace: Workspace, result: Result, kind: str, period: Period, place: str) -> Bulletin:
    """The numbers of a kind of bulletin for a period and a place (the prefectures within it).

    NotFound when the run has nothing for it: which periods it has stands in the remedy.
    """
    span = kind_of(kind).span
    decimals = load_book("gbt8170", period.end)
    printed = {item: int(decimals.get(f"decimals.{item}").value) for item in DAILY_ITEMS}
    printed["rate"] = int(decimals.get("decimals.rate").value)
    days = _days(result, period, place, printed)
    lines = _counted(workspace, result, period, days, printed["rate"]) if span in _COUNTED else _judged(
        workspace, result, period, place
    )  # fmt: skip
    if not lines:
        known = [p.label for p in periods(result) if len(p.label) == len(period.label)]
        raise NotFound(
            f"run {result.run_id} has nothing about {period.label} in {place}.",
            remedy=f"Load its data and run `qinglan run`. The run has: {', '.join(known[:12]) or 'none such'}.",
        )
    levels = load_book("hj633", period.end).get("levels").value
    run = result.verdict["run"]
    named = workspace.named(place)
    office = workspace.named(workspace.settings.place)
    evaluated = [] if span in _COUNTED else evaluation(result, period, "out")
    return Bulletin(
        kind=kind, place=place, place_name={"zh": named["name"], "en": named["name_en"]},
        office={"zh": f"{office['name']}生态环境监测部门", "en": f"Environmental monitoring, {office['name_en']}"},
        period=period.label, previous=period.back().label, run_id=result.run_id,
        code_version=str(run["code_version"]), as_of=str(result.verdict["as_of"]),
        simulated=bool(result.verdict["simulated"]),
        limits_edition=", ".join(editions_of(evaluated)) or load_book("gb3095", period.end).edition,
        index_edition=", ".join(editions(result, period)), books=_books(run, period),
        levels=tuple({k: x[k] for k in ("level", "zh", "en", "rgb")} for x in levels),
        statistics=leading_statistics(period.end), decimals=printed, places=lines, days=tuple(days),
        targets=_targets(result), proposed_dust=_proposed(result, period, place),
    )  # fmt: skip


def _inside(code: str, place: str) -> bool:
    """Whether a prefecture belongs in the bulletin of a place."""
    return level_of(code) == "prefecture" and within(code, place)


def _books(run: Row, period: Period) -> tuple[Mapping[str, Any], ...]:
    """The editions in force at the period's end, with the options of the run."""
    made = []
    for row in run["rules"]:
        book = load_book(row["book"], period.end)
        made.append({"book": row["book"], "edition": book.edition, "options": dict(row["options"])})
    return tuple(made)


@cache
def _short(code: str, name: str) -> str:
    """The name that tables print: 海西州 for 海西蒙古族藏族自治州."""
    known = load_places()
    aliases = known[code].aliases if code in known else ()
    return next((a for a in aliases if a.endswith("州") and len(a) < len(name)), name)


def _name(workspace: Workspace, code: str) -> dict[str, str]:
    named = workspace.named(code)
    english = (named["name_en"] or named["name"]).removesuffix(" Prefecture")
    return {"zh": _short(code, named["name"]), "en": english}


def _days(result: Result, period: Period, place: str, printed: Mapping[str, int]) -> list[DayLine]:
    values: dict[str, Any] = {"first": period.start, "last": period.end}
    span = "day between $first and $last"
    condition = f"{span} and in_force" if "in_force" in result.columns("place_aqi") else span
    measured = {(r["place"], r["day"]): r for r in result.rows("place_days", span, "place, day", **values)}
    found = []
    for row in result.rows("place_aqi", condition, "place, day", **values):
        if not _inside(row["place"], place):
            continue
        day = measured.get((row["place"], row["day"]), {})
        found.append(
            DayLine(
                row["place"], row["day"].isoformat(), row["aqi"], row["level"], row["primary_pollutant"] or "",
                day.get("source") or "hours",
                {i: None if day.get(i) is None else float(half_even(day[i], printed[i])) for i in DAILY_ITEMS},
            )
        )  # fmt: skip
    return found


def _dust_counts(result: Result, period: Period) -> Counter[str]:
    rows = result.rows(
        "dust_days", "day between $first and $last", "place, day", first=period.start, last=period.end
    )
    return Counter(str(r["place"]) for r in rows)


def _proposed(result: Result, period: Period, place: str) -> int:
    """Dust events of the period that nobody has judged yet."""
    first = from_day_and_hour(period.start, 1)
    last = from_day_and_hour(period.end, 24)
    rows = result.rows(
        "dust_events", "status = 'proposed' and \"end\" >= $first and start <= $last", "id", first=first, last=last
    )
    return sum(_inside(str(r["place"]), place) for r in rows)


def _counted(
    workspace: Workspace, result: Result, period: Period, days: list[DayLine], decimals: int
) -> tuple[PlaceLine, ...]:
    """Places of a day or a week, of which a run has no evaluation: days are counted, nothing is averaged."""
    dust = _dust_counts(result, period)
    good = float(load_book("hj663", period.end).get("good_day.aqi_max").value)
    heavy = float(load_book("hj663", period.end).get("heavy_day.aqi_min").value)
    lines = []
    for code in sorted({d.place for d in days}):
        own = [d for d in days if d.place == code and d.aqi is not None]
        levels = tuple(sum(d.level == n for d in own) for n in range(1, 7))
        fine = sum(d.aqi <= good for d in own if d.aqi is not None)
        rate = share(fine, len(own), decimals)
        lines.append(
            PlaceLine(
                place=code, name=_name(workspace, code), items={}, rank=None, index=None, index_in=None,
                max_index=None, main="", previous_index=None, change_percent=None, change_rank=None,
                expected_days=period.days, valid_days=len(own), good_days=fine,
                heavy_days=sum(d.aqi >= heavy for d in own if d.aqi is not None),
                rate=None if rate is None else float(rate), adjusted_rate=None, previous_rate=None, levels=levels,
                dust_days=dust[code], data_valid=len(own) == period.days,
            )
        )  # fmt: skip
    return tuple(lines)


def _judged(workspace: Workspace, result: Result, period: Period, place: str) -> tuple[PlaceLine, ...]:
    """Places of an evaluated period, best rank first."""
    if period not in periods(result):
        return ()
    out = [r for r in prefectures(result, period, "out") if _inside(r["place"], place)]
    dusty = {r["place"]: r for r in prefectures(result, period, "in")}
    before: dict[str, Row] = {}
    if period.back() in periods(result):
        before = {r["place"]: r for r in prefectures(result, period.back(), "out")}
    dust = _dust_counts(result, period)
    return tuple(
        _line(workspace, row, dusty.get(row["place"], {}), before.get(row["place"], {}), dust) for row in out
    )


def _line(workspace: Workspace, row: Row, dusty: Row, before: Row, dust: Counter[str]) -> PlaceLine:
    code = row["place"]
    items = {}
    for item in DAILY_ITEMS:
        own = row["items"].get(item, {})
        items[item] = ItemValue(
            own.get("shown"), dusty.get("items", {}).get(item, {}).get("shown"),
            before.get("items", {}).get(item, {}).get("shown"), own.get("limit"), own.get("attained"),
            own.get("valid_days") or 0, bool(own.get("data_valid")),
        )  # fmt: skip
    return PlaceLine(
        place=code, name=_name(workspace, code), items=items, rank=row.get("rank"),
        index=row.get("composite_index"), index_in=dusty.get("composite_index"), max_index=row.get("max_index"),
        main=row.get("main_pollutant") or "", previous_index=row.get("previous_index"),
        change_percent=row.get("change_percent"), change_rank=row.get("change_rank"),
        expected_days=row["expected_days"] or 0, valid_days=row["raw_valid_days"] or 0,
        good_days=row["raw_good_days"] or 0, heavy_days=row["raw_heavy_days"] or 0, rate=row["raw_good_rate"],
        adjusted_rate=row["adjusted_good_rate"], previous_rate=before.get("raw_good_rate"),
        levels=tuple(dusty.get(f"level_{n}") or 0 for n in range(1, 7)), dust_days=dust[code],
        data_valid=bool(row.get("data_valid")),
    )  # fmt: skip


def _targets(result: Result) -> tuple[TargetLine, ...]:
    return tuple(
        TargetLine(t["id"], t["title"], t["status"], t["shown"], t["limit"], t["comparison"], t["unit"], t["due"])
        for t in result.verdict["targets"]
        if t["judged_by"] == "air"
    )


@cache
def boundaries(place: str) -> Mapping[str, Any] | None:
    """Prefecture boundaries of a place's province as GeoJSON; None when the package has none of it."""
    file = resources.files("qinglan.content") / "boundaries" / f"{place[:2]}0000-prefecture.geojson"
    if not file.is_file():
        return None
    found: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def place_of(workspace: Workspace, place: str | None) -> str:
    """The place asked for, or the office's own; UnknownName for one that nobody knows."""
    code = place or workspace.settings.place
    if code not in workspace.places:
        raise UnknownName("place", code, ())
    return code
