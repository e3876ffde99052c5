"""Evaluation: any period under any texts, comparisons of periods and places, ranks over time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from qinglan.core.clock import Period
from qinglan.core.errors import UnknownName
from qinglan.core.names import DAILY_ITEMS
from qinglan.flow import evaluate_any, views
from qinglan.flow.evaluate_any import Assessed
from qinglan.flow.views import evaluations
from qinglan.plan.rules import document
from qinglan.web import charts
from qinglan.web.access import needs
from qinglan.web.site import Site, site, words_of
from qinglan.web.text import Text

router = APIRouter(prefix="/evaluation", dependencies=[needs("air.view")])

COMPARED = ("rank", "place", "name", *DAILY_ITEMS, "valid_days", "good_days", "good_rate", "adjusted_good_rate",
            "heavy_days", "composite_index", "main_pollutant", "previous_index", "change_percent", "attained",
            "data_valid", "edition")  # fmt: skip
STATISTICS = ("item", "statistic", "value", "limit", "attained", "exceedance_factor", "valid_days",
              "expected_days", "data_valid", "exceeding_days", "attainment_rate", "edition")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What every page of this part may be asked for: period, texts, options, dust. `query` writes it back."""

    period: Period
    edition: str
    chosen: evaluate_any.Choices
    dust: str

    @property
    def query(self) -> dict[str, str]:
        """The address of this question."""
        made = {"period": self.period.label, "edition": self.edition, "dust": self.dust, **dict(self.chosen)}
        return {k: v for k, v in made.items() if v}

    def on(self, result: views.Result, period: Period | None = None) -> Assessed:
        """The period (or another one) judged as asked."""
        return evaluate_any.assess_any(result, period or self.period, self.edition, self.chosen)


def asked(
    request: Request,
    site: Annotated[Site, Depends(site)],
    period: str = "",
    first: Annotated[str, Query(description="first day, with `last` instead of a period")] = "",
    last: str = "",
    edition: Annotated[str, Query(description="texts to judge by; empty: those in force")] = "",
    dust: str = "out",
) -> Asked:
    """Read the question; a first and a last day win over a period's name."""
    result = views.current(site.workspace)
    if dust not in views.DUST:
        raise UnknownName("dust treatment", dust, views.DUST)
    given = {name: value for name, value in request.query_params.items() if "." in name and value}
    chosen = evaluations.asked_period(first, last) or (Period.parse(period) if period else None)
    return Asked(chosen or views.pick_period(result, None), edition, evaluate_any.choices(given), dust)


Question = Annotated[Asked, Depends(asked)]
SiteOf = Annotated[Site, Depends(site)]


def _options(ask: Asked, words: Text) -> list[dict[str, Any]]:
    """Options that may be chosen on the page: name, what is chosen, and the choices in words."""
    found = []
    for family, names in evaluate_any.AFTER_DAYS.items():
        for name in names:
            option = document(family).options[name]
            said = [(choice, _one_language(text, words.language)) for choice, text in option.choices.items()]
            key = f"{family}.{name}"
            found.append({"name": key, "value": dict(ask.chosen).get(key, option.default), "choices": said})
    return found


def _one_language(text: str, language: str) -> str:
    """Rule books write a choice as ``Chinese / English``."""
    chinese, _, english = text.partition(" / ")
    return (english or chinese) if language == "en" else chinese


def _grouped(periods: list[Period], chosen: Period) -> dict[str, list[Period]]:
    """What can be picked: years and odd spans, and the halves, quarters and months of the chosen year."""
    kinds: dict[str, list[Period]] = {kind: [] for kind in (*evaluations.KINDS, "span")}
    for period in sorted(periods):
        kind = evaluations.kind_of(period)
        if kind in ("year", "span") or period.start.year == chosen.start.year:
            kinds[kind].append(period)
    return {kind: found for kind, found in kinds.items() if found}


def _shared(result: views.Result, ask: Asked, words: Text) -> dict[str, Any]:
    """What the tools at the head of each page need."""
    return {
        "ask": ask, "query": urlencode(ask.query), "dust": ask.dust, "period": ask.period,
        "periods": _grouped(views.periods(result), ask.period),
        "span": evaluate_any.span(result), "options": _options(ask, words),
        "texts": [("", words("evaluation.in_force")), *((name, name) for name in evaluate_any.texts())],
        "places": views.places(result),
    }  # fmt: skip


@router.get("")
def evaluation(
    request: Request, site: SiteOf, ask: Question, sort: str = "rank", down: bool = False, place: str = ""
) -> Response:
    """Places in any period under any texts; with `place`, that place against every limit."""
    result = site.open(request)
    found = ask.on(result)
    rows = evaluations.table(result, found, ask.dust, sort, down)
    one = None
    if place:
        one = {**views.place(result, place), **evaluations.of_place(found, place, ask.dust)}
    return site.page(
        request, "evaluation.html", result,
        found=found, rows=rows, sort=sort, down=down, one=one, previous=ask.period.back(),
        leading=views.leading_statistics(ask.period.end),
        limits=views.editions_of(item for row in rows for item in row["items"].values()),
        **_shared(result, ask, words_of(request)),
    )  # fmt: skip


@router.get("/places.{kind}")
def places_sheet(request: Request, site: SiteOf, ask: Question, kind: str, sort: str = "rank") -> Response:
    """The table of places as CSV or XLSX."""
    result, words = site.open(request), words_of(request)
    rows = []
    for row in evaluations.table(result, ask.on(result), ask.dust, sort):
        values = {i: (row["items"].get(i) or {}).get("value") for i in DAILY_ITEMS}
        rows.append({
            **row, **values, "name": words.place(row), "main_pollutant": words.item(row["main_pollutant"]),
            "valid_days": row["raw_valid_days"], "good_days": row["raw_good_days"],
            "good_rate": row["raw_good_rate"], "heavy_days": row["raw_heavy_days"],
        })  # fmt: skip
    return site.sheet(request, f"places-{ask.period.label}-dust-{ask.dust}", _heads(words, COMPARED), rows, kind)


def _heads(words: Text, columns: tuple[str, ...]) -> dict[str, str]:
    return {
        c: words("column.with_unit", name=words.item(c), unit=words.unit(c))
        if c in DAILY_ITEMS
        else words(f"evaluation.col.{c}")
        for c in columns
    }


@router.get("/place/{code}.{kind}")
def place_sheet(request: Request, site: SiteOf, ask: Question, code: str, kind: str) -> Response:
    """One place against every limit, as CSV or XLSX."""
    result, words = site.open(request), words_of(request)
    views.place(result, code)
    found = evaluations.of_place(ask.on(result), code, ask.dust)
    rows = [
        {**(found["exceedance"].get(r["item"], {}) if r["statistic"] != "mean" else {}), **r,
         "item": words.item(r["item"]), "statistic": words.word("statistic", r["statistic"])}
        for r in found["statistics"]
    ]  # fmt: skip
    return site.sheet(request, f"{code}-{ask.period.label}-dust-{ask.dust}", _heads(words, STATISTICS), rows, kind)


@router.get("/charts/levels.json")
def levels_chart(request: Request, site: SiteOf, ask: Question) -> Response:
    """Days by level of each prefecture, stacked."""
    result, words = site.open(request), words_of(request)
    rows = [r for r in evaluations.table(result, ask.on(result), ask.dust, "place") if r["level"] != "county"]
    series = {words(f"level.{n}"): [row[f"level_{n}"] for row in rows] for n in range(1, 7)}
    names = [words.place(row) for row in rows]
    option = charts.bars(
        series,
        names,
        unit=words("evaluation.unit.days"),
        stacked=True,
        colours=charts.LEVEL_COLOURS[1:],
        flat=True,
    )
    return charts.answer(option)


@router.get("/charts/limits.json")
def limits_chart(request: Request, site: SiteOf, ask: Question, place: str = "") -> Response:
    """Each item's leading statistic as a share of its limit, by prefecture (or of one place)."""
    result, words = site.open(request), words_of(request)
    rows = evaluations.table(result, ask.on(result), ask.dust, "place")
    rows = [r for r in rows if (r["place"] == place if place else r["level"] != "county")]
    series = {
        words.place(row): [_percent_of_limit(row["items"].get(item)) for item in DAILY_ITEMS] for row in rows
    }
    option = charts.bars(
        series, [words.item(i) for i in DAILY_ITEMS], unit="%", limit=(100, words("evaluation.limit"))
    )
    return charts.answer(option)


def _percent_of_limit(row: Mapping[str, Any] | None) -> float | None:
    if row is None or not row["limit"] or row["value"] is None:
        return None
    return round(100 * float(row["value"]) / float(row["limit"]), 1)


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison as asked: of all places, of one place in two periods, or of two places in one period."""

    mode: str
    against: Period
    metric: str
    place: str
    other: str
    rows: list[dict[str, Any]]


def _compare(result: views.Result, ask: Asked, against: str, metric: str, place: str, other: str) -> Comparison:
    then = Period.parse(against) if against else ask.period.back()
    for code in (place, other):
        if code:
            views.place(result, code)
    now = ask.on(result)
    if place and other:
        rows = evaluations.compare_one(now, now, place, other, ask.dust)
        return Comparison("places", ask.period, metric, place, other, rows)
    # The year before, which the page itself proposes, may lie before all data: then its side stays empty.
    empty = then == ask.period.back() and then.end < evaluate_any.span(result)[0]
    before = evaluate_any.nothing(then) if empty else ask.on(result, then)
    if place:
        return Comparison(
            "place", then, metric, place, "", evaluations.compare_one(now, before, place, place, ask.dust)
        )
    return Comparison(
        "all", then, metric, "", "", evaluations.compare_periods(result, now, before, ask.dust, metric)
    )


def _metric_word(words: Text, name: str) -> str:
    if name in DAILY_ITEMS:
        return words("column.with_unit", name=words.item(name), unit=words.unit(name))
    return words(f"evaluation.col.{name}")


@router.get("/compare")
def compare(
    request: Request, site: SiteOf, ask: Question, against: str = "", metric: str = "pm2_5", place: str = "",
    other: str = "",
) -> Response:  # fmt: skip
    """A period against another, or a place against another: values, change, and whether both are valid."""
    result = site.open(request)
    words = words_of(request)
    found = _compare(result, ask, against, metric, place, other)
    metrics = [(name, _metric_word(words, name)) for name in evaluations.METRICS]
    return site.page(
        request, "evaluation_compare.html", result, found=found, metrics=metrics, metric_words=dict(metrics),
        decimals=evaluations.METRICS, shares=evaluations.SHARES, **_shared(result, ask, words_of(request)),
    )  # fmt: skip


@router.get("/compare.{kind}")
def compare_sheet(
    request: Request, site: SiteOf, ask: Question, kind: str, against: str = "", metric: str = "pm2_5",
    place: str = "", other: str = "",
) -> Response:  # fmt: skip
    """The comparison as CSV or XLSX."""
    result, words = site.open(request), words_of(request)
    found = _compare(result, ask, against, metric, place, other)
    columns = ("what", "before", "after", "change", "percent", "before_valid", "after_valid")
    rows = [
        {**row, "what": words.place(row) if found.mode == "all" else _metric_word(words, row["metric"])}
        for row in found.rows
    ]
    heads = {c: words(f"evaluation.col.{c}") for c in columns}
    return site.sheet(request, f"compare-{ask.period.label}-{found.against.label}", heads, rows, kind)


@router.get("/charts/compare.json")
def compare_chart(
    request: Request, site: SiteOf, ask: Question, against: str = "", metric: str = "pm2_5", place: str = "",
    other: str = "",
) -> Response:  # fmt: skip
    """Both sides beside one another: values by place, or each item as a share of its limit."""
    result, words = site.open(request), words_of(request)
    found = _compare(result, ask, against, metric, place, other)
    known = views.places(result)
    if found.mode == "places":
        sides = words.place(known[found.other]), words.place(known[found.place])
    else:
        sides = words.period(found.against), words.period(ask.period)
    if found.mode == "all":
        rows = [r for r in found.rows if r["level"] != "county"]
        series = {sides[0]: [r["before"] for r in rows], sides[1]: [r["after"] for r in rows]}
        unit = words.unit(metric) if metric in DAILY_ITEMS else ""
        return charts.answer(charts.bars(series, [words.place(r) for r in rows], unit=unit, flat=True))
    rows = [r for r in found.rows if r["metric"] in DAILY_ITEMS and r["limit"]]
    series = {
        side: [None if r[k] is None else round(100 * r[k] / r["limit"], 1) for r in rows]
        for side, k in zip(sides, ("before", "after"), strict=True)
    }
    names = [words.item(r["metric"]) for r in rows]
    return charts.answer(charts.bars(series, names, unit="%", limit=(100, words("evaluation.limit"))))


@router.get("/ranking")
def ranking(
    request: Request, site: SiteOf, kind: str = "month", dust: str = "out", field: str = "prefectures"
) -> Response:
    """Ranks of prefectures or counties by the composite index, with their history."""
    result = site.open(request)
    history = evaluations.rank_history(result, kind, dust, field)
    return site.page(
        request, "evaluation_ranking.html", result, history=history, kind=kind, dust=dust, field=field,
        kinds=evaluations.KINDS, fields=evaluations.FIELDS,
        query=urlencode({"kind": kind, "dust": dust, "field": field}),
    )  # fmt: skip


@router.get("/ranking.{form}")
def ranking_sheet(
    request: Request, site: SiteOf, form: str, kind: str = "month", dust: str = "out", field: str = "prefectures"
) -> Response:
    """The history of ranks as CSV or XLSX."""
    result, words = site.open(request), words_of(request)
    history = evaluations.rank_history(result, kind, dust, field, most=10_000)
    columns = ("period", "place", "name", "rank", "composite_index", "main_pollutant", "previous_index",
               "change_percent", "change_rank", "data_valid")  # fmt: skip
    rows = [
        {**row["ranks"][label], "name": words.place(row)}
        for label in history["periods"] for row in history["rows"] if label in row["ranks"]
    ]  # fmt: skip
    heads = {c: words(f"evaluation.col.{c}") for c in columns}
    return site.sheet(request, f"ranking-{kind}-dust-{dust}", heads, rows, form)


@router.get("/charts/ranking.json")
def ranking_chart(
    request: Request, site: SiteOf, kind: str = "month", dust: str = "out", field: str = "prefectures"
) -> Response:
    """Lines of ranks, the first at the top; of the eight best placed when there are more."""
    result, words = site.open(request), words_of(request)
    history = evaluations.rank_history(result, kind, dust, field)
    series = {
        words.place(row): [(row["ranks"].get(label) or {}).get("rank") for label in history["periods"]]
        for row in history["rows"][:8]
    }
    option = charts.lines(series, names=history["periods"])
    option["yAxis"] |= {"inverse": True, "min": 1, "minInterval": 1}
    return charts.answer(option)
